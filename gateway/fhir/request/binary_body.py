"""A Binary that a client writes: as FHIR JSON, or as raw content whose headers say the rest (R4 binary.html 2.36.4)."""

import re
from collections.abc import Mapping
from typing import Any

from gateway.fhir.request.interaction import Write, WriteKind
from gateway.fhir.request.media_types import is_json_content_type
from gateway.fhir.request_error import RequestError, RequestProblem

_PRIMITIVES = ("id", "implicitRules", "language", "contentType", "data")
_MEMBERS = frozenset({"resourceType", "meta", "securityContext", *_PRIMITIVES, *(f"_{name}" for name in _PRIMITIVES)})
_SECURITY_CONTEXT = b"x-security-context"
_MAX_SECURITY_CONTEXT = 1024

_TOKEN = r"[A-Za-z0-9!#$&^_.+\-]{1,100}"
_PARAMETER = rf'\s?;\s?{_TOKEN}=(?:{_TOKEN}|"[ !#-\[\]-~]{{0,100}}")'
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:{_PARAMETER}){{0,8}}")
# What a server that is asked for FHIR JSON could send as it is, so that content would be taken for the resource.
_TAKEN_FOR_RESOURCE = re.compile(r"(?:application|text)/(?:fhir\+)?json\s*(?:;.*)?", re.IGNORECASE)
_FHIR = re.compile(r"application/(?:fhir\b.*|(?:json|xml)\+fhir.*)", re.IGNORECASE)


def is_raw_upload(write: Write, headers: Mapping[bytes, bytes]) -> bool:
    """Whether the body is the content of a Binary, and no resource.

    `application/json` is FHIR JSON, because common clients send resources as that.
    """
    return (
        write.resource_type == "Binary"
        and write.kind in {WriteKind.CREATE, WriteKind.UPDATE}
        and b"content-type" in headers
        and not is_json_content_type(headers[b"content-type"])
        and _FHIR.match(headers[b"content-type"].decode("latin-1").strip()) is None
    )


def parse_upload(write: Write, headers: Mapping[bytes, bytes], data: str) -> dict[str, Any]:
    """The Binary that raw content stands for, with `data` in the place of the content. Raises `RequestError`.

    What leaves is this resource: not every server takes raw content, and none has to read `X-Security-Context`.
    """
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise RequestError(RequestProblem.MEDIA_TYPE_UNSUPPORTED, "Content-Encoding", "Send it without encoding.")
    own_id = {} if write.id is None else {"id": write.id}
    tree: dict[str, Any] = {
        "resourceType": "Binary",
        **own_id,
        "contentType": headers[b"content-type"].decode("latin-1").strip(),
    }
    security_context = headers.get(_SECURITY_CONTEXT)
    if security_context is not None:
        text = security_context.decode("latin-1").strip()
        if not text.isascii() or not text.isprintable() or not 0 < len(text) <= _MAX_SECURITY_CONTEXT:
            raise RequestError(RequestProblem.BODY_MALFORMED, "X-Security-Context", "It is one reference.")
        tree["securityContext"] = {"reference": text}
    check_binary({**tree, "data": data}, "Content-Type")
    return {**tree, "data": data}


def refuse_security_context(write: Write, headers: Mapping[bytes, bytes]) -> None:
    """Raise `RequestError` for a header that belongs to raw content: beside a resource it would say nothing."""
    if write.resource_type == "Binary" and _SECURITY_CONTEXT in headers:
        hint = "In FHIR JSON, the body has securityContext."
        raise RequestError(RequestProblem.BODY_MALFORMED, "X-Security-Context", hint)


def check_binary(tree: Mapping[str, Any], offender: str = "Binary.contentType") -> None:
    """Raise `RequestError` for a Binary that can be read in more than one way.

    It has the members that R4 defines and no others. Its type is never that of a resource in JSON: such content could
    be taken for the Binary itself, and so say whose it is.
    """
    unknown = next((name for name in tree if name not in _MEMBERS), None)
    if unknown is not None:
        raise RequestError(RequestProblem.BODY_MALFORMED, f"Binary.{unknown}")
    if not isinstance(tree.get("securityContext", {}), dict):
        raise RequestError(RequestProblem.BODY_MALFORMED, "Binary.securityContext")
    if not isinstance(tree.get("data", ""), str):
        raise RequestError(RequestProblem.BODY_MALFORMED, "Binary.data")
    if "contentType" not in tree:
        return
    content_type = tree["contentType"]
    if not isinstance(content_type, str) or _MEDIA_TYPE.fullmatch(content_type) is None:
        raise RequestError(RequestProblem.MEDIA_TYPE_UNSUPPORTED, offender, "It is one media type.")
    if _TAKEN_FOR_RESOURCE.fullmatch(content_type) is not None:
        hint = "Content of this type could be taken for a FHIR resource; give it another type."
        raise RequestError(RequestProblem.MEDIA_TYPE_UNSUPPORTED, offender, hint)
