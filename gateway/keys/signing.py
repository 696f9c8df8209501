"""Our own signing keys: RS256 for id_tokens (ID-6), published as bare public JWKs (ID-5)."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc import jwt
from joserfc.jwk import RSAKey

ALGORITHM = "RS256"
# How long before its use a new key is published, so that no client has an older copy of the set (authorization.md).
PUBLISHED_AHEAD = 3600.0


class SigningKeyError(Exception):
    """A key that cannot sign; the message says why, never what it holds."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and from when on it signs, in seconds since the epoch."""

    key: RSAKey
    signs_from: float


class SigningKeys:
    """All keys that are published, one of which signs."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        """At least one, the oldest first."""
        self._keys = tuple(keys)

    def sign(self, claims: Mapping[str, Any], now: float) -> str:
        """A JWT of these claims by the newest key that signs already. `now` is in seconds since the epoch."""
        ready = [one for one in self._keys if one.signs_from <= now] or [self._keys[0]]
        key = ready[-1].key
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}, dict(claims), key, algorithms=[ALGORITHM])

    def published(self) -> dict[str, Any]:
        """The JWK Set: public members alone."""
        return {"keys": [{**one.key.as_dict(private=False), "use": "sig", "alg": ALGORITHM} for one in self._keys]}


def make_key() -> str:
    """A new private JWK as text: RSA of 2048 bits, with a random `kid`."""
    key = RSAKey.generate_key(2048, parameters={"kid": secrets.token_hex(8)}, private=True)
    return orjson.dumps(key.as_dict(private=True)).decode()


def read_key(text: bytes | str) -> RSAKey:
    """The private key of a JWK or a PEM. Raises `SigningKeyError`."""
    try:
        data = text.encode() if isinstance(text, str) else text
        key = RSAKey.import_key(orjson.loads(data) if data.lstrip().startswith(b"{") else data)
        if not key.is_private or key.raw_value.key_size < 2048:
            raise SigningKeyError("The signing key must be a private RSA key of at least 2048 bits.")
        if key.kid is None:
            key = RSAKey.import_key({**key.as_dict(private=True), "kid": key.thumbprint()})
    except (ValueError, TypeError, KeyError) as error:
        raise SigningKeyError("The signing key must be an RSA key as a JWK or a PEM.") from error
    return key
