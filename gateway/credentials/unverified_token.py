"""Parses a compact JWS strictly, without verifying it (RFC 7515, RFC 8725)."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.credentials.token_refused import TokenRefused
from gateway.policy.reasons import Reason

MAX_TOKEN_LENGTH = 16384
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """The header and claims of a token, its signature, and the bytes that the signature covers."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def looks_like_jwt(token: str) -> bool:
    """Whether the token has the form of a compact JWS."""
    return _COMPACT.fullmatch(token) is not None


def parse_token(text: str) -> UnverifiedToken:
    """Parse a token. Raises `TokenRefused` for anything but a plain JWS whose header and claims are JSON objects."""
    if len(text) > MAX_TOKEN_LENGTH or not looks_like_jwt(text):
        raise TokenRefused(Reason.TOKEN_MALFORMED, "not a compact JWS, or too long")
    header_part, claims_part, signature_part = text.split(".")
    try:
        header = parse_json_object(_decode_base64url(header_part))
        claims = parse_json_object(_decode_base64url(claims_part))
        signature = _decode_base64url(signature_part)
    except ValueError as error:
        raise TokenRefused(Reason.TOKEN_MALFORMED, f"a part of the token: {error}") from error
    # An unknown extension makes the JWS invalid (RFC 7515 4.1.11); b64 changes what is signed.
    for name in ("crit", "b64"):
        if name in header:
            raise TokenRefused(Reason.TOKEN_MALFORMED, f"the header parameter {name} is not supported")
    return UnverifiedToken(header, claims, text[: -len(signature_part) - 1].encode("ascii"), signature)


def parse_json_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises `ValueError`, also for duplicate members.

    Two parsers read it: orjson refuses NaN, lone surrogates and deep nesting; the parser of the standard library
    reports duplicate members.
    """
    value = orjson.loads(data)
    if not isinstance(value, dict):
        raise ValueError("is no JSON object")
    try:
        json.loads(data, object_pairs_hook=_reject_duplicates)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    return value


def _decode_base64url(part: str) -> bytes:
    """Decode base64url without padding. Only the canonical form is accepted, so a token has one form (RFC 7515 2)."""
    try:
        decoded = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("is not base64url") from error
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part.encode("ascii"):
        raise ValueError("is not canonical base64url")
    return decoded


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("names a member twice")
    return members
