"""Copies the facts of a response into the record of its request."""

from gateway.asgi.response import FhirResponse
from gateway.telemetry.request_record import RequestRecord


def record_response(response: FhirResponse, record: RequestRecord) -> None:
    """Copy the facts of the response, so that its body is not kept while the record waits."""
    record.status = response.status
    record.reason = response.reason
    record.kept = response.kept
    record.dropped = response.dropped
    record.narrowing_misses = response.narrowing_misses
    record.withheld = response.withheld
    record.overtaken = response.overtaken
    if isinstance(response.body, bytes):
        record.response_bytes = len(response.body)
    else:
        record.streamed = not response.body.is_judged
