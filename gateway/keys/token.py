"""A compact JWS read but not believed yet: strict about its form, silent about its truth (RFC 7515, RFC 8725)."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.keys.refused import TokenRefused
from gateway.policy.reasons import Reason

MAX_TOKEN_LENGTH = 16384
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself, and the bytes that its signature has to cover."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def looks_like_jwt(token: str) -> bool:
    """Whether the token has the three parts of a compact JWS."""
    return _COMPACT.fullmatch(token) is not None


def read_token(text: str) -> Unverified:
    """The header and claims. Raises `TokenRefused` for anything that is not one plain JWS of JSON objects."""
    if len(text) > MAX_TOKEN_LENGTH or not looks_like_jwt(text):
        raise TokenRefused(Reason.TOKEN_MALFORMED, "not a compact JWS, or too long")
    header_part, claims_part, signature_part = text.split(".")
    try:
        header, claims = json_object(_decoded(header_part)), json_object(_decoded(claims_part))
        signature = _decoded(signature_part)
    except ValueError as error:
        raise TokenRefused(Reason.TOKEN_MALFORMED, f"a part of the token: {error}") from error
    # An extension that is not understood makes the JWS invalid (RFC 7515 4.1.11); b64 changes what is signed.
    for name in ("crit", "b64"):
        if name in header:
            raise TokenRefused(Reason.TOKEN_MALFORMED, f"the header parameter {name} is not understood here")
    return Unverified(header, claims, text[: -len(signature_part) - 1].encode("ascii"), signature)


def json_object(data: bytes) -> dict[str, Any]:
    """The one JSON object that `data` is. Raises `ValueError`, also for members of the same name.

    Two parsers read it: orjson knows no NaN, no lone surrogate and no endless nesting; the standard library's shows
    every member.
    """
    value = orjson.loads(data)
    if not isinstance(value, dict):
        raise ValueError("is no JSON object")
    try:
        json.loads(data, object_pairs_hook=_without_duplicates)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    return value


def _decoded(part: str) -> bytes:
    """Base64url without padding, in its one canonical form, so that a token has one spelling (RFC 7515 2)."""
    try:
        decoded = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("is not base64url") from error
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part.encode("ascii"):
        raise ValueError("is not canonical base64url")
    return decoded


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("names a member twice")
    return members
