"""Checks a JWKS that a client registers by value, so that problems show at registration (R-9)."""

import base64
import binascii
from collections import Counter
from collections.abc import Mapping
from typing import Any

from gateway.oauth.client.client_assertion_rules import ALGORITHMS

MAX_KEYS = 200
# The minimum is from NIST SP 800-131A. Verification with a key above the maximum would stall the worker.
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192

_REQUIRED_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
_PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
# Octets of a coordinate, and the algorithm of the curve (RFC 7518 3.4, 6.2.1).
_CURVES = {"P-256": (32, "ES256"), "P-384": (48, "ES384")}


class ClientJwksError(ValueError):
    """The key set cannot be used. The message names the key."""


def check_client_jwks(jwks: Mapping[str, Any]) -> None:
    """Refuse keys that cannot verify an assertion, and private keys. Raises `ClientJwksError`.

    Whether an EC point is on its curve is checked when the key is first used.
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
    if not any(_is_for_verifying(key) for key in keys):
        raise ClientJwksError("none of its keys is for verifying signatures, by its use and key_ops")


def _check_key(key: object, position: int) -> None:
    if not isinstance(key, Mapping):
        raise ClientJwksError(f"key {position} is not a JSON object")
    kid, key_type = key.get("kid"), key.get("kty")
    if not isinstance(kid, str) or not kid:
        raise ClientJwksError(f"key {position} has no kid")
    name = f"key {kid!r}"
    if not isinstance(key_type, str) or not key_type:
        raise ClientJwksError(f"{name} has no kty")
    if key_type not in _REQUIRED_MEMBERS:
        raise ClientJwksError(f"{name} has the kty {key_type!r}, and RSA or EC is needed")
    private_members = [member for member in _PRIVATE_MEMBERS if member in key]
    if private_members:
        raise ClientJwksError(
            f"{name} has the private member {private_members[0]}: make a new key, this one is no longer secret"
        )
    missing_members = [member for member in _REQUIRED_MEMBERS[key_type] if not isinstance(key.get(member), str)]
    if missing_members:
        raise ClientJwksError(f"{name} needs the member {missing_members[0]}, which is missing or not a string")
    algorithms = _check_rsa(key, name) if key_type == "RSA" else _check_ec(key, name)
    if _is_for_verifying(key) and key.get("alg", algorithms[0]) not in algorithms:
        raise ClientJwksError(f"{name} has the alg {key['alg']!r}, and {' or '.join(algorithms)} is needed")


def _check_rsa(key: Mapping[str, Any], name: str) -> list[str]:
    """The algorithms of the key."""
    modulus, exponent = (_decode_base64url(key, member, name) for member in ("n", "e"))
    bits = int.from_bytes(modulus, "big").bit_length()
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise ClientJwksError(f"{name} has {bits} bits, and {MIN_RSA_BITS} to {MAX_RSA_BITS} are needed")
    # With an exponent of 1 every signature would be valid.
    number = int.from_bytes(exponent, "big")
    if number < 3 or number % 2 == 0:
        raise ClientJwksError(f"{name} has an e that is not an odd number of at least 3")
    return sorted(algorithm for algorithm in ALGORITHMS if algorithm.startswith(("RS", "PS")))


def _check_ec(key: Mapping[str, Any], name: str) -> list[str]:
    """The algorithms of the key."""
    if key["crv"] not in _CURVES:
        raise ClientJwksError(f"{name} has the crv {key['crv']!r}, and {' or '.join(_CURVES)} is needed")
    length, algorithm = _CURVES[key["crv"]]
    for member in ("x", "y"):
        octet_count = len(_decode_base64url(key, member, name))
        if octet_count != length:
            raise ClientJwksError(f"{name} has {octet_count} octets in {member}, and {key['crv']} has {length}")
    return [algorithm]


def _decode_base64url(key: Mapping[str, Any], member: str, name: str) -> bytes:
    """Decode base64url without padding (RFC 7518 2). Raises `ClientJwksError`."""
    text = key[member]
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded or "=" in text or "+" in text or "/" in text:
        raise ClientJwksError(f"{name} has no base64url in {member}")
    return decoded


def _is_for_verifying(key: Mapping[str, Any]) -> bool:
    operations = key.get("key_ops", ("verify",))
    return key.get("use", "sig") == "sig" and isinstance(operations, list | tuple) and "verify" in operations
