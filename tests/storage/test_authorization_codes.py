"""Authorization codes: each is used once, and a second use is recognised (edge case 46)."""

import asyncio

import pytest

from gateway.oauth.authorization import AuthorizationCode
from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import Store
from gateway.storage.tokens.authorization_codes import AuthorizationCodes, UsedCode
from gateway.storage.tokens.opaque_tokens import TokenKind, new_opaque_token
from tests.storage.sample_authorizations import LIFE, make_authorization, make_code
from tests.storage.store_under_test import Clock


async def test_a_code_says_what_it_was_put_for_once_and_then_that_it_was_used(store: Store) -> None:
    codes, record = AuthorizationCodes(store), make_code(make_authorization())
    code = new_opaque_token(TokenKind.CODE)
    await codes.put(code, record, LIFE)
    assert await codes.take(code) == record
    for _ in range(3):
        assert await codes.take(code) == UsedCode(record.authorization.authorization_id)
    assert await codes.take(new_opaque_token(TokenKind.CODE)) is None


async def test_of_many_takers_one_gets_it_and_every_other_is_told_whose_it_was(store: Store) -> None:
    codes, record = AuthorizationCodes(store), make_code(make_authorization())
    await codes.put("code", record, LIFE)
    taken = await asyncio.gather(*(codes.take("code") for _ in range(30)))
    assert taken.count(record) == 1
    assert taken.count(UsedCode(record.authorization.authorization_id)) == 29


async def test_a_code_is_over_after_its_life() -> None:
    clock = Clock()
    codes = AuthorizationCodes(MemoryStore(clock))
    await codes.put("code", make_code(make_authorization()), LIFE)
    clock.now += LIFE
    assert await codes.take("code") is None


async def test_the_use_of_a_code_is_known_for_an_hour() -> None:
    clock = Clock()
    codes = AuthorizationCodes(MemoryStore(clock))
    await codes.put("code", make_code(make_authorization()), LIFE)
    assert isinstance(await codes.take("code"), AuthorizationCode)
    clock.now += 3599
    assert isinstance(await codes.take("code"), UsedCode)
    clock.now += 3600
    assert await codes.take("code") is None


@pytest.mark.parametrize("stored", [b"", b"{}", b"[]", b"null", b'{"authorization": {}}'])
async def test_a_code_that_cannot_be_read_stands_for_nothing(stored: bytes) -> None:
    store = MemoryStore()
    codes = AuthorizationCodes(store)
    await codes.put("code", make_code(make_authorization()), LIFE)
    (key,) = store._values._entries
    await store.put(key, stored, LIFE)
    assert await codes.take("code") is None
