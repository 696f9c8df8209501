"""Families of refresh tokens: only the latest token is valid, and an old one ends the family (edge cases 59-61)."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import Store
from gateway.storage.tokens.refresh_tokens import RefreshTokens, ReusedToken, RotatedToken

LIFE, GRACE = 1000.0, 10.0
ID, OTHER = "A" * 22, "B" * 22
_T = TypeVar("_T")


def run(steps: Coroutine[Any, Any, _T]) -> _T:
    """Run one example in an event loop of its own."""
    return asyncio.run(steps)


# Which token of the family is used, counted back from the latest one (0), and after how many seconds.
USES = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0, 9.0, 11.0, 100.0])), max_size=12)


@given(USES)
def test_any_sequence_of_uses_is_answered_as_the_rule_says(uses: list[tuple[int, float]]) -> None:
    async def steps() -> None:
        now = 0.0
        tokens = RefreshTokens(MemoryStore(lambda: now))
        line = [await tokens.start_family(ID, LIFE, now)]
        rotated_at, ended = now, False
        for steps_back, wait in uses:
            now += wait
            back = min(steps_back, len(line) - 1)
            outcome = await tokens.rotate(line[-1 - back], LIFE, now, GRACE)
            if ended:
                assert outcome is None
            elif back == 0:
                assert isinstance(outcome, RotatedToken)
                assert outcome.successor not in line
                line.append(outcome.successor)
                rotated_at = now
            elif back == 1 and now - rotated_at <= GRACE:
                assert outcome == RotatedToken(line[-1])
            else:
                assert outcome == ReusedToken(ID)
                await tokens.end_family(ID)
                ended = True
        for token in line:
            assert await tokens.find_authorization_id(token) == (None if ended else ID)

    run(steps())


@given(st.data())
def test_a_token_with_any_letter_changed_is_nobodys_and_ends_nothing(data: st.DataObject) -> None:
    async def steps() -> None:
        tokens = RefreshTokens(MemoryStore())
        first = await tokens.start_family(ID, LIFE, 0)
        rotated = await tokens.rotate(first, LIFE, 0, GRACE)
        assert isinstance(rotated, RotatedToken)
        place = data.draw(st.integers(0, len(first) - 1))
        letter = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
        forged = first[:place] + letter + first[place + 1 :]
        if forged not in {first, rotated.successor}:
            assert await tokens.find_authorization_id(forged) is None
            assert await tokens.rotate(forged, LIFE, 100, GRACE) is None
        assert isinstance(await tokens.rotate(rotated.successor, LIFE, 100, GRACE), RotatedToken)

    run(steps())


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_at_all_is_answered(text: str) -> None:
    async def steps() -> None:
        tokens = RefreshTokens(MemoryStore())
        assert await tokens.find_authorization_id(text) is None
        assert await tokens.rotate(text, LIFE, 0, GRACE) is None

    run(steps())


async def test_of_many_at_once_all_get_the_same_successor(store: Store) -> None:
    tokens = RefreshTokens(store)
    first = await tokens.start_family(ID, LIFE, 0)
    outcomes = await asyncio.gather(*(tokens.rotate(first, LIFE, 0, GRACE) for _ in range(20)))
    assert len(set(outcomes)) == 1
    assert isinstance(outcomes[0], RotatedToken)


async def test_without_grace_one_of_many_gets_a_successor_and_the_others_are_known_as_second_users(
    store: Store,
) -> None:
    tokens = RefreshTokens(store)
    first = await tokens.start_family(ID, LIFE, 0)
    outcomes = await asyncio.gather(*(tokens.rotate(first, LIFE, 0, -1.0) for _ in range(20)))
    assert sum(isinstance(outcome, RotatedToken) for outcome in outcomes) == 1
    assert outcomes.count(ReusedToken(ID)) == 19


async def test_the_token_of_one_line_is_none_of_another(store: Store) -> None:
    tokens = RefreshTokens(store)
    mine, other = await tokens.start_family(ID, LIFE, 0), await tokens.start_family(OTHER, LIFE, 0)
    assert await tokens.rotate(mine.replace(ID, OTHER), LIFE, 0, GRACE) is None
    assert await tokens.find_authorization_id(other.replace(OTHER, ID)) is None


async def test_whoever_reads_the_store_finds_no_token_in_it() -> None:
    store = MemoryStore()
    tokens = RefreshTokens(store)
    token = await tokens.start_family(ID, LIFE, 0)
    stored = (await store.get(f"refresh:{ID}") or b"").decode()
    half = token.split(".")[2]
    assert len(half) == 43
    assert half not in stored


@pytest.mark.parametrize("stored", [b"", b"{}", b"null", b'{"secret": 1}', b"\xff"])
async def test_what_cannot_be_read_in_the_store_is_no_line(stored: bytes) -> None:
    store = MemoryStore()
    tokens = RefreshTokens(store)
    token = await tokens.start_family(ID, LIFE, 0)
    await store.put(f"refresh:{ID}", stored, LIFE)
    assert await tokens.find_authorization_id(token) is None
    assert await tokens.rotate(token, LIFE, 0, GRACE) is None
