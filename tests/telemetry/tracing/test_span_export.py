"""Spans on their way to a collector: in the background, in batches, tried again, counted where they are lost."""

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.settings.serving.tracing import Tracing
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.span_metrics import SpanMetrics
from gateway.telemetry.tracing.span_export import (
    MAX_WAITING,
    SharedSpanExports,
    SpanCounts,
    SpanExport,
    SpanOutcome,
    build_export,
)
from tests.certificates.authority import Authority
from tests.commands.serving_process import until
from tests.servers import tls_relay
from tests.servers.ports import free_port
from tests.servers.span_receiver import SpanReceiver, span_receiver
from tests.telemetry.metric_samples import samples_of
from tests.telemetry.tracing.recorded_requests import finished_spans, open_spans


@pytest.fixture
async def receiver() -> AsyncIterator[SpanReceiver]:
    async with span_receiver() as running:
        yield running


def _settings(endpoint: str, **more: object) -> Tracing:
    return Tracing.model_validate({"endpoint": endpoint, **more})


@contextlib.asynccontextmanager
async def _export_to(endpoint: str) -> AsyncIterator[tuple[SpanExport, SpanCounts]]:
    counts = SpanCounts()
    export = build_export(_settings(endpoint), counts)
    try:
        yield export, counts
    finally:
        await export.aclose()


async def _until(counts: SpanCounts, outcome: SpanOutcome, count: int) -> None:
    await until(lambda: counts.counts[outcome] >= count)


class _HeldCollector:
    """Takes nothing before it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def send(self, _body: bytes, _is_closing: threading.Event) -> int | None:
        self.let_go.wait()
        return 0

    def close(self) -> None:
        pass


async def test_spans_arrive_in_batches_with_the_parents_that_they_have(receiver: SpanReceiver) -> None:
    async with _export_to(receiver.endpoint) as (export, counts):
        sent = [finished_spans(steps=3) for _ in range(400)]
        for spans in sent:
            export.put(spans)
        received = await receiver.wait_for(1600)
        await _until(counts, SpanOutcome.EXPORTED, 1600)
    assert len(receiver.headers) < 20
    assert {span.trace_id for span in received} == {spans.trace for spans in sent}
    by_id = {span.span_id: span for span in received}
    for span in received:
        parent = by_id.get(span.parent_id)
        assert (span.kind, parent is None) in {("server", True), ("internal", False)}
        if parent is not None:
            assert parent.trace_id == span.trace_id
            assert parent.nanoseconds[0] <= span.nanoseconds[0]


async def test_what_a_collector_takes_later_is_sent_again(receiver: SpanReceiver) -> None:
    receiver.responses = [(503, {}), (429, {"retry-after": "0"})]
    async with _export_to(receiver.endpoint) as (export, counts):
        export.put(finished_spans(steps=0))
        await _until(counts, SpanOutcome.EXPORTED, 1)
    assert len(receiver.headers) == 3
    assert counts.counts == {**dict.fromkeys(SpanOutcome, 0), SpanOutcome.EXPORTED: 1}


@pytest.mark.parametrize("status", [400, 401, 404, 307, 500])
async def test_what_a_collector_refuses_is_counted_and_not_sent_again(
    status: int, receiver: SpanReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway")
    receiver.responses = [(status, {"location": receiver.endpoint})] * 2
    async with _export_to(receiver.endpoint) as (export, counts):
        for expected in (2, 4):
            export.put(finished_spans(steps=1))
            await _until(counts, SpanOutcome.NOT_TAKEN, expected)
        export.put(finished_spans(steps=1))
        await _until(counts, SpanOutcome.EXPORTED, 2)
    assert len(receiver.headers) == 3
    told = [record.message for record in caplog.records]
    assert told == ["the collector does not take spans", "the collector takes spans again"]


async def test_spans_that_a_collector_rejects_are_counted(receiver: SpanReceiver) -> None:
    receiver.rejected = 2
    async with _export_to(receiver.endpoint) as (export, counts):
        export.put(finished_spans(steps=4))
        await _until(counts, SpanOutcome.EXPORTED, 3)
    assert counts.counts[SpanOutcome.NOT_TAKEN] == 2


async def test_the_queue_is_bounded_and_what_is_beyond_it_is_counted() -> None:
    counts, collector = SpanCounts(), _HeldCollector()
    export = SpanExport(_settings("http://localhost/v1/traces"), counts, lambda: collector)
    whole = MAX_WAITING // 4
    for _ in range(whole + 10):
        export.put(finished_spans(steps=3))
    assert counts.counts[SpanOutcome.QUEUE_FULL] == 40
    collector.let_go.set()
    await _until(counts, SpanOutcome.EXPORTED, whole * 4)
    await export.aclose()
    # After the end nothing is taken any more.
    export.put(finished_spans(steps=0))
    assert counts.counts[SpanOutcome.QUEUE_FULL] == 41


async def test_steps_beyond_the_bound_of_a_request_are_counted(receiver: SpanReceiver) -> None:
    async with _export_to(receiver.endpoint) as (export, counts):
        spans = open_spans()
        spans.left_out = 7
        spans.end("GET", {})
        export.put(spans)
        await _until(counts, SpanOutcome.EXPORTED, 1)
    metrics = Metrics()
    metrics.registry.register(SpanMetrics(counts))
    assert samples_of(metrics, "smart_gateway_spans_total") == {("exported",): 1, ("too_many",): 7}


async def test_what_waits_is_sent_at_the_end(receiver: SpanReceiver) -> None:
    async with _export_to(receiver.endpoint) as (export, _):
        for _ in range(10):
            export.put(finished_spans(steps=0))
    assert len(receiver.spans) == 10


async def test_the_end_does_not_wait_for_a_collector_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing listens there. `aclose` gives up after `CLOSING_SECONDS`; waits for further attempts end at once."""
    async with asyncio.timeout(60), _export_to(f"http://127.0.0.1:{free_port()}/v1/traces") as (export, counts):
        export.put(finished_spans(steps=0))
    assert counts.counts[SpanOutcome.NOT_TAKEN] == 1
    assert [record.message for record in caplog.records] == ["the collector does not take spans"]


async def test_a_collector_that_says_nothing_holds_nobody_up_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    counts, collector = SpanCounts(), _HeldCollector()
    export = SpanExport(_settings("http://localhost/v1/traces"), counts, lambda: collector)
    export.put(finished_spans(steps=2))
    async with asyncio.timeout(60):
        await export.aclose()
    [record] = caplog.records
    assert (record.message, record.__dict__["spans"]) == ("spans were not sent before the end", 3)
    collector.let_go.set()


async def test_a_collector_that_the_authorities_do_not_vouch_for_gets_nothing(
    receiver: SpanReceiver, tmp_path: Path
) -> None:
    authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
    signed, port = authority.sign("collector", "localhost"), free_port()
    relay = [str(Path(tls_relay.__file__)), str(port), str(receiver.port), str(signed.certificate), str(signed.key)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-E", "-S", *relay, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"ready\n"
        endpoint = f"https://localhost:{port}/v1/traces"
        for trusted, outcome in ((other, SpanOutcome.NOT_TAKEN), (authority, SpanOutcome.EXPORTED)):
            counts = SpanCounts()
            export = build_export(_settings(endpoint, ca_file=trusted.file), counts)
            export.put(finished_spans(steps=0))
            await export.aclose()
            assert counts.counts[outcome] == 1
    finally:
        process.stdin.close()
        await process.wait()
    assert len(receiver.spans) == 1


async def test_gateways_with_the_same_settings_share_an_export(receiver: SpanReceiver) -> None:
    shared = SharedSpanExports()
    first = shared.take(_settings(receiver.endpoint))
    # Which requests are recorded is decided before.
    assert shared.take(_settings(receiver.endpoint, sample_ratio=0.5)) is first
    other = shared.take(_settings(receiver.endpoint, service_name="another"))
    assert other is not first
    first.put(finished_spans(steps=0))
    await shared.give_back(first)
    first.put(finished_spans(steps=0))
    await shared.give_back(first)
    assert len(receiver.spans) == 2
    assert shared.take(_settings(receiver.endpoint)) is not first
    await shared.give_back(other)


async def test_a_changed_file_of_authorities_is_another_export(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("one")
    settings = _settings("https://collector.example/v1/traces", ca_file=file)
    shared = SharedSpanExports()
    first = shared.take(settings)
    file.write_text("two")
    second = shared.take(settings)
    assert second is not first
    for export in (first, second):
        await shared.give_back(export)
