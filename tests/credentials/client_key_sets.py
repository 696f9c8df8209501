"""Key sets of clients for tests, and how a test asks for a key."""

import dataclasses
from typing import Any

from joserfc.jwk import Key

from gateway.credentials.client_keys import ClientKeys
from gateway.oauth.client.client import AuthenticationMethod, Client
from gateway.oauth.client.client_assertion_rules import AssertionRefused
from tests.credentials.signed_tokens import StubDocument, jwks_document, private_key, published_jwk

OLD, NEW = private_key("ES384", 1), private_key("ES384", 2)
RSA = private_key("RS384", 1)
OLD_SET = jwks_document(published_jwk(OLD, "old"))
BOTH_SET = jwks_document(published_jwk(OLD, "old"), published_jwk(NEW, "new"))
NEW_SET = jwks_document(published_jwk(NEW, "new"))
UNKNOWN = "the client has no single key of that kid that fits the alg"
CLIENT = Client("app", "App", AuthenticationMethod.PRIVATE_KEY_JWT)


def client_with_url(url: str) -> Client:
    return dataclasses.replace(CLIENT, jwks_uri=url)


def client_with_keys(*members: dict[str, Any]) -> Client:
    return dataclasses.replace(CLIENT, jwks={"keys": list(members)})


async def get_key_or_error(
    keys: ClientKeys, client: Client, kid: str, now: float, algorithm: str = "ES384"
) -> Key | str:
    """The key, or the reason why there is none."""
    try:
        return await keys.get_key(client, kid, algorithm, now)
    except AssertionRefused as refused:
        return refused.detail


def is_key(result: Key | str) -> bool:
    return not isinstance(result, str)


async def no_fetch(url: str) -> StubDocument:
    raise AssertionError(url)
