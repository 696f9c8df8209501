"""Pages in the store: kept for their time, and within a bound, by every kind of store."""

import pytest

from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import Store
from gateway.storage.stored_pages import StoredPages
from tests.storage.store_under_test import Clock, StoreUnderTest


async def test_a_page_is_found_by_its_key_in_every_worker(subject: StoreUnderTest) -> None:
    key = await StoredPages(subject.open()).put(b"\x00sealed\xff", 60)
    assert await StoredPages(subject.open()).get(key) == b"\x00sealed\xff"


async def test_the_same_page_has_the_same_key_and_another_one_has_another(store: Store) -> None:
    pages = StoredPages(store)
    keys = [await pages.put(value, 60) for value in (b"one", b"one", b"two")]
    assert keys[0] == keys[1] != keys[2]
    assert all(len(key) == 43 for key in keys)


@pytest.mark.parametrize("key", ["", "x", "A" * 42, "A" * 43, "A" * 44, "../session:", "A" * 42 + "\n"])
async def test_no_other_key_finds_anything(store: Store, key: str) -> None:
    pages = StoredPages(store)
    await pages.put(b"one", 60)
    assert await pages.get(key) is None


async def test_the_oldest_pages_make_room(store: Store) -> None:
    pages = StoredPages(store, max_bytes=250)
    keys = [await pages.put(bytes([number]) * 100, 60) for number in range(4)]
    assert [await pages.get(key) is not None for key in keys] == [False, False, True, True]


async def test_a_page_that_is_stored_again_is_the_newest(store: Store) -> None:
    pages = StoredPages(store, max_bytes=250)
    first, second = [await pages.put(bytes([number]) * 100, 60) for number in range(2)]
    await pages.put(b"\x00" * 100, 60)
    await pages.put(b"\x02" * 100, 60)
    assert [await pages.get(key) is not None for key in (first, second)] == [True, False]


async def test_a_page_that_is_larger_than_the_bound_is_kept_alone(store: Store) -> None:
    pages = StoredPages(store, max_bytes=250)
    small, large = await pages.put(b"small", 60), await pages.put(b"x" * 1000, 60)
    assert [await pages.get(key) is not None for key in (small, large)] == [False, True]


async def test_what_has_expired_takes_no_room() -> None:
    clock = Clock()
    pages = StoredPages(MemoryStore(clock), max_bytes=250, clock=clock)
    for number in range(2):
        await pages.put(bytes([number]) * 100, 60)
    clock.now += 61
    keys = [await pages.put(bytes([number]) * 100, 60) for number in (2, 3)]
    assert [await pages.get(key) is not None for key in keys] == [True, True]
