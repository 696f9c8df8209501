"""Lines of refresh tokens: of any sequence of uses one token counts, an old one ends the line (edge cases 59-61)."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.memory_store import MemoryStore
from gateway.storage.refresh_tokens import RefreshTokens, Reused, Rotated
from gateway.storage.store import Store

LIFE, GRACE = 1000.0, 10.0
ID, OTHER = "A" * 22, "B" * 22
_T = TypeVar("_T")


def run(steps: Coroutine[Any, Any, _T]) -> _T:
    """A test of one example: each has its own loop."""
    return asyncio.run(steps)


# Which token of the line is used (counted from the last one, 0), and how many seconds later.
USES = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0, 9.0, 11.0, 100.0])), max_size=12)


@given(USES)
def test_any_sequence_of_uses_is_answered_as_the_rule_says(uses: list[tuple[int, float]]) -> None:
    async def steps() -> None:
        now = 0.0
        tokens = RefreshTokens(MemoryStore(lambda: now))
        line = [await tokens.begin(ID, LIFE, now)]
        rotated_at, ended = now, False
        for steps_back, wait in uses:
            now += wait
            back = min(steps_back, len(line) - 1)
            outcome = await tokens.rotate(line[-1 - back], LIFE, now, GRACE)
            if ended:
                assert outcome is None
            elif back == 0:
                assert isinstance(outcome, Rotated)
                assert outcome.successor not in line
                line.append(outcome.successor)
                rotated_at = now
            elif back == 1 and now - rotated_at <= GRACE:
                assert outcome == Rotated(line[-1])
            else:
                assert outcome == Reused(ID)
                await tokens.end(ID)
                ended = True
        for token in line:
            assert await tokens.authorization_of(token) == (None if ended else ID)

    run(steps())


@given(st.data())
def test_a_token_with_any_letter_changed_is_nobodys_and_ends_nothing(data: st.DataObject) -> None:
    async def steps() -> None:
        tokens = RefreshTokens(MemoryStore())
        first = await tokens.begin(ID, LIFE, 0)
        rotated = await tokens.rotate(first, LIFE, 0, GRACE)
        assert isinstance(rotated, Rotated)
        place = data.draw(st.integers(0, len(first) - 1))
        letter = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
        forged = first[:place] + letter + first[place + 1 :]
        if forged not in {first, rotated.successor}:
            assert await tokens.authorization_of(forged) is None
            assert await tokens.rotate(forged, LIFE, 100, GRACE) is None
        assert isinstance(await tokens.rotate(rotated.successor, LIFE, 100, GRACE), Rotated)

    run(steps())


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_at_all_is_answered(text: str) -> None:
    async def steps() -> None:
        tokens = RefreshTokens(MemoryStore())
        assert await tokens.authorization_of(text) is None
        assert await tokens.rotate(text, LIFE, 0, GRACE) is None

    run(steps())


async def test_of_many_at_once_all_get_the_same_successor(store: Store) -> None:
    tokens = RefreshTokens(store)
    first = await tokens.begin(ID, LIFE, 0)
    outcomes = await asyncio.gather(*(tokens.rotate(first, LIFE, 0, GRACE) for _ in range(20)))
    assert len(set(outcomes)) == 1
    assert isinstance(outcomes[0], Rotated)


async def test_without_grace_one_of_many_gets_a_successor_and_the_others_are_known_as_second_users(
    store: Store,
) -> None:
    tokens = RefreshTokens(store)
    first = await tokens.begin(ID, LIFE, 0)
    outcomes = await asyncio.gather(*(tokens.rotate(first, LIFE, 0, -1.0) for _ in range(20)))
    assert sum(isinstance(one, Rotated) for one in outcomes) == 1
    assert outcomes.count(Reused(ID)) == 19


async def test_the_token_of_one_line_is_none_of_another(store: Store) -> None:
    tokens = RefreshTokens(store)
    mine, other = await tokens.begin(ID, LIFE, 0), await tokens.begin(OTHER, LIFE, 0)
    assert await tokens.rotate(mine.replace(ID, OTHER), LIFE, 0, GRACE) is None
    assert await tokens.authorization_of(other.replace(OTHER, ID)) is None


async def test_whoever_reads_the_store_finds_no_token_in_it() -> None:
    store = MemoryStore()
    tokens = RefreshTokens(store)
    token = await tokens.begin(ID, LIFE, 0)
    kept = (await store.get(f"refresh:{ID}") or b"").decode()
    half = token.split(".")[2]
    assert len(half) == 43
    assert half not in kept


@pytest.mark.parametrize("kept", [b"", b"{}", b"null", b'{"secret": 1}', b"\xff"])
async def test_what_cannot_be_read_in_the_store_is_no_line(kept: bytes) -> None:
    store = MemoryStore()
    tokens = RefreshTokens(store)
    token = await tokens.begin(ID, LIFE, 0)
    await store.put(f"refresh:{ID}", kept, LIFE)
    assert await tokens.authorization_of(token) is None
    assert await tokens.rotate(token, LIFE, 0, GRACE) is None
