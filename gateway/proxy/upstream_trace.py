"""The ids that are sent to the FHIR server, for whom it is asked, the time spent waiting for it, and the spans."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager

import msgspec

from gateway.telemetry.tracing.spans import (
    CURRENT_SPANS,
    UNRECORDED,
    OpenSpan,
    RequestSpans,
    SpanName,
    new_span_id,
)
from gateway.telemetry.tracing.trace_context import TraceContext, read_trace_context
from gateway.telemetry.tracing.tracer import Tracer
from gateway.upstream.caller import Caller
from gateway.upstream.exchange_types import Headers, Request, UpstreamError


class Question(msgspec.Struct, gc=False):
    """One request to the FHIR server, while it is answered. `started_at` is a moment of `time.perf_counter`.

    `headers` are those that differ from request to request. `span_id` is 0 if nothing is recorded. `request` is None
    until it is built, `status` is 0 as long as there is no response, and `error` is what kept it from coming.
    """

    headers: Headers
    started_at: float
    span_id: int = 0
    request: Request | None = None
    status: int = 0
    error: UpstreamError | None = None


class UpstreamTrace(msgspec.Struct, gc=False):
    """Accompanies every upstream request that is made for one client request.

    `waited_seconds` is None until the first upstream request. The trace is not part of `RequestRecord` because the
    gateway also sends requests on its own account (readiness checks, the SMART server's pages), which have no record,
    and because a cached decision keeps the `RequestContext` and must not keep a finished record with it.
    `context` is what the FHIR server is told of the client's trace (W3C Trace Context). Where `spans` are recorded, it
    is told of the span of its own request instead; they are taken away when the client's request is over. `caller` is
    for whom the FHIR server is asked; None for the gateway itself.
    """

    request_id: bytes
    waited_seconds: float | None = None
    context: TraceContext | None = None
    spans: RequestSpans | None = None
    caller: Caller | None = None

    @property
    def trace_id(self) -> str:
        """The trace that the request is part of, as 32 hexadecimal digits; empty if there is none."""
        if self.spans is not None:
            return self.spans.trace
        return "" if self.context is None else self.context.trace_id

    def span(self, name: SpanName) -> AbstractContextManager[None]:
        """A step of the request, recorded where spans are."""
        return UNRECORDED if self.spans is None else OpenSpan(self.spans, name)

    def for_entry(self) -> "UpstreamTrace":
        """The same for an entry of the client's Bundle, which waits by itself."""
        return UpstreamTrace(self.request_id, context=self.context, spans=self.spans, caller=self.caller)

    def add_waiting(self, part: "UpstreamTrace") -> None:
        """Add the time that a part of the request has waited for the FHIR server."""
        if part.waited_seconds is not None:
            self.waited_seconds = (self.waited_seconds or 0.0) + part.waited_seconds

    def stay(self) -> None:
        """From now on nothing ends with the client's connection, because something may be changed."""
        if self.caller is not None and self.caller.waits is not None:
            self.caller = Caller(self.caller.client)

    def ask(self) -> Question:
        """Begin a request to the FHIR server."""
        request_id = (b"x-request-id", self.request_id)
        if self.spans is not None:
            span_id = new_span_id()
            headers = (request_id, *self.spans.context(span_id).headers)
            return Question(headers, time.perf_counter(), span_id)
        headers = (request_id,) if self.context is None else (request_id, *self.context.headers)
        return Question(headers, time.perf_counter())

    def add_answer(self, question: Question) -> None:
        """End a request to the FHIR server: add the time that it took and, where spans are recorded, its span."""
        ended_at = time.perf_counter()
        seconds = ended_at - question.started_at
        self.waited_seconds = seconds if self.waited_seconds is None else self.waited_seconds + seconds
        spans, request = self.spans, question.request
        if spans is not None and request is not None and question.span_id:
            described = spans.server_names.describe(request.method, request.target, question.status, question.error)
            spans.add_client(question.span_id, question.started_at, ended_at, described)


def open_trace(request_id: bytes, headers: Mapping[bytes, bytes], tracer: Tracer | None) -> UpstreamTrace:
    """The trace of a client request that begins now. Without a `tracer`, the client's goes on, and that is all."""
    if tracer is None:
        return UpstreamTrace(request_id, context=read_trace_context(headers))
    started = tracer.start(headers)
    if isinstance(started, TraceContext):
        return UpstreamTrace(request_id, context=started)
    # Each request has a task of its own, so that it need not be taken away again.
    CURRENT_SPANS.set(started)
    return UpstreamTrace(request_id, spans=started)
