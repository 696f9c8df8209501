"""What a conditional write comes to once its condition is resolved (R4 http.html 3.1.0.4.3)."""

from dataclasses import replace

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.reference import ID_PATTERN
from gateway.fhir.request.content import WrittenContent, WrittenResource, encode_resource
from gateway.fhir.request.interaction import WriteKind
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.policy.decision_types import AllowWrite
from gateway.policy.reasons import Reason

Target = tuple[AllowWrite, WrittenContent | None]


def aim_at_found(allow: AllowWrite, content: WrittenContent | None, found_id: str) -> Target:
    """The write of the resource that the condition means. Raises `RequestError` if the body names another id."""
    if isinstance(content, WrittenResource):
        if content.tree.get("id", found_id) != found_id:
            raise RequestError(RequestProblem.BODY_ID_MISMATCH, "id")
        content = encode_resource({**content.tree, "id": found_id})
    write = replace(allow.write, id=found_id, criteria=None)
    return replace(allow, write=write, condition=None), content


def aim_at_nothing(allow: AllowWrite, content: WrittenContent | None) -> Target | None:
    """The write where the condition means no resource: an update creates one. None if there is nothing to do.

    Raises `RequestRefused`.
    """
    write = allow.write
    if write.preconditions.if_match is not None:
        raise RequestRefused(Reason.PRECONDITION_FAILED, "If-Match")
    if write.kind is WriteKind.DELETE:
        return None
    if write.kind is WriteKind.PATCH or not isinstance(content, WrittenResource):
        raise RequestRefused(Reason.NOT_FOUND)
    given_id = content.tree.get("id")
    if given_id is None:
        return replace(allow, write=replace(write, kind=WriteKind.CREATE)), content
    # It becomes a part of the path.
    if not isinstance(given_id, str) or ID_PATTERN.fullmatch(given_id) is None:
        raise RequestRefused(Reason.BODY_ID_MISMATCH, "id")
    return replace(allow, write=replace(write, id=given_id, criteria=None), condition=None), content
