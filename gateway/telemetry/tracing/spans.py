"""The spans of one request, recorded while it is handled. They hold no id of a record, no query and no person."""

import random
import time
from collections.abc import Mapping
from contextvars import ContextVar
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Protocol

import msgspec

from gateway.telemetry.tracing.trace_context import TraceContext, write_trace_context

Attributes = Mapping[str, str | int | bool]
_NO_ATTRIBUTES: Attributes = MappingProxyType({})
# A batch of 200 entries has some hundreds. What is beyond it is counted.
_MAX_CHILDREN = 1000


class SpanKind(Enum):
    """Whether a span is a step here, a request that arrived, or a request to another server."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"


class SpanName(StrEnum):
    """The steps of a request that have a span of their own, beside its questions to the FHIR server."""

    TOKEN = "resolve token"
    DECISION = "decide"
    VERIFICATION = "verify"


class NamesServer(Protocol):
    """The FHIR server, as spans name it."""

    def describe(
        self, method: bytes, target: bytes, status: int, error: Exception | None
    ) -> tuple[str, Attributes, str]:
        """Name, attributes and error of the span of a request to it. `status` is 0 if there was no response."""


# Structs, because some are created per request: dataclasses take three times as long.
class Span(msgspec.Struct, frozen=True, gc=False):
    """A span that is over. `started_at` and `ended_at` are moments of `time.perf_counter`.

    `error` says why it failed, by OpenTelemetry's `error.type`; it is empty if it did not.
    """

    name: str
    kind: SpanKind
    span_id: int
    started_at: float
    ended_at: float
    attributes: Attributes = _NO_ATTRIBUTES
    error: str = ""


class RequestSpans(msgspec.Struct, gc=False):
    """What is recorded of one request: the span of the request itself, and the spans of its steps.

    `parent_id` is the client's span, 0 if it named none. `epoch` is the moment, in seconds since the epoch, at which
    `time.perf_counter` was 0. `server` is None until the request is over; from then on nothing is added. `left_out`
    are the spans beyond the bound.
    """

    trace_id: int
    span_id: int
    parent_id: int
    flags: int
    tracestate: bytes | None
    started_at: float
    epoch: float
    server_names: NamesServer
    children: list[Span]
    server: Span | None = None
    left_out: int = 0

    @property
    def trace(self) -> str:
        """The trace id, as 32 hexadecimal digits."""
        return f"{self.trace_id:032x}"

    def context(self, span_id: int) -> TraceContext:
        """What another server is told of a span of this request."""
        return write_trace_context(self.trace_id, span_id, self.tracestate, flags=self.flags)

    def add(self, span: Span) -> None:
        """Add the span of a step. What ends after the request, such as a look-up for several ones, is left out."""
        if self.server is None and len(self.children) < _MAX_CHILDREN:
            self.children.append(span)
        else:
            self.left_out += 1

    def add_client(
        self, span_id: int, started_at: float, ended_at: float, described: tuple[str, Attributes, str]
    ) -> None:
        """Add the span of a request to the FHIR server, by name, attributes and error."""
        name, attributes, error = described
        self.add(Span(name, SpanKind.CLIENT, span_id, started_at, ended_at, attributes, error))

    def end(self, name: str, attributes: Attributes, error: str = "") -> None:
        """The request is over."""
        ended_at = time.perf_counter()
        self.server = Span(name, SpanKind.SERVER, self.span_id, self.started_at, ended_at, attributes, error)


class OpenSpan:
    """A step that is being recorded, as a context manager."""

    __slots__ = ("_name", "_spans", "_started_at")

    def __init__(self, spans: RequestSpans, name: SpanName) -> None:
        self._spans, self._name, self._started_at = spans, name, 0.0

    def __enter__(self) -> None:
        self._started_at = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        ended_at = time.perf_counter()
        self._spans.add(Span(self._name.value, SpanKind.INTERNAL, new_span_id(), self._started_at, ended_at))


class _UnrecordedSpan:
    """A step of a request of which nothing is recorded."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


UNRECORDED = _UnrecordedSpan()
"""The one such step: it costs nothing and remembers nothing."""

CURRENT_SPANS: ContextVar[RequestSpans | None] = ContextVar("current_spans", default=None)
"""The spans of the request that is being handled, for log lines and for requests that the SMART server makes."""


def new_span_id() -> int:
    """A new id. It is no secret, and processes that are forked do not share the state of `random`."""
    return random.getrandbits(64) or 1


def new_trace_id() -> int:
    """A new id."""
    return random.getrandbits(128) or 1
