"""Failures of a read by id: which hang on the record, so that they must look as if there were none (leak_30)."""

import uuid

from gateway.asgi.refusal import RequestRefused
from gateway.policy.decision_types import UpstreamRequest
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.upstream_trace import UpstreamTrace

# Failures that are caused by the requested resource itself, and could not occur if it did not exist.
PER_RECORD_FAILURES = frozenset({Reason.UPSTREAM_MALFORMED, Reason.UPSTREAM_TOO_LARGE, Reason.UPSTREAM_REJECTED})


async def hangs_on_record(
    refused: RequestRefused, resource_type: str, server: FhirServer, trace: UpstreamTrace
) -> bool:
    """Whether the failure of a read by id would have been another one if the record did not exist.

    A 401 or 403 hangs on the gateway's credentials, and is told as 502 (enforcement.md 8), where the server gives it
    for an id that no record has as well. A server that refuses the gateway a single record tells by it that the record
    exists.
    """
    reason = refused.deny.reason
    if reason is Reason.UPSTREAM_REFUSED:
        return not await _is_refused(UpstreamRequest(f"/{resource_type}/{uuid.uuid4()}"), server, trace)
    return reason in PER_RECORD_FAILURES


async def _is_refused(upstream_request: UpstreamRequest, server: FhirServer, trace: UpstreamTrace) -> bool:
    try:
        await server.fetch(upstream_request, trace)
    except RequestRefused as refused:
        return refused.deny.reason is Reason.UPSTREAM_REFUSED
    return False
