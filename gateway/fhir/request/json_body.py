"""The FHIR JSON body of a request, which is read only if it has exactly one meaning (performance.md rule 11)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.fhir.request.media_types import is_json_content_type
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.resources.resource import MalformedResourceError, check_utf8, decode_member


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A body that is one JSON object. `text` are its bytes as they came, and `value` is what they mean."""

    value: Mapping[str, Any]
    text: bytes


def read_json_body(body: bytes, headers: Mapping[bytes, bytes]) -> JsonBody:
    """Read a body of FHIR JSON, in which no member is repeated.

    Raises `RequestError` (media_type_unsupported, body_malformed).
    """
    if not is_json_content_type(headers.get(b"content-type", b"")):
        raise RequestError(RequestProblem.MEDIA_TYPE_UNSUPPORTED, "Content-Type", "Send application/fhir+json.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RequestError(
            RequestProblem.MEDIA_TYPE_UNSUPPORTED, "Content-Encoding", "Send the body without content encoding."
        )
    try:
        check_utf8(body)
        value = decode_member(msgspec.Raw(body))
    except MalformedResourceError as error:
        raise RequestError(RequestProblem.BODY_MALFORMED, "body") from error
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise RequestError(RequestProblem.BODY_MALFORMED, "body", "It is one resource.")
    return JsonBody(value, body)
