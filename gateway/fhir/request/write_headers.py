"""The headers of a write: preconditions, and what the client wants back (R4 http.html 3.1.0.1.7, 3.1.0.5)."""

import re
from collections.abc import Mapping

from gateway.fhir.request.interaction import Preconditions, ReturnPreference, Write, WriteKind
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.search.query import Query

_ENTITY_TAG = re.compile(rb'(?:W/)?"([A-Za-z0-9\-.]{1,64})"')
_SEPARATOR = re.compile(r"[,;]")
_PREFERENCES = {preference.value.lower(): preference for preference in ReturnPreference}
# Whether the gateway or the FHIR server would evaluate them is not the question: an ignored precondition loses updates.
_UNSUPPORTED = (b"if-unmodified-since", b"if-modified-since", b"if-range")


def read_write(
    kind: WriteKind, resource_type: str, resource_id: str | None, criteria: Query | None, headers: Mapping[bytes, bytes]
) -> Write:
    """The write with what its headers say. Raises `RequestError` (precondition_invalid)."""
    return Write(
        kind,
        resource_type,
        resource_id,
        criteria,
        _read_preconditions(kind, headers),
        _read_preference(headers.get(b"prefer", b"")),
    )


def _read_preconditions(kind: WriteKind, headers: Mapping[bytes, bytes]) -> Preconditions:
    for name in _UNSUPPORTED:
        if name in headers:
            raise _invalid(name, "Use If-Match with the version.")
    if_match, if_none_match = headers.get(b"if-match"), headers.get(b"if-none-match")
    if b"if-none-exist" in headers and kind is not WriteKind.CREATE:
        raise _invalid(b"if-none-exist", "Only a create takes it; other writes have criteria in their address.")
    if if_match is not None and kind is WriteKind.CREATE:
        raise _invalid(b"if-match", "A create has no version to match; If-None-Exist makes it conditional.")
    if if_none_match is not None and (kind is not WriteKind.UPDATE or if_none_match.strip() != b"*"):
        raise _invalid(b"if-none-match", "A write takes it with an update, as *.")
    if if_match is not None and if_none_match is not None:
        raise _invalid(b"if-none-match", "It contradicts If-Match.")
    return Preconditions(_read_version(if_match), if_none_match is not None)


def _read_version(if_match: bytes | None) -> str | None:
    if if_match is None:
        return None
    value = if_match.strip()
    if value == b"*":
        return "*"
    match = _ENTITY_TAG.fullmatch(value)
    if match is None:
        raise _invalid(b"if-match", 'It is one entity tag, such as W/"3".')
    return match[1].decode("ascii")


def _invalid(name: bytes, hint: str) -> RequestError:
    return RequestError(RequestProblem.PRECONDITION_INVALID, name.decode("ascii"), hint)


def _read_preference(prefer: bytes) -> ReturnPreference:
    """The first `return=` (RFC 7240 2). Unknown preferences are ignored, as the RFC says."""
    for part in _SEPARATOR.split(prefer.decode("latin-1")) if prefer else ():
        name, _, value = part.partition("=")
        if name.strip().lower() == "return":
            return _PREFERENCES.get(value.strip().strip('"').lower(), ReturnPreference.REPRESENTATION)
    return ReturnPreference.REPRESENTATION
