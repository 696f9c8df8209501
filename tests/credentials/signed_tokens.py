"""An issuer for tests: keys, signed tokens, and a stub that publishes a key set and records its requests."""

import base64
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from pydantic import SecretStr

from gateway.credentials.issuer_keys import IssuerKeys
from gateway.credentials.trusted_issuer import SIGNATURE_ALGORITHMS, TrustedIssuer
from gateway.settings.authorization.issuers import Introspection

ISSUER = "https://issuer.example"
AUDIENCE = "https://gateway.example/fhir"
NOW = 1_800_000_000.0
JWKS_URL = "https://issuer.example/keys"

CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


def private_key(algorithm: str, number: int = 0) -> ECKey | RSAKey:
    """A private key for the algorithm, a different one for each number."""
    return _generate_key(CURVES.get(algorithm), number)


@functools.cache
def _generate_key(curve: str | None, number: int) -> ECKey | RSAKey:
    assert number >= 0
    return RSAKey.generate_key(2048, private=True) if curve is None else ECKey.generate_key(curve, private=True)


def published_jwk(key: ECKey | RSAKey, kid: str | None = "one", **members: Any) -> dict[str, Any]:
    """The key as a member of a JWK Set, without members that are None."""
    member = {**key.as_dict(private=False), "use": "sig", "kid": kid, **members}
    return {name: value for name, value in member.items() if value is not None}


def jwks_document(*members: Mapping[str, Any]) -> bytes:
    """A JWK Set as a document."""
    return json.dumps({"keys": list(members)}).encode()


def valid_claims(**changes: Any) -> dict[str, Any]:
    """Claims that are accepted, with changes and without claims that are None."""
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


def sign_token(
    claims: Mapping[str, Any] | None = None,
    *,
    algorithm: str = "ES256",
    number: int = 0,
    kid: str | None = "one",
    header: Mapping[str, Any] | None = None,
) -> str:
    """A token signed by joserfc. `header` changes the usual header; members that are None are left out."""
    members = {"alg": algorithm, "typ": "at+jwt", "kid": kid, **(header or {})}
    return jwt.encode(
        {name: value for name, value in members.items() if value is not None},
        dict(valid_claims() if claims is None else claims),
        private_key(algorithm, number),
        algorithms=[algorithm],
    )


def base64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact_jws(header: Mapping[str, Any] | bytes, claims: Mapping[str, Any] | bytes, signature: bytes = b"sig") -> str:
    """A compact JWS of these parts."""
    parts = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims))
    return ".".join([*map(base64url, parts), base64url(signature)])


def make_issuer(**changes: Any) -> TrustedIssuer:
    """An issuer with a JWKS URL, with changes."""
    settings: dict[str, Any] = {
        "issuer": ISSUER,
        "audiences": frozenset({AUDIENCE}),
        "algorithms": tuple(sorted(SIGNATURE_ALGORITHMS)),
        "jwks_url": JWKS_URL,
        **changes,
    }
    return TrustedIssuer(**settings)


def introspection_settings(endpoint: str, secret: str = "secret") -> Introspection:
    """The settings of introspection at an endpoint, with the client id `gateway`."""
    return Introspection(endpoint=endpoint, client_id="gateway", client_secret=SecretStr(secret))


@dataclass(frozen=True, slots=True)
class StubDocument:
    """A response with a document."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class StubPublisher:
    """Returns a document or raises, and records the requested URLs."""

    document: StubDocument | Exception
    requested_urls: list[str] = field(default_factory=list)

    async def fetch(self, url: str) -> StubDocument:
        """Return the document."""
        self.requested_urls.append(url)
        if isinstance(self.document, Exception):
            raise self.document
        return self.document

    def issuer_keys(self) -> IssuerKeys:
        """The source of the keys that this stub publishes."""
        return IssuerKeys(url=JWKS_URL, file=None, fetch=self.fetch)
