"""Keeps the AuditEvents of a request before its response leaves: what cannot be recorded does not leave."""

from gateway.asgi.refusal import RequestRefused, refusal_response
from gateway.asgi.response import FhirResponse, StreamedBody
from gateway.policy.reasons import Reason
from gateway.proxy.record_response import record_response
from gateway.telemetry.audit_events.named_patients import patients_of_tree
from gateway.telemetry.audit_events.request_events import Answer
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.telemetry import Telemetry

_LOCATIONS = frozenset({b"location", b"content-location"})


def keep_event(response: FhirResponse, record: RequestRecord, telemetry: Telemetry, realm: str) -> FhirResponse:
    """The response if its events are kept, else a refusal. The record has the facts of the response already.

    To be called only where the telemetry keeps events.
    """
    if response.replaced is not None:
        record.written_patients += tuple(patients_of_tree(response.replaced))
    if telemetry.keep_event(record, _describe_answer(response)):
        return response
    refusal = refusal_response(RequestRefused(Reason.AUDIT_UNAVAILABLE), realm=realm)
    record_response(refusal, record)
    return refusal


def _describe_answer(response: FhirResponse) -> Answer:
    """What an AuditEvent needs to know of a response that is about to leave."""
    location = None
    for name, value in response.headers:
        if name in _LOCATIONS:
            location = value
    if isinstance(response.body, StreamedBody):
        return Answer(location=location, is_streamed=True)
    return Answer(response.body, location)
