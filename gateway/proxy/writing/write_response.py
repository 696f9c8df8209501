"""The response to a write: what the server did, and of the resource only what the token may read."""

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from gateway.asgi.response import FHIR_HEADERS, FhirResponse
from gateway.asgi.types import Header
from gateway.fhir.reference import ID_PATTERN
from gateway.fhir.request.interaction import ReturnPreference
from gateway.fhir.resources.operation_outcome import build_operation_outcome, encode_outcome
from gateway.fhir.resources.resource import (
    MalformedResourceError,
    Members,
    check_utf8,
    decode_members,
    read_resource,
    read_type_and_id,
)
from gateway.fhir.resources.resource import remove_white_space as compact
from gateway.fhir.resources.version import ResourceVersion, read_version
from gateway.policy.decision_types import AllowWrite
from gateway.policy.judgement.judge_resource import judge_resource, may_be_vouched_for
from gateway.policy.permission.permission import Permission
from gateway.policy.reasons import Reason
from gateway.policy.writing.binary_owner import find_owner
from gateway.proxy.reading.read_response import build_validators

_NO_CONTENT: tuple[Header, ...] = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class WrittenState(msgspec.Struct, frozen=True, gc=False):
    """A resource as the server gave it back: its id, and its body and version if the token may read them."""

    id: str | None
    body: bytes = b""
    version: ResourceVersion | None = None


def read_written(body: bytes, address: tuple[str, str | None], allow: AllowWrite) -> WrittenState:
    """Judge the body of a response to a write. `address` is the type, and the id if it is known.

    What is not the resource, or may not be read, is not an error: the write is done.
    """
    resource_type, known_id = address
    try:
        check_utf8(body)
        members, text = read_resource(compact(body))
        found = read_type_and_id(members)
        if found is None or found[0] != resource_type or known_id not in (None, found[1]):
            return WrittenState(known_id)
        permission = allow.grant.read_permission(resource_type)
        if not permission or not _may_read(members, permission, allow):
            return WrittenState(found[1])
        return WrittenState(found[1], text, read_version(members))
    except MalformedResourceError:
        return WrittenState(known_id)


def _may_read(members: Members, permission: Permission, allow: AllowWrite) -> bool:
    """Whether the token may read what came of the write. The owner of a Binary was looked up before."""
    if judge_resource(members, permission, allow.grant) is True:
        return True
    if allow.readable_owner is None or not may_be_vouched_for(members, permission):
        return False
    resource = decode_members(members, ("securityContext", "contained"))
    return "contained" not in resource and find_owner(resource, allow.grant.rules) == allow.readable_owner


def find_created_id(headers: Sequence[Header], resource_type: str) -> str | None:
    """The id of a created resource, by the path of `Location` or `Content-Location`; None if neither says it."""
    pattern = _address_of(resource_type)
    for wanted in (b"location", b"content-location"):
        for name, value in headers:
            match = pattern.fullmatch(value.decode("latin-1")) if name == wanted else None
            if match is not None:
                return match[1]
    return None


# There are as many as there are types.
@lru_cache(256)
def _address_of(resource_type: str) -> re.Pattern[str]:
    return re.compile(rf"(?:.*/)?{resource_type}/({ID_PATTERN.pattern})(?:/_history/{ID_PATTERN.pattern})?")


def build_write_response(status: int, written: WrittenState, allow: AllowWrite) -> FhirResponse:
    """The response, with `Location` for what is new (R4 http.html 3.1.0.8).

    Without the letter `r` there are neither body nor version, and `Location` names the id alone.
    """
    write, headers = allow.write, list[Header]()
    base = allow.grant.rules.public_base
    if written.id is not None:
        location = f"{base}/{write.resource_type}/{written.id}"
        version_id = written.version.version_id if written.version is not None else None
        versioned = location if version_id is None else f"{location}/_history/{version_id}"
        headers.append((b"location" if status == 201 else b"content-location", versioned.encode("ascii")))
    if written.version is not None:
        headers += build_validators(written.version)
    if write.preference is ReturnPreference.OUTCOME:
        outcome = build_operation_outcome(
            code="informational", reason="written", text="The resource is stored.", severity="information"
        )
        return FhirResponse(status, Reason.PERMITTED, encode_outcome(outcome), [*FHIR_HEADERS, *headers])
    if write.preference is ReturnPreference.MINIMAL or not written.body:
        return FhirResponse(status, Reason.PERMITTED, b"", [*_NO_CONTENT, *headers])
    return FhirResponse(status, Reason.PERMITTED, written.body, [*FHIR_HEADERS, *headers], kept=1)
