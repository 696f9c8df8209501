"""Spans as OTLP, by OpenTelemetry's own protobuf definitions. Imported only where traces are configured.

The messages are made directly: OpenTelemetry's SDK for Python takes several times the CPU time (docs/operating.md).
"""

import time
from collections.abc import Iterator, Mapping, Sequence

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from gateway.telemetry.tracing.attributes import DECISION_ID
from gateway.telemetry.tracing.spans import Attributes, RequestSpans, Span, SpanKind

_SCOPE = InstrumentationScope(name="smart-fhir-gateway")
# Whether the parent is in another process is known (OTLP, SpanFlags): of the client's span it is.
_KNOWN_PARENT, _REMOTE_PARENT = 0x100, 0x200
# The spans of so many requests take about a millisecond.
_AT_ONCE = 32
_KINDS = {
    SpanKind.INTERNAL: OtlpSpan.SPAN_KIND_INTERNAL,
    SpanKind.SERVER: OtlpSpan.SPAN_KIND_SERVER,
    SpanKind.CLIENT: OtlpSpan.SPAN_KIND_CLIENT,
}
# The messages of attributes that repeat. Decision ids are made anew each time.
_MAX_REMEMBERED = 2048
_remembered: dict[tuple[str, str | int | bool], KeyValue] = {}


def encode_spans(requests: Sequence[RequestSpans], resource: Mapping[str, str]) -> bytes:
    """The body of an export request. `resource` says where the spans come from."""
    spans: list[OtlpSpan] = []
    for index, request in enumerate(requests):
        spans.extend(_encode_request(request))
        if index % _AT_ONCE == _AT_ONCE - 1:
            # Lets the event loop go on, which would otherwise wait up to 5 ms for this thread.
            time.sleep(0)
    scope = ScopeSpans(scope=_SCOPE, spans=spans)
    source = Resource(attributes=_encode_attributes(resource))
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=source, scope_spans=[scope])])
    body: bytes = request.SerializeToString()
    return body


def read_rejected(body: bytes) -> int:
    """How many spans of an export the collector has not taken, as its response says. Raises `ValueError`."""
    response = ExportTraceServiceResponse()
    try:
        response.ParseFromString(body)
    except Exception as error:
        raise ValueError("not the response to an export") from error
    return response.partial_success.rejected_spans


def _encode_request(request: RequestSpans) -> Iterator[OtlpSpan]:
    trace_id = request.trace_id.to_bytes(16, "big")
    server = request.server
    if server is None:
        raise TypeError("The request is not over.")
    flags = request.flags | _KNOWN_PARENT | (_REMOTE_PARENT if request.parent_id else 0)
    yield _encode(request, server, trace_id, request.parent_id, flags)
    for child in request.children:
        yield _encode(request, child, trace_id, request.span_id, request.flags | _KNOWN_PARENT)


def _encode(request: RequestSpans, span: Span, trace_id: bytes, parent_id: int, flags: int) -> OtlpSpan:
    return OtlpSpan(
        trace_id=trace_id,
        span_id=span.span_id.to_bytes(8, "big"),
        parent_span_id=parent_id.to_bytes(8, "big") if parent_id else b"",
        flags=flags,
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=int((request.epoch + span.started_at) * 1e9),
        end_time_unix_nano=int((request.epoch + span.ended_at) * 1e9),
        attributes=_encode_attributes(span.attributes),
        status=Status(code=Status.STATUS_CODE_ERROR) if span.error else None,
    )


def _encode_attributes(attributes: Attributes) -> list[KeyValue]:
    return [_encode_attribute(name, value) for name, value in attributes.items()]


def _encode_attribute(name: str, value: str | int | bool) -> KeyValue:
    # True and 1 are equal, but not the same attribute.
    known = None if value is True or value is False else _remembered.get((name, value))
    if known is not None:
        return known
    if isinstance(value, bool):
        return KeyValue(key=name, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        encoded = KeyValue(key=name, value=AnyValue(int_value=value))
    else:
        encoded = KeyValue(key=name, value=AnyValue(string_value=value))
    if name != DECISION_ID and len(_remembered) < _MAX_REMEMBERED:
        _remembered[name, value] = encoded
    return encoded
