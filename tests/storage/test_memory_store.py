"""The store in memory: it does not grow without bound, and all writes cost the same."""

import pytest

from gateway.storage.backends.memory_store import MemoryStore
from tests.storage.store_under_test import Clock


async def test_a_value_lives_until_its_life_is_over_and_not_a_moment_longer() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    await store.put("k", b"value", 10.0)
    clock.now += 9.999
    assert await store.get("k") == b"value"
    clock.now += 0.001
    assert await store.get("k") is None


@pytest.mark.parametrize("alive", [1, 100, 5000])
async def test_what_is_over_is_swept_as_new_things_come(alive: int) -> None:
    clock = Clock()
    store = MemoryStore(clock)
    most = 0
    for number in range(6 * alive + 100):
        await store.put(f"k{number}", b"value", float(alive))
        clock.now += 1.0
        most = max(most, len(store))
    assert most <= 2 * alive + 2


async def test_what_lives_for_ever_does_not_keep_what_is_over_from_being_swept() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    for number in range(1000):
        await store.put(f"for ever {number}", b"value", None)
        await store.put(f"short {number}", b"value", 1.0)
    clock.now += 1.0
    for _ in range(1000):
        await store.put("one", b"value", None)
    assert len(store) == 1001


async def test_sets_and_counts_are_swept_too() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    for number in range(3000):
        await store.add_member(f"s{number}", "member", 1.0)
        await store.increment(f"n{number}", 1.0)
        clock.now += 1.0
    assert len(store) <= 6


async def test_a_set_that_grows_for_ever_is_swept_of_members_that_are_over() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    for number in range(3000):
        await store.add_member("k", f"member {number}", 1.0)
        clock.now += 0.5
    members = store._sets.get("k")
    assert members is not None
    assert len(members) <= 6


async def test_a_set_without_members_is_not_kept() -> None:
    store = MemoryStore()
    await store.add_member("k", "member", None)
    await store.remove_member("k", "member")
    assert len(store) == 0
