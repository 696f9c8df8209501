"""The published keys of the tests of token verification, and the reason that a token is refused for."""

from typing import Any

from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.unverified_token import parse_token
from gateway.credentials.verify_token import TokenVerifier
from gateway.policy.reasons import Reason
from tests.credentials.signed_tokens import (
    NOW,
    StubDocument,
    StubPublisher,
    jwks_document,
    make_issuer,
    private_key,
    published_jwk,
)

PUBLIC = published_jwk(private_key("ES256"))
RSA_PUBLIC = published_jwk(private_key("RS256"), "rsa")
JWKS = jwks_document(PUBLIC, RSA_PUBLIC, published_jwk(private_key("RS256", 5), "enc", use="enc"))


async def refusal_reason(
    text: str, *, now: float = NOW, publisher: StubPublisher | None = None, **changes: Any
) -> Reason:
    """The reason that the token is refused for; `PERMITTED` if it is accepted."""
    verifier = TokenVerifier(make_issuer(**changes), (publisher or StubPublisher(StubDocument(JWKS))).issuer_keys())
    try:
        await verifier.verify(parse_token(text), now)
    except TokenRefused as refused:
        return refused.reason
    return Reason.PERMITTED
