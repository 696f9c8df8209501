"""Strict reading of application/x-www-form-urlencoded text, in a query string or in a form body."""

import re
from urllib.parse import unquote_plus

from gateway.fhir.problems import Problem, RequestError

MAX_PARAMETERS = 200

# Visible ASCII without `#`, and `%` only before two hexadecimal digits.
_TEXT = re.compile(rb'(?:[!"$&-~]|%[0-9A-Fa-f]{2})*')
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

Pairs = list[tuple[str, str]]


def decode_pairs(raw: bytes) -> Pairs:
    """The names and values, decoded once, in order; an empty text has none.

    No name is empty, no value blank: a lenient server drops such criteria and answers with every row (hapi.md B2).
    Raises `RequestError` (query_malformed, parameter_empty, token_in_query, request_too_large).
    """
    if not raw:
        return []
    if not _TEXT.fullmatch(raw):
        raise RequestError(Problem.QUERY_MALFORMED, hint="It must be visible ASCII, percent-encoded where needed.")
    if raw.count(b"&") >= MAX_PARAMETERS:
        raise RequestError(Problem.REQUEST_TOO_LARGE, "parameters", f"At most {MAX_PARAMETERS} are read.")
    text = raw.decode("ascii")
    encoded = "%" in text or "+" in text
    return [_decode_pair(piece, encoded=encoded) for piece in text.split("&")]


def _decode_pair(piece: str, *, encoded: bool) -> tuple[str, str]:
    name, _, value = piece.partition("=")
    if encoded:
        name, value = _decode(name), _decode(value)
    if not name or name.isspace():
        raise RequestError(Problem.QUERY_MALFORMED, hint="A parameter has no name.")
    if name == "access_token":
        # RFC 6750 2.3 lets servers refuse it; URLs end in logs (checklist edge case 121).
        raise RequestError(Problem.TOKEN_IN_QUERY, name)
    if not value or value.isspace():
        raise RequestError(Problem.PARAMETER_EMPTY, name)
    return name, value


def _decode(text: str) -> str:
    try:
        decoded = unquote_plus(text, errors="strict")
    except UnicodeDecodeError as error:
        raise RequestError(Problem.QUERY_MALFORMED, hint="Percent-encoded bytes must be UTF-8.") from error
    if _CONTROL.search(decoded):
        raise RequestError(Problem.QUERY_MALFORMED, hint="Control characters are refused.")
    return decoded
