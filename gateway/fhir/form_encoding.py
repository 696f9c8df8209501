"""Strict decoding of application/x-www-form-urlencoded text: query strings and form bodies."""

import re
from urllib.parse import unquote_plus

from gateway.fhir.query_limits import MAX_PARAMETERS
from gateway.fhir.request_error import RequestError, RequestProblem

# Visible ASCII without `#`, and `%` only before two hexadecimal digits.
_TEXT = re.compile(rb'(?:[!"$&-~]|%[0-9A-Fa-f]{2})*')
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

Pairs = list[tuple[str, str]]


def decode_pairs(raw: bytes) -> Pairs:
    """The names and values, decoded once, in order. Empty text has none.

    Empty names and blank values are refused: a lenient server drops such criteria and returns every resource (hapi.md
    B2).
    Raises `RequestError` (query_malformed, parameter_empty, token_in_query, request_too_large).
    """
    if not raw:
        return []
    if not _TEXT.fullmatch(raw):
        raise RequestError(
            RequestProblem.QUERY_MALFORMED, hint="It must be visible ASCII, percent-encoded where needed."
        )
    if raw.count(b"&") >= MAX_PARAMETERS:
        raise RequestError(RequestProblem.REQUEST_TOO_LARGE, "parameters", f"At most {MAX_PARAMETERS} are read.")
    text = raw.decode("ascii")
    is_encoded = "%" in text or "+" in text
    return [_decode_pair(piece, is_encoded=is_encoded) for piece in text.split("&")]


def _decode_pair(piece: str, *, is_encoded: bool) -> tuple[str, str]:
    name, _, value = piece.partition("=")
    if is_encoded:
        name, value = _decode(name), _decode(value)
    if not name or name.isspace():
        raise RequestError(RequestProblem.QUERY_MALFORMED, hint="A parameter has no name.")
    if name == "access_token":
        # RFC 6750 2.3 lets servers refuse tokens in URLs, which end up in logs (edge case 121).
        raise RequestError(RequestProblem.TOKEN_IN_QUERY, name)
    if not value or value.isspace():
        raise RequestError(RequestProblem.PARAMETER_EMPTY, name)
    return name, value


def _decode(text: str) -> str:
    try:
        decoded = unquote_plus(text, errors="strict")
    except UnicodeDecodeError as error:
        raise RequestError(RequestProblem.QUERY_MALFORMED, hint="Percent-encoded bytes must be UTF-8.") from error
    if _CONTROL.search(decoded):
        raise RequestError(RequestProblem.QUERY_MALFORMED, hint="Control characters are refused.")
    return decoded
