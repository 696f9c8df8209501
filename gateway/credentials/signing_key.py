"""The keys that sign id_tokens with RS256 (ID-6), published as bare public JWKs (ID-5)."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc import jwt
from joserfc.jwk import RSAKey

from gateway.oauth.client.registered_jwks import MIN_RSA_BITS

ALGORITHM = "RS256"
# A new key is published for so long before it signs that no client has an older copy of the set (authorization.md).
PUBLISHED_AHEAD_SECONDS = 3600.0


class SigningKeyError(Exception):
    """The key cannot be used. The message says why and quotes nothing of the key."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, and the time from which on it signs, in seconds since the epoch."""

    key: RSAKey
    signs_from: float


class SigningKeys:
    """All published keys, one of which signs."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        """At least one key, the oldest first."""
        self._keys = tuple(keys)

    def sign(self, claims: Mapping[str, Any], now: float) -> str:
        """A JWT with these claims, signed by the newest key that signs at `now`, in seconds since the epoch."""
        key = self._signing_key(now).key
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}, dict(claims), key, algorithms=[ALGORITHM])

    def signing_since(self, now: float) -> float:
        """Since when the key that signs at `now` has signed, in seconds since the epoch; 0 if that is not known."""
        return self._signing_key(now).signs_from

    def signing_times(self, now: float) -> tuple[tuple[str, float, bool], ...]:
        """Of each key its `kid`, since when it signs, and whether it is the one that signs at `now`."""
        signing = self._signing_key(now)
        return tuple((str(entry.key.kid), entry.signs_from, entry is signing) for entry in self._keys)

    def _signing_key(self, now: float) -> SigningKey:
        return ([entry for entry in self._keys if entry.signs_from <= now] or [self._keys[0]])[-1]

    def public_jwks(self) -> dict[str, Any]:
        """The JWK Set, with public members only."""
        return {"keys": [{**entry.key.as_dict(private=False), "use": "sig", "alg": ALGORITHM} for entry in self._keys]}


def generate_key() -> str:
    """A new private JWK as text: RSA with 2048 bits and a random `kid`."""
    key = RSAKey.generate_key(MIN_RSA_BITS, parameters={"kid": secrets.token_hex(8)}, private=True)
    return orjson.dumps(key.as_dict(private=True)).decode()


def parse_key(text: bytes | str) -> RSAKey:
    """The private key of a JWK or a PEM. Raises `SigningKeyError`."""
    try:
        data = text.encode() if isinstance(text, str) else text
        key = RSAKey.import_key(orjson.loads(data) if data.lstrip().startswith(b"{") else data)
        if not key.is_private or key.raw_value.key_size < MIN_RSA_BITS:
            raise SigningKeyError(f"The signing key must be a private RSA key of at least {MIN_RSA_BITS} bits.")
        if key.kid is None:
            key = RSAKey.import_key({**key.as_dict(private=True), "kid": key.thumbprint()})
    except (ValueError, TypeError, KeyError) as error:
        raise SigningKeyError("The signing key must be an RSA key as a JWK or a PEM.") from error
    return key
