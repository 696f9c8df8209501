"""Spans of requests, as they are recorded."""

import time

from gateway.telemetry.tracing.attributes import FhirPaths, ServerNames
from gateway.telemetry.tracing.spans import OpenSpan, RequestSpans, SpanName, new_span_id, new_trace_id

SERVER_NAMES = ServerNames("https://fhir.example/r4", FhirPaths({"everything"}))


def open_spans(parent_id: int = 0) -> RequestSpans:
    """The spans of a request that is being handled."""
    started_at = time.perf_counter()
    return RequestSpans(
        new_trace_id(), new_span_id(), parent_id, 1, None, started_at, time.time() - started_at, SERVER_NAMES, []
    )


def finished_spans(steps: int = 2, name: str = "GET /Patient/{id}") -> RequestSpans:
    """The spans of a request that is over."""
    spans = open_spans()
    for _ in range(steps):
        with OpenSpan(spans, SpanName.VERIFICATION):
            pass
    spans.end(name, {"http.request.method": "GET", "http.response.status_code": 200})
    return spans
