"""An issuer for tests: keys, tokens good and bad, and a key set that counts how often it is asked for."""

import base64
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from gateway.keys.issuers import SIGNATURE_ALGORITHMS, TrustedIssuer
from gateway.keys.jwks import JwksSource

ISSUER = "https://issuer.example"
AUDIENCE = "https://gateway.example/fhir"
NOW = 1_800_000_000.0
JWKS_URL = "https://issuer.example/keys"

CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


def private_key(algorithm: str, number: int = 0) -> ECKey | RSAKey:
    """A key that signs with the algorithm; another one for each number."""
    return _made(CURVES.get(algorithm), number)


@functools.cache
def _made(curve: str | None, number: int) -> ECKey | RSAKey:
    assert number >= 0
    return RSAKey.generate_key(2048, private=True) if curve is None else ECKey.generate_key(curve, private=True)


def published(key: ECKey | RSAKey, kid: str | None = "one", **members: Any) -> dict[str, Any]:
    """The key as it stands in a JWKS; a member of None is left out."""
    member = {**key.as_dict(private=False), "use": "sig", "kid": kid, **members}
    return {name: value for name, value in member.items() if value is not None}


def key_set(*members: Mapping[str, Any]) -> bytes:
    """A JWKS document."""
    return json.dumps({"keys": list(members)}).encode()


def good_claims(**changes: Any) -> dict[str, Any]:
    """Claims that are accepted, changed; a claim of None is left out."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "someone",
        "client_id": "app",
        "scope": "patient/*.rs",
        "patient": "pat-a",
        "iat": NOW - 10,
        "exp": NOW + 300,
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def signed(
    claims: Mapping[str, Any] | None = None,
    *,
    algorithm: str = "ES256",
    number: int = 0,
    kid: str | None = "one",
    header: Mapping[str, Any] | None = None,
) -> str:
    """A token made by joserfc. `header` is laid over the usual one; a member of None is left out."""
    members = {"alg": algorithm, "typ": "at+jwt", "kid": kid, **(header or {})}
    return jwt.encode(
        {name: value for name, value in members.items() if value is not None},
        dict(good_claims() if claims is None else claims),
        private_key(algorithm, number),
        algorithms=[algorithm],
    )


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(header: Mapping[str, Any] | bytes, claims: Mapping[str, Any] | bytes, signature: bytes = b"sig") -> str:
    """A compact JWS of these very parts."""
    parts = (one if isinstance(one, bytes) else json.dumps(one).encode() for one in (header, claims))
    return ".".join([*map(encoded, parts), encoded(signature)])


def trusted(**changes: Any) -> TrustedIssuer:
    """The issuer as the gateway knows it."""
    settings: dict[str, Any] = {
        "issuer": ISSUER,
        "audiences": frozenset({AUDIENCE}),
        "algorithms": tuple(sorted(SIGNATURE_ALGORITHMS)),
        "jwks_url": JWKS_URL,
        **changes,
    }
    return TrustedIssuer(**settings)


@dataclass(frozen=True, slots=True)
class Page:
    """A document as a client would have fetched it."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Publisher:
    """Gives out a page, or raises, and keeps what it was asked for."""

    page: Page | Exception
    asked: list[str] = field(default_factory=list)

    async def fetch(self, url: str) -> Page:
        """The page."""
        self.asked.append(url)
        if isinstance(self.page, Exception):
            raise self.page
        return self.page

    def source(self) -> JwksSource:
        """The gateway's view of this publisher."""
        return JwksSource(url=JWKS_URL, file=None, fetch=self.fetch)
