"""Builds the request to the FHIR server for a write that is permitted."""

from gateway.fhir.request.interaction import Write, WriteKind
from gateway.fhir.resources.version import ResourceVersion
from gateway.policy.decision_types import UpstreamWrite


def build_write(write: Write, version: ResourceVersion | None, body: bytes = b"") -> UpstreamWrite:
    """The request. A patch is sent as the resource that was judged, so that nothing else can come of it."""
    if write.id is None:
        return UpstreamWrite("POST", f"/{write.resource_type}", body=body)
    path = f"/{write.resource_type}/{write.id}"
    if write.kind is WriteKind.DELETE:
        return UpstreamWrite("DELETE", path, if_match=None if version is None else version.version_id)
    if version is None:
        return UpstreamWrite("PUT", path, body=body, if_none_match=True)
    return UpstreamWrite("PUT", path, body=body, if_match=version.version_id)
