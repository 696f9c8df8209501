"""A JWKS as the keys in it that may verify; a doubtful key is left out, never guessed at (RFC 7517)."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.jws import JWSRegistry

# NIST SP 800-131A; above the second a single check would stall the worker.
SMALLEST_RSA = 2048
LARGEST_RSA = 8192
MAX_DOCUMENT = 1_000_000
MAX_KEYS = 200

_PUBLIC_MEMBERS = frozenset({"kty", "alg", "n", "e", "crv", "x", "y"})


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key and the id it is published under."""

    kid: str | None
    key: Key


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one issuer."""

    keys: tuple[PublishedKey, ...]

    def find(self, kid: str | None, algorithm: str) -> Key | None:
        """The one key of that id that fits the algorithm; without an id, the only one that fits (edge case 68)."""
        fitting = [one.key for one in self.keys if kid in {None, one.kid} and _fits(one.key, algorithm)]
        return fitting[0] if len(fitting) == 1 else None


def read_key_set(body: bytes) -> KeySet:
    """The keys that may verify.

    Left out: symmetric keys, keys for encryption (Keycloak publishes one), ids that two different keys share, RSA
    below 2048 bits, and what cannot be read. Raises `ValueError` where the document is no JWKS.
    """
    if len(body) > MAX_DOCUMENT:
        raise ValueError(f"the JWKS is larger than {MAX_DOCUMENT} bytes")
    document = orjson.loads(body)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("the document is not a JWKS")
    if len(listed) > MAX_KEYS:
        raise ValueError(f"the JWKS has more than {MAX_KEYS} keys")
    found: dict[tuple[str | None, str], PublishedKey] = {}
    for member in listed:
        key = _key(member) if isinstance(member, dict) else None
        if key is not None:
            found[key.kid, key.key.thumbprint()] = key
    ids = [kid for kid, _ in found]
    return KeySet(tuple(key for (kid, _), key in found.items() if kid is None or ids.count(kid) == 1))


def _key(member: Mapping[str, Any]) -> PublishedKey | None:
    kid, operations = member.get("kid"), member.get("key_ops", ["verify"])
    if not isinstance(kid, str | None) or member.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    public = {name: value for name, value in member.items() if name in _PUBLIC_MEMBERS}
    try:
        with warnings.catch_warnings():
            # joserfc warns of a short RSA key; here it is left out.
            warnings.simplefilter("ignore")
            match public.get("kty"):
                case "RSA":
                    rsa = RSAKey.import_key(public)
                    fit = SMALLEST_RSA <= rsa.raw_value.key_size <= LARGEST_RSA
                    return PublishedKey(kid, rsa) if fit else None
                case "EC":
                    return PublishedKey(kid, ECKey.import_key(public))
                case _:
                    return None
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        return None


def _fits(key: Key, algorithm: str) -> bool:
    """Whether the key has the algorithm's type, its curve, and no other `alg` (RFC 7518 3, RFC 7517 4.4)."""
    try:
        JWSRegistry.algorithms[algorithm].check_key(key)
    except JoseError:
        return False
    return True
