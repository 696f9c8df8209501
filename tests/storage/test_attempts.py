"""Attempts are counted per name and window; places are known to accounts."""

import asyncio

from gateway.storage.accounts.known_places import KNOWN_PLACE_SECONDS, KnownPlaces
from gateway.storage.attempts import Attempts
from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import Store
from tests.storage.store_under_test import Clock


class TestAttempts:
    async def test_so_many_are_allowed_however_many_come_at_once(self, store: Store) -> None:
        attempts = Attempts(store)
        waits = await asyncio.gather(*(attempts.record_attempt("login:x", 5, 60) for _ in range(20)))
        assert waits.count(0) == 5
        assert all(58 <= wait <= 60 for wait in waits if wait)
        assert await attempts.record_attempt("login:y", 5, 60) == 0
        await attempts.reset("login:x")
        assert await attempts.record_attempt("login:x", 5, 60) == 0

    async def test_a_look_counts_nothing(self, store: Store) -> None:
        attempts = Attempts(store)
        assert await attempts.time_to_wait("x", 2) == 0
        for number in (1, 2, 3):
            await attempts.record_attempt("x", 2, 60)
            assert await attempts.count("x") == number
            assert (await attempts.time_to_wait("x", 2) > 0) is (number > 1)
        await attempts.reset("x")
        assert await attempts.time_to_wait("x", 2) == 0

    async def test_a_limit_of_0_is_none(self, store: Store) -> None:
        attempts = Attempts(store)
        assert [await attempts.record_attempt("x", 0, 60) for _ in range(3)] == [0] * 3
        assert await attempts.time_to_wait("x", 0) == 0

    async def test_the_window_begins_with_the_first_and_is_not_prolonged_by_others(self) -> None:
        clock = Clock()
        attempts = Attempts(MemoryStore(clock))
        for _ in range(6):
            clock.now += 9
            await attempts.record_attempt("x", 2, 60)
        assert await attempts.record_attempt("x", 2, 60) == 60 - 45
        assert await attempts.time_to_wait("x", 2) == 60 - 45
        clock.now += 16
        assert await attempts.record_attempt("x", 2, 60) == 0

    async def test_a_slot_is_for_one_until_it_is_over(self, store: Store) -> None:
        attempts = Attempts(store)
        waits = await asyncio.gather(*(attempts.take_slot("x", 30) for _ in range(10)))
        assert waits.count(0) == 1
        assert all(28 <= wait <= 30 for wait in waits if wait)
        assert await attempts.take_slot("y", 30) == 0

    async def test_the_next_slot_comes_when_the_last_is_over(self) -> None:
        clock = Clock()
        attempts = Attempts(MemoryStore(clock))
        assert await attempts.take_slot("x", 4) == 0
        clock.now += 3
        assert await attempts.take_slot("x", 4) == 1
        clock.now += 1
        assert await attempts.take_slot("x", 4) == 0


class TestKnownPlaces:
    async def test_a_place_is_known_for_the_account_that_was_proven_there(self, store: Store) -> None:
        places = KnownPlaces(store)
        await places.remember("user:a", "192.0.2.1")
        assert await places.is_known("user:a", "192.0.2.1")
        assert not await places.is_known("user:a", "192.0.2.2")
        assert not await places.is_known("user:b", "192.0.2.1")

    async def test_it_is_forgotten_half_a_year_after_its_last_success(self) -> None:
        clock = Clock()
        places = KnownPlaces(MemoryStore(clock))
        await places.remember("user:a", "192.0.2.1")
        clock.now += KNOWN_PLACE_SECONDS - 1
        await places.remember("user:a", "192.0.2.1")
        clock.now += KNOWN_PLACE_SECONDS - 1
        assert await places.is_known("user:a", "192.0.2.1")
        clock.now += 2
        assert not await places.is_known("user:a", "192.0.2.1")
