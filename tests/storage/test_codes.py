"""Codes, authorizations and access tokens: each taken once, ended once, and no second taker unknown (edge case 46)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.oauth.authorization import AccessToken, Authorization, Code, User
from gateway.oauth.launch_context import LaunchContext
from gateway.storage.access_tokens import AccessTokens
from gateway.storage.authorizations import Authorizations
from gateway.storage.codes import Codes, Used
from gateway.storage.handles import Kind, new_handle, new_id
from gateway.storage.memory_store import MemoryStore
from gateway.storage.store import Store
from tests.storage.subject import Clock

LIFE = 60.0


def granted(**changes: Any) -> Authorization:
    """A grant with everything that one can have."""
    return replace(
        Authorization(
            authorization_id=new_id(),
            client_id="app",
            scope="openid patient/*.rs",
            audience="https://x.example/fhir",
            granted_at=1.5,
            user=User("doctor", "Dr Dora Demo", "Practitioner/practitioner-1"),
            context=LaunchContext(
                patient="pat-a",
                need_patient_banner=False,
                fhir_context=({"reference": "Device/1"},),
                extra={"__a": [1, None]},
            ),
            signed_in_at=1.0,
            nonce="n",
        ),
        **changes,
    )


def code_for(authorization: Authorization) -> Code:
    """A code for it."""
    return Code(authorization, "https://app.example/callback", "challenge")


async def test_a_code_says_what_it_was_put_for_once_and_then_that_it_was_used(store: Store) -> None:
    codes, meaning = Codes(store), code_for(granted())
    code = new_handle(Kind.CODE)
    await codes.put(code, meaning, LIFE)
    assert await codes.take(code) == meaning
    for _ in range(3):
        assert await codes.take(code) == Used(meaning.authorization.authorization_id)
    assert await codes.take(new_handle(Kind.CODE)) is None


async def test_of_many_takers_one_gets_it_and_every_other_is_told_whose_it_was(store: Store) -> None:
    codes, meaning = Codes(store), code_for(granted())
    await codes.put("code", meaning, LIFE)
    taken = await asyncio.gather(*(codes.take("code") for _ in range(30)))
    assert taken.count(meaning) == 1
    assert taken.count(Used(meaning.authorization.authorization_id)) == 29


async def test_a_code_is_over_after_its_life() -> None:
    clock = Clock()
    codes = Codes(MemoryStore(clock))
    await codes.put("code", code_for(granted()), LIFE)
    clock.now += LIFE
    assert await codes.take("code") is None


async def test_the_use_of_a_code_is_known_for_an_hour() -> None:
    clock = Clock()
    codes = Codes(MemoryStore(clock))
    await codes.put("code", code_for(granted()), LIFE)
    assert isinstance(await codes.take("code"), Code)
    clock.now += 3599
    assert isinstance(await codes.take("code"), Used)
    clock.now += 3600
    assert await codes.take("code") is None


@pytest.mark.parametrize("kept", [b"", b"{}", b"[]", b"null", b'{"authorization": {}}'])
async def test_a_code_that_cannot_be_read_stands_for_nothing(kept: bytes) -> None:
    store = MemoryStore()
    codes = Codes(store)
    await codes.put("code", code_for(granted()), LIFE)
    (key,) = store._values._entries
    await store.put(key, kept, LIFE)
    assert await codes.take("code") is None


async def test_a_grant_opens_once_and_never_after_its_end(store: Store) -> None:
    authorizations, one, other = Authorizations(store), granted(), granted()
    assert await authorizations.open(one, LIFE)
    assert not await authorizations.open(one, LIFE)
    assert await authorizations.get(one.authorization_id) == one
    await authorizations.end(one.authorization_id)
    assert await authorizations.get(one.authorization_id) is None
    assert not await authorizations.open(one, LIFE)
    assert not await authorizations.prolong(one, LIFE)
    # A code's second use may be seen before the first exchange has opened its grant.
    await authorizations.end(other.authorization_id)
    assert not await authorizations.open(other, LIFE)


async def test_of_an_exchange_and_an_end_at_once_the_end_wins(store: Store) -> None:
    authorizations = Authorizations(store)
    for _ in range(10):
        one = granted()
        await asyncio.gather(authorizations.open(one, LIFE), authorizations.end(one.authorization_id))
        assert await authorizations.get(one.authorization_id) is None
        assert not await authorizations.prolong(one, LIFE)


async def test_the_grants_of_a_user_are_listed_the_latest_first_without_the_ended_ones(store: Store) -> None:
    authorizations = Authorizations(store)
    old, new, ended = (granted(granted_at=at) for at in (1.0, 2.0, 3.0))
    foreign = granted(user=User("nurse", "Nina Nurse"))
    for one in (old, new, ended, foreign):
        await authorizations.open(one, LIFE)
    await authorizations.end(ended.authorization_id)
    assert await authorizations.of_user("doctor") == [new, old]
    assert await authorizations.of_user("nurse") == [foreign]
    assert await authorizations.of_user("nobody") == []


async def test_an_access_token_ends_with_its_time_and_with_its_grant(store: Store) -> None:
    authorizations, one = Authorizations(store), granted()
    tokens = AccessTokens(store, authorizations)
    await authorizations.open(one, LIFE)
    token, meaning = new_handle(Kind.ACCESS_TOKEN), AccessToken(one.authorization_id, "patient/*.r", 100.0, 160.0)
    await tokens.put(token, meaning)
    assert await tokens.get(token, 159.9) == (meaning, one)
    assert await tokens.get(token, 160.0) is None
    await authorizations.end(one.authorization_id)
    assert await tokens.get(token, 101.0) is None


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.ACCESS_TOKEN])
async def test_no_other_handle_is_an_access_token_though_it_were_stored_as_one(kind: Kind) -> None:
    store = MemoryStore()
    authorizations, one = Authorizations(store), granted()
    tokens = AccessTokens(store, authorizations)
    await authorizations.open(one, LIFE)
    handle = new_handle(kind)
    await tokens.put(handle, AccessToken(one.authorization_id, "patient/*.r", 100.0, 160.0))
    assert await tokens.get(handle, 101.0) is None


async def test_whoever_reads_the_store_finds_no_handle_in_it() -> None:
    store = MemoryStore()
    authorizations, one = Authorizations(store), granted()
    code, token = new_handle(Kind.CODE), new_handle(Kind.ACCESS_TOKEN)
    await Codes(store).put(code, code_for(one), LIFE)
    await AccessTokens(store, authorizations).put(token, AccessToken(one.authorization_id, "x", 0.0, LIFE))
    kept = repr(store._values._entries)
    assert code not in kept
    assert token not in kept
