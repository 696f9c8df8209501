"""Client assertions are used once, by issuer and `jti`."""

import asyncio

import pytest

from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import Store
from gateway.storage.tokens.assertion_replays import AssertionReplays
from tests.storage.store_under_test import Clock


class TestReplays:
    @pytest.mark.requirement("CA-7", "edge-71")
    async def test_of_many_uses_at_once_one_is_the_first(self, store: Store) -> None:
        replays = AssertionReplays(store)
        firsts = await asyncio.gather(*(replays.record_first_use("app", "jti", 60) for _ in range(30)))
        assert firsts.count(True) == 1
        assert not await replays.record_first_use("app", "jti", 60)

    @pytest.mark.parametrize(
        ("one", "other"), [(("app", "1"), ("app2", "1")), (("app", "1"), ("app", "2")), (("a", "bc"), ("ab", "c"))]
    )
    async def test_issuer_and_jti_together_are_what_counts(
        self, store: Store, one: tuple[str, str], other: tuple[str, str]
    ) -> None:
        replays = AssertionReplays(store)
        assert await replays.record_first_use(*one, 60)
        assert await replays.record_first_use(*other, 60)

    @pytest.mark.requirement("CA-13")
    async def test_it_is_remembered_for_as_long_as_it_could_be_used_again(self) -> None:
        clock = Clock()
        replays = AssertionReplays(MemoryStore(clock))
        assert await replays.record_first_use("app", "jti", 360)
        clock.now += 359
        assert not await replays.record_first_use("app", "jti", 360)
        clock.now += 1
        assert await replays.record_first_use("app", "jti", 360)

    @pytest.mark.requirement("CA-7", "edge-71")
    async def test_after_a_loss_of_the_record_older_assertions_are_refused(self) -> None:
        replays = AssertionReplays(MemoryStore())
        await replays.begin_record()
        assert await replays.covers(100.0, 1000.5), "nothing was used before the start"
        replays = AssertionReplays(MemoryStore())
        assert not await replays.covers(1000.0, 1000.5), "the loss is noticed"
        assert not await replays.covers(1000.0, 1000.6)
        assert await replays.covers(1001.0, 1001.0)
        await replays.begin_record()
        assert not await replays.covers(1000.0, 1000.7), "another worker that starts changes nothing"
