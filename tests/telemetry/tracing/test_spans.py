"""The spans of one request: they end with it, and there is a bound."""

from gateway.telemetry.tracing.spans import UNRECORDED, OpenSpan, SpanKind, SpanName
from tests.telemetry.tracing.recorded_requests import open_spans


def test_a_step_is_recorded_even_where_it_fails() -> None:
    spans = open_spans()
    try:
        with OpenSpan(spans, SpanName.DECISION):
            raise ValueError
    except ValueError:
        pass
    [step] = spans.children
    assert (step.name, step.kind, step.error) == ("decide", SpanKind.INTERNAL, "")
    assert spans.started_at <= step.started_at <= step.ended_at


def test_what_ends_after_the_request_and_what_is_beyond_the_bound_is_counted() -> None:
    spans = open_spans()
    for _ in range(1100):
        with OpenSpan(spans, SpanName.VERIFICATION):
            pass
    assert (len(spans.children), spans.left_out) == (1000, 100)
    spans.end("GET", {})
    with OpenSpan(spans, SpanName.VERIFICATION):
        pass
    assert (len(spans.children), spans.left_out) == (1000, 101)


def test_ids_are_all_different() -> None:
    spans = open_spans()
    for _ in range(500):
        with OpenSpan(spans, SpanName.VERIFICATION):
            pass
    assert len({spans.span_id, *(step.span_id for step in spans.children)}) == 501


def test_a_step_of_which_nothing_is_recorded_lets_errors_through() -> None:
    try:
        with UNRECORDED:
            raise KeyError
    except KeyError:
        return
    raise AssertionError
