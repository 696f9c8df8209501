"""Copies the facts of a response, and of the decision before it, into the record of a request."""

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
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


def record_permission(grant: Grant, record: RequestRecord) -> None:
    """The policy lets the request through, under this grant."""
    record.decision, record.grant = Reason.PERMITTED, grant


def record_refusal(refused: RequestRefused, record: RequestRecord) -> None:
    """The policy refuses the request, if it was the policy that did."""
    if refused.decided_under is not None:
        record.decision, record.grant = refused.deny.reason, refused.decided_under
