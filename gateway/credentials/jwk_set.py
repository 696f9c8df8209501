"""Parses a JWK Set into the keys that may verify signatures. Doubtful keys are ignored (RFC 7517)."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.jws import JWSRegistry

from gateway.oauth.client.registered_jwks import MAX_KEYS, MAX_RSA_BITS, MIN_RSA_BITS

MAX_DOCUMENT_BYTES = 1_000_000

_PUBLIC_MEMBERS = frozenset({"kty", "alg", "n", "e", "crv", "x", "y"})


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key and the `kid` that it is published with."""

    kid: str | None
    key: Key


@dataclass(frozen=True, slots=True)
class JwkSet:
    """The keys of one issuer."""

    keys: tuple[PublishedKey, ...]

    def find(self, kid: str | None, algorithm: str) -> Key | None:
        """The only key with that `kid` that fits the algorithm. None as `kid` matches every key (edge case 68)."""
        fitting = [entry.key for entry in self.keys if kid in {None, entry.kid} and _fits(entry.key, algorithm)]
        return fitting[0] if len(fitting) == 1 else None


def parse_jwk_set(body: bytes) -> JwkSet:
    """The keys that may verify signatures.

    Ignored are symmetric keys, encryption keys (Keycloak publishes one), different keys with the same `kid`, RSA keys
    whose size is out of bounds, and keys that cannot be read. Raises `ValueError` if the document is no JWK Set.
    """
    if len(body) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"the JWKS is larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # The parser's own words differ from version to version, and quote what a server sent.
        raise ValueError("the document is not JSON in UTF-8") from error
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise ValueError("the document is not a JWKS")
    if len(members) > MAX_KEYS:
        raise ValueError(f"the JWKS has more than {MAX_KEYS} keys")
    keys: dict[tuple[str | None, str], PublishedKey] = {}
    for member in members:
        key = _parse_key(member) if isinstance(member, dict) else None
        if key is not None:
            keys[key.kid, key.key.thumbprint()] = key
    ids = [kid for kid, _ in keys]
    return JwkSet(tuple(key for (kid, _), key in keys.items() if kid is None or ids.count(kid) == 1))


def _parse_key(member: Mapping[str, Any]) -> PublishedKey | None:
    kid, operations = member.get("kid"), member.get("key_ops", ["verify"])
    if not isinstance(kid, str | None) or member.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    public = {name: value for name, value in member.items() if name in _PUBLIC_MEMBERS}
    try:
        with warnings.catch_warnings():
            # joserfc warns about a short RSA key, which is ignored here.
            warnings.simplefilter("ignore")
            match public.get("kty"):
                case "RSA":
                    rsa_key = RSAKey.import_key(public)
                    is_size_accepted = MIN_RSA_BITS <= rsa_key.raw_value.key_size <= MAX_RSA_BITS
                    return PublishedKey(kid, rsa_key) if is_size_accepted else None
                case "EC":
                    return PublishedKey(kid, ECKey.import_key(public))
                case _:
                    return None
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        return None


def _fits(key: Key, algorithm: str) -> bool:
    """Whether the key has the type and curve of the algorithm, and no other `alg` (RFC 7518 3, RFC 7517 4.4)."""
    try:
        JWSRegistry.algorithms[algorithm].check_key(key)
    except JoseError:
        return False
    return True
