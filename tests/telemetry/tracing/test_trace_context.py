"""W3C Trace Context: what is well formed is read and passed on as it is, and nothing else."""

import pytest

from gateway.telemetry.tracing.trace_context import TraceContext, read_trace_context, write_trace_context

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_context_is_read_and_written_again() -> None:
    context = read_trace_context({b"traceparent": PARENT, b"tracestate": b"a=1"})
    assert context is not None
    assert (context.trace_id, context.span_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", 0x00F067AA0BA902B7)
    assert context.is_sampled
    assert context.headers == ((b"traceparent", PARENT), (b"tracestate", b"a=1"))
    written = write_trace_context(int(context.trace_id, 16), context.span_id, context.tracestate, flags=context.flags)
    assert written == context


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param(b"00", 0, id="not recorded"),
        pytest.param(b"01", 1, id="recorded"),
        pytest.param(b"02", 2, id="a random id, not recorded"),
        pytest.param(b"ff", 3, id="flags that are not known yet"),
    ],
)
def test_flags_that_are_known_are_read(flags: bytes, expected: int) -> None:
    assert TraceContext(PARENT[:-2] + flags).flags == expected


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(b"a=1", id="one member"),
        pytest.param(b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", id="several members"),
        pytest.param(b"a=1 ,\tb=2", id="white space around a comma"),
        pytest.param(b"fw529a3039@dt=FfAD1A2C;12;#!~", id="a key of a tenant"),
        pytest.param(b"a=x y", id="a space within a value"),
        pytest.param(b",".join(b"k%d=v" % number for number in range(32)), id="as many members as there may be"),
    ],
)
def test_a_well_formed_state_is_kept(state: bytes) -> None:
    context = read_trace_context({b"traceparent": PARENT, b"tracestate": state})
    assert context is not None
    assert context.tracestate == state


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"a", id="no value"),
        pytest.param(b"A=1", id="a capital letter in a key"),
        pytest.param(b"a=1=2", id="an equals sign in a value"),
        pytest.param(b"a=1 ", id="a space at the end"),
        pytest.param(b"a=\xff", id="a byte that is not ASCII"),
        pytest.param(b"a=1\r\nx-other: 2", id="another header"),
        pytest.param(b"a=" + b"1" * 256 + b",b=" + b"2" * 256, id="longer than must be passed on"),
        pytest.param(b",".join(b"k%d=v" % number for number in range(33)), id="more members than there may be"),
        pytest.param(b"a=" + b" " * 500, id="a value of spaces"),
    ],
)
def test_any_other_state_is_dropped_and_the_trace_goes_on(state: bytes) -> None:
    assert read_trace_context({b"traceparent": PARENT, b"tracestate": state}) == TraceContext(PARENT)


def test_a_state_without_a_trace_means_nothing() -> None:
    assert read_trace_context({b"tracestate": b"a=1"}) is None
    assert read_trace_context({b"traceparent": b"00-0-0-01", b"tracestate": b"a=1"}) is None
