"""Client assertions for tests: a client, its keys, and assertions signed with them."""

from collections.abc import Mapping
from typing import Any

from joserfc import jwt

from gateway.credentials.client_keys import ClientKeys
from gateway.credentials.verify_client_assertion import (
    AssertionVerifier,
)
from gateway.oauth.client.client import AuthenticationMethod, Client
from gateway.oauth.client.client_assertion_rules import AssertionRefused
from tests.credentials.signed_tokens import NOW, StubDocument, private_key, published_jwk

ENDPOINT = "https://gateway.example/auth/token"
RSA, EC256, EC384 = private_key("RS384"), private_key("ES256"), private_key("ES384")
KEYS = {"rsa": RSA, "p256": EC256, "p384": EC384}
PUBLIC = [published_jwk(key, kid) for kid, key in KEYS.items()]
CLIENT = Client("app", "App", AuthenticationMethod.PRIVATE_KEY_JWT, jwks={"keys": PUBLIC})
KID_FOR = {"RS256": "rsa", "RS384": "rsa", "PS384": "rsa", "ES256": "p256", "ES384": "p384"}
UNKNOWN = "the client has no single key of that kid that fits the alg"
NOT_THE_KEYS = "the signature is not the key's"


def valid_claims(**changes: Any) -> dict[str, Any]:
    usual = {"iss": "app", "sub": "app", "aud": ENDPOINT, "exp": NOW + 300, "jti": "random-1"}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def sign_assertion(algorithm: str = "RS384", claims: Mapping[str, Any] | None = None, **header: Any) -> str:
    """An assertion signed by joserfc with the client's key for the algorithm, without header members that are None."""
    members = {"alg": algorithm, "typ": "JWT", "kid": KID_FOR[algorithm], **header}
    key = KEYS[KID_FOR[algorithm]]
    written = {name: value for name, value in members.items() if value is not None}
    return jwt.encode(written, dict(valid_claims() if claims is None else claims), key, algorithms=[algorithm])


async def no_fetch(url: str) -> StubDocument:
    raise AssertionError(url)


async def verify(assertion: str, client: Client = CLIENT, verifier: AssertionVerifier | None = None) -> str:
    """The word `proved`, or why the assertion is refused."""
    try:
        await (verifier or AssertionVerifier(ClientKeys(no_fetch))).verify(assertion, client, ENDPOINT, NOW)
    except AssertionRefused as refused:
        return refused.detail
    return "proved"
