"""Access tokens: each ends with its time and with its authorization, and is stored as a digest."""

import pytest

from gateway.oauth.authorization import LOCAL_PROVIDER, AccessToken, User
from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import Store
from gateway.storage.tokens.access_tokens import AccessTokens
from gateway.storage.tokens.authorization_codes import AuthorizationCodes
from gateway.storage.tokens.authorizations import Authorizations
from gateway.storage.tokens.opaque_tokens import TokenKind, new_opaque_token
from tests.storage.sample_authorizations import LIFE, make_authorization, make_code

PROVIDERS = frozenset({LOCAL_PROVIDER})


async def test_an_access_token_of_a_provider_that_was_removed_is_none() -> None:
    store = MemoryStore()
    authorizations = Authorizations(store)
    tokens, authorization = AccessTokens(store, authorizations, PROVIDERS), make_authorization()
    foreign = make_authorization(user=User("x", "X", provider="https://removed.example"))
    for granted in (authorization, foreign):
        await authorizations.open(granted, LIFE)
        await tokens.put(f"sga_{granted.authorization_id}", AccessToken(granted.authorization_id, "x", 0.0, LIFE))
    assert await tokens.get(f"sga_{authorization.authorization_id}", 1.0) is not None
    assert await tokens.get(f"sga_{foreign.authorization_id}", 1.0) is None


async def test_an_access_token_ends_with_its_time_and_with_its_grant(store: Store) -> None:
    authorizations, authorization = Authorizations(store), make_authorization()
    tokens = AccessTokens(store, authorizations, PROVIDERS)
    await authorizations.open(authorization, LIFE)
    token, record = (
        new_opaque_token(TokenKind.ACCESS_TOKEN),
        AccessToken(authorization.authorization_id, "patient/*.r", 100.0, 160.0),
    )
    await tokens.put(token, record)
    assert await tokens.get(token, 159.9) == (record, authorization)
    assert await tokens.get(token, 160.0) is None
    await authorizations.end(authorization.authorization_id)
    assert await tokens.get(token, 101.0) is None


@pytest.mark.parametrize("kind", [kind for kind in TokenKind if kind is not TokenKind.ACCESS_TOKEN])
async def test_no_other_handle_is_an_access_token_though_it_were_stored_as_one(kind: TokenKind) -> None:
    store = MemoryStore()
    authorizations, authorization = Authorizations(store), make_authorization()
    tokens = AccessTokens(store, authorizations, PROVIDERS)
    await authorizations.open(authorization, LIFE)
    token = new_opaque_token(kind)
    await tokens.put(token, AccessToken(authorization.authorization_id, "patient/*.r", 100.0, 160.0))
    assert await tokens.get(token, 101.0) is None


async def test_whoever_reads_the_store_finds_no_handle_in_it() -> None:
    store = MemoryStore()
    authorizations, authorization = Authorizations(store), make_authorization()
    code, token = new_opaque_token(TokenKind.CODE), new_opaque_token(TokenKind.ACCESS_TOKEN)
    await AuthorizationCodes(store).put(code, make_code(authorization), LIFE)
    await AccessTokens(store, authorizations, PROVIDERS).put(
        token, AccessToken(authorization.authorization_id, "x", 0.0, LIFE)
    )
    content = repr(store._values._entries)
    assert code not in content
    assert token not in content
