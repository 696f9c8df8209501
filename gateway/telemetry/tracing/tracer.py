"""Decides of which requests spans are recorded, and hands on what was recorded."""

import time
from collections.abc import Collection, Mapping

from gateway.settings.serving.tracing import Tracing
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.tracing.attributes import FhirPaths, ServerNames, describe_request, describe_response
from gateway.telemetry.tracing.span_export import SpanExport
from gateway.telemetry.tracing.spans import RequestSpans, new_span_id, new_trace_id
from gateway.telemetry.tracing.trace_context import TraceContext, read_trace_context, sampled, write_trace_context

# Consistent with the sampler TraceIdRatioBased of OpenTelemetry's SDKs: the last 8 bytes of the trace id decide.
_DECIDING_BITS = (1 << 64) - 1


class Tracer:
    """Records the requests of one gateway. Without one, nothing is recorded at all."""

    def __init__(self, settings: Tracing, export: SpanExport, upstream_base: str, operations: Collection[str]) -> None:
        """`upstream_base` is the base URL of the FHIR server. `operations` are the names that templates may hold."""
        self._paths = FhirPaths(operations)
        self._server_names = ServerNames(upstream_base, self._paths)
        self._bound = round(settings.sample_ratio * (_DECIDING_BITS + 1))
        self._parent_based = settings.parent_based
        self.export = export

    def start(self, headers: Mapping[bytes, bytes]) -> RequestSpans | TraceContext:
        """The spans of a request that begins now, by its headers; or else the trace that is passed on unrecorded.

        The client's trace goes on. A request without one begins a trace, of which the FHIR server is told as well that
        it is not recorded, so that it does not begin another one.
        """
        context = read_trace_context(headers)
        trace_id = new_trace_id() if context is None else int(context.trace_id, 16)
        if context is not None and self._parent_based:
            is_sampled = context.is_sampled
        else:
            is_sampled = (trace_id & _DECIDING_BITS) < self._bound
        if not is_sampled:
            # Somebody else's span is passed on as it is: there is none of ours.
            return context or write_trace_context(trace_id, new_span_id(), None, flags=0)
        started_at = time.perf_counter()
        return RequestSpans(
            trace_id=trace_id,
            span_id=new_span_id(),
            parent_id=0 if context is None else context.span_id,
            flags=sampled(0 if context is None else context.flags),
            tracestate=None if context is None else context.tracestate,
            started_at=started_at,
            epoch=time.time() - started_at,
            server_names=self._server_names,
            children=[],
        )

    def finish_request(self, spans: RequestSpans, record: RequestRecord, base: str, path: bytes) -> None:
        """Hand on what was recorded of a FHIR request that is over. `path` is its path below `base`."""
        route = None
        if record.interaction is not None:
            route = base + self._paths.template(path.decode("ascii", "replace"))
        spans.end(*describe_request(record, route))
        self.export.put(spans)

    def finish_response(self, spans: RequestSpans, method: str, route: str | None, status: int) -> None:
        """Hand on what was recorded of any other request. `status` is 0 if there was no response."""
        spans.end(*describe_response(method, route, status))
        self.export.put(spans)
