"""A bearer resolver with the issuers around it, for the tests of this folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.credentials.token_refused import TokenRefused
from gateway.policy.permission.access import Access
from gateway.policy.permission.claims import ClaimMapping
from gateway.policy.reasons import Reason
from gateway.proxy.bearer_token.bearer_resolver import BearerResolver, IssuerTrust
from gateway.proxy.bearer_token.connection_memory import ConnectionMemory
from gateway.proxy.bearer_token.token_cache import BearerTokenCache
from tests.credentials.signed_tokens import (
    AUDIENCE,
    NOW,
    StubDocument,
    StubPublisher,
    introspection_settings,
    jwks_document,
    make_issuer,
    private_key,
    published_jwk,
)

OPAQUE_ISSUER = "https://opaque.example"


INTROSPECTION = introspection_settings("https://opaque.example/introspect")


KEY_SET = jwks_document(published_jwk(private_key("ES256")))


@dataclass
class ResolverSetup:
    """A resolver, an issuer with keys, and issuers whose tokens are introspected."""

    publisher: StubPublisher = field(default_factory=lambda: StubPublisher(StubDocument(KEY_SET)))
    introspection_response: dict[str, Any] = field(default_factory=dict)
    opaque_issuers: int = 1
    has_signed_issuer: bool = True
    introspected_tokens: list[str] = field(default_factory=list)
    cache: BearerTokenCache = field(default_factory=lambda: BearerTokenCache(entries=100, max_age=60, refusals=100))
    claim_mapping: ClaimMapping = field(default_factory=ClaimMapping)

    def __post_init__(self) -> None:
        trusts = (
            [IssuerTrust(make_issuer(), self.claim_mapping, self.publisher.issuer_keys())]
            if self.has_signed_issuer
            else []
        )
        for number in range(self.opaque_issuers):
            issuer = make_issuer(issuer=f"{OPAQUE_ISSUER}/{number}", jwks_url=None, introspection=INTROSPECTION)
            trusts.append(IssuerTrust(issuer, self.claim_mapping, None))
        self.resolver = BearerResolver(trusts, self.cache, [AUDIENCE, "http://upstream/fhir"], self.post)

    async def post(self, url: str, form: Mapping[str, str], auth: tuple[str, str]) -> StubDocument:
        """The introspection endpoint of all these issuers."""
        self.introspected_tokens.append(form["token"])
        usual = {"active": True, "client_id": "app", "exp": NOW + 300, "aud": AUDIENCE, "scope": "user/*.rs"}
        return StubDocument(json.dumps({**usual, **self.introspection_response}).encode())

    async def resolve(self, authorization: bytes | None, now: float = NOW) -> Access | Reason:
        """Resolve as the proxy does: first from the cache, then by a check."""
        result = self.resolver.resolve_cached(authorization, ConnectionMemory(), now)
        if result is None:
            try:
                result = await self.resolver.resolve(authorization, now)
            except TokenRefused as refused:
                result = refused
        return result.reason if isinstance(result, TokenRefused) else result


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()
