"""The store is counted, and its going and coming is one line of the log each, however many notice it."""

import asyncio
import logging

import pytest

from gateway.smart_server.events.watched_store import WatchedStore
from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import StoreUnavailableError

AWAY, BACK = "the store does not answer", "the store answers again"


class FlakyStore(MemoryStore):
    """A store of which some operations fail."""

    fails: frozenset[str] = frozenset()

    async def get(self, key: str) -> bytes | None:
        """The value, or the failure."""
        self._fail("get")
        return await super().get(key)

    async def put(self, key: str, value: bytes, lifetime: float | None) -> None:
        """Set the value, or fail."""
        self._fail("put")
        await super().put(key, value, lifetime)

    def _fail(self, operation: str) -> None:
        if operation in self.fails:
            raise StoreUnavailableError("gone")


async def use(store: WatchedStore, *operations: str) -> None:
    """Carry out operations, whether or not they fail."""
    for operation in operations:
        try:
            await (store.get("k") if operation == "get" else store.put("k", b"v", None))
        except StoreUnavailableError:
            continue


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "gateway.smart_server.events.store_log"]


async def test_every_round_trip_is_counted_by_its_outcome() -> None:
    inner = FlakyStore()
    store = WatchedStore(inner)
    await use(store, "get", "get", "put")
    inner.fails = frozenset({"get"})
    await use(store, "get")
    counted = {key: count for key, count in store.round_trips.items() if count}
    assert counted == {("get", "ok"): 2, ("put", "ok"): 1, ("get", "failed"): 1}


async def test_every_operation_of_the_store_is_counted() -> None:
    store = WatchedStore(MemoryStore())
    await store.put("a", b"1", None)
    await store.put_new("b", b"1", None)
    await store.replace("a", b"1", b"2", None)
    await store.get("a")
    await store.take("a")
    await store.delete("b")
    await store.increment("c", 5.0)
    await store.lifetime_left("c")
    await store.add_member("d", "x", None)
    await store.members("d")
    await store.remove_member("d", "x")
    await store.publish("e", "x")
    await store.ping()
    listening = store.listen("e")
    assert await anext(listening) is None
    await listening.aclose()
    assert {operation for (operation, _), count in store.round_trips.items() if count == 1} == {
        operation for operation, _ in store.round_trips
    }


async def test_many_failures_are_one_line_and_so_is_the_end_of_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    inner = FlakyStore()
    store = WatchedStore(inner)
    for _ in range(2):
        inner.fails = frozenset({"get", "put"})
        await asyncio.gather(*(use(store, "get", "put") for _ in range(20)))
        inner.fails = frozenset()
        await asyncio.gather(*(use(store, "get", "put") for _ in range(20)))
    assert told(caplog) == [AWAY, BACK, AWAY, BACK]


async def test_a_store_that_can_only_be_read_is_not_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    inner = FlakyStore()
    store = WatchedStore(inner)
    inner.fails = frozenset({"put"})
    await use(store, "put", "get", "put", "get")
    assert told(caplog) == [AWAY]
    inner.fails = frozenset()
    await use(store, "get", "put")
    assert told(caplog) == [AWAY, BACK]
