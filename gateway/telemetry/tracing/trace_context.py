"""The trace that a request is part of, as HTTP headers say it (W3C Trace Context)."""

import re
from collections.abc import Mapping

import msgspec

# Version 00, a trace and a span that are not all zeros, and flags (3.2.2).
_TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# Keys of systems, each with a value that holds neither comma nor equals sign and does not end in a space (3.3.1.3).
_MEMBER = rb"[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
_TRACESTATE = re.compile(rb"%b(?:[ \t]*,[ \t]*%b){0,31}" % (_MEMBER, _MEMBER))
# What every system must be able to pass on (3.3.1.5).
_MAX_TRACESTATE = 512
_SAMPLED, _RANDOM = 1, 2

TRACEPARENT = b"traceparent"
"""The name of the header that says the trace."""


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """A trace, and the span in it that caused a request. Both headers are well formed."""

    traceparent: bytes
    tracestate: bytes | None = None

    @property
    def trace_id(self) -> str:
        """The trace, as 32 hexadecimal digits."""
        return self.traceparent[3:35].decode("ascii")

    @property
    def span_id(self) -> int:
        """The span."""
        return int(self.traceparent[36:52], 16)

    @property
    def flags(self) -> int:
        """The flags that are known: whether the span is recorded, and whether the trace id is random."""
        return int(self.traceparent[53:], 16) & (_SAMPLED | _RANDOM)

    @property
    def is_sampled(self) -> bool:
        """Whether the span is recorded."""
        return bool(self.flags & _SAMPLED)

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The header fields that say it."""
        traceparent = (TRACEPARENT, self.traceparent)
        return (traceparent,) if self.tracestate is None else (traceparent, (b"tracestate", self.tracestate))


def read_trace_context(headers: Mapping[bytes, bytes]) -> TraceContext | None:
    """What the client says of its trace, as far as it is well formed. Without `traceparent` the rest means nothing."""
    traceparent = headers.get(TRACEPARENT)
    if traceparent is None or _TRACEPARENT.fullmatch(traceparent) is None:
        return None
    tracestate = headers.get(b"tracestate")
    if tracestate is not None and (len(tracestate) > _MAX_TRACESTATE or _TRACESTATE.fullmatch(tracestate) is None):
        tracestate = None
    return TraceContext(traceparent, tracestate)


def write_trace_context(trace_id: int, span_id: int, tracestate: bytes | None, *, flags: int) -> TraceContext:
    """The context of a span of ours. Systems before it in the trace have said `tracestate`."""
    return TraceContext(b"00-%032x-%016x-%02x" % (trace_id, span_id, flags), tracestate)


def sampled(flags: int) -> int:
    """These flags, for a span that is recorded."""
    return flags | _SAMPLED
