"""Whether a key set that a client registers by value can be used: every flaw is told before the first token (R-9)."""

import base64
import binascii
from collections import Counter
from collections.abc import Mapping
from typing import Any

from gateway.oauth.assertion import ALGORITHMS

MAX_KEYS = 200
# Bits; the lower limit is NIST SP 800-131A's. Checks with a longer key than the upper would stall everybody.
SMALLEST_RSA = 2048
LARGEST_RSA = 8192

_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
_PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
# Octets of a coordinate, and the algorithm that the curve is for (RFC 7518 3.4, 6.2.1).
_CURVES = {"P-256": (32, "ES256"), "P-384": (48, "ES384")}


class ClientJwksError(ValueError):
    """The key set cannot be used; the message names the key."""


def check_client_jwks(jwks: Mapping[str, Any]) -> None:
    """Refuse what could never verify an assertion, or must not be told to anybody. Raises `ClientJwksError`.

    Whether a point lies on its curve is seen when the key is first used; such a key verifies nothing.
    """
    keys = jwks.get("keys")
    if not isinstance(keys, list | tuple) or not keys:
        raise ClientJwksError("it needs a member keys, with at least one key")
    if len(keys) > MAX_KEYS:
        raise ClientJwksError(f"it has {len(keys)} keys, and {MAX_KEYS} is the most")
    for position, key in enumerate(keys, start=1):
        _check_key(key, position)
    for kid, count in Counter(key["kid"] for key in keys).items():
        if count > 1:
            raise ClientJwksError(f"{count} keys have the kid {kid!r}, which must be unique")
    if not any(_may_verify(key) for key in keys):
        raise ClientJwksError("none of its keys is for verifying signatures, by its use and key_ops")


def _check_key(key: object, position: int) -> None:
    if not isinstance(key, Mapping):
        raise ClientJwksError(f"key {position} is no JSON object")
    kid, kind = key.get("kid"), key.get("kty")
    if not isinstance(kid, str) or not kid:
        raise ClientJwksError(f"key {position} has no kid")
    name = f"key {kid!r}"
    if not isinstance(kind, str) or not kind:
        raise ClientJwksError(f"{name} has no kty")
    if kind not in _MEMBERS:
        raise ClientJwksError(f"{name} has the kty {kind!r}, and RSA or EC is needed")
    private = [member for member in _PRIVATE_MEMBERS if member in key]
    if private:
        raise ClientJwksError(f"{name} has the private member {private[0]}: make a new key, this one is no secret now")
    missing = [member for member in _MEMBERS[kind] if not isinstance(key.get(member), str)]
    if missing:
        raise ClientJwksError(f"{name} needs the member {missing[0]}, which is missing or no string")
    fitting = _check_rsa(key, name) if kind == "RSA" else _check_ec(key, name)
    if _may_verify(key) and key.get("alg", fitting[0]) not in fitting:
        raise ClientJwksError(f"{name} has the alg {key['alg']!r}, and {' or '.join(fitting)} is needed")


def _check_rsa(key: Mapping[str, Any], name: str) -> list[str]:
    """The algorithms that fit."""
    modulus, exponent = (_octets(key, member, name) for member in ("n", "e"))
    bits = int.from_bytes(modulus, "big").bit_length()
    if not SMALLEST_RSA <= bits <= LARGEST_RSA:
        raise ClientJwksError(f"{name} has {bits} bits, and {SMALLEST_RSA} to {LARGEST_RSA} are needed")
    # With an exponent of 1 anybody's signature would hold.
    number = int.from_bytes(exponent, "big")
    if number < 3 or number % 2 == 0:
        raise ClientJwksError(f"{name} has an e that is no odd number of at least 3")
    return sorted(one for one in ALGORITHMS if one.startswith(("RS", "PS")))


def _check_ec(key: Mapping[str, Any], name: str) -> list[str]:
    """The algorithms that fit."""
    if key["crv"] not in _CURVES:
        raise ClientJwksError(f"{name} has the crv {key['crv']!r}, and {' or '.join(_CURVES)} is needed")
    length, algorithm = _CURVES[key["crv"]]
    for member in ("x", "y"):
        octets = len(_octets(key, member, name))
        if octets != length:
            raise ClientJwksError(f"{name} has {octets} octets in {member}, and {key['crv']} has {length}")
    return [algorithm]


def _octets(key: Mapping[str, Any], member: str, name: str) -> bytes:
    """Base64url without padding (RFC 7518 2)."""
    text = key[member]
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded or "=" in text or "+" in text or "/" in text:
        raise ClientJwksError(f"{name} has no base64url in {member}")
    return decoded


def _may_verify(key: Mapping[str, Any]) -> bool:
    operations = key.get("key_ops", ("verify",))
    return key.get("use", "sig") == "sig" and isinstance(operations, list | tuple) and "verify" in operations
