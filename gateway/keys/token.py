"""A compact JWS read but not believed yet: strict about its form, silent about its truth (RFC 7515, RFC 8725)."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.keys.refused import TokenRefused
from gateway.policy.reasons import Reason

MAX_TOKEN_LENGTH = 16384
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def looks_like_jwt(token: str) -> bool:
    """Whether the token has the three parts of a compact JWS."""
    return _COMPACT.fullmatch(token) is not None


def read_token(text: str) -> Unverified:
    """The header and claims. Raises `TokenRefused` for anything that is not one plain JWS of JSON objects."""
    if len(text) > MAX_TOKEN_LENGTH or not looks_like_jwt(text):
        raise TokenRefused(Reason.TOKEN_MALFORMED, "not a compact JWS, or too long")
    header_part, claims_part, _ = text.split(".")
    header, claims = _object(header_part), _object(claims_part)
    if not {"crit", "b64"}.isdisjoint(header):
        raise TokenRefused(Reason.TOKEN_MALFORMED, "the header demands what is not understood here")
    return Unverified(text, header, claims)


def _object(part: str) -> dict[str, Any]:
    try:
        decoded = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        value = json.loads(decoded.decode(), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise TokenRefused(Reason.TOKEN_MALFORMED, "a part of the token is not a JSON object") from error
    if not isinstance(value, dict):
        raise TokenRefused(Reason.TOKEN_MALFORMED, "a part of the token is not a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
