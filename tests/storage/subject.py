"""A store under test, of whatever kind: how to open it, and how its time passes."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from redis.asyncio import Redis, RedisCluster

from gateway.storage.memory_store import MemoryStore
from gateway.storage.open_store import servers_of
from gateway.storage.redis_servers import client_for
from gateway.storage.redis_store import RedisStore
from gateway.storage.store import Store
from tests.servers.valkey import Stored

DEADLINE_SECONDS = 10.0


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Subject:
    """One store of a test; `another` is what a second worker would open.  `stored` is None for memory."""

    stored: Stored | None
    prefix: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex}:")
    clock: Clock = field(default_factory=Clock)
    _opened: list[Store] = field(default_factory=list)

    def open(self, waiting_messages: int = 1024) -> Store:
        """The store.  Memory is one store for all who open it."""
        if self.stored is None:
            self._opened = self._opened or [MemoryStore(self.clock, waiting_messages=waiting_messages)]
            return self._opened[0]
        store = RedisStore(servers_of(self.stored.url, self.stored.ca_file), key_prefix=self.prefix)
        self._opened.append(store)
        return store

    async def close(self) -> None:
        """Close whatever was opened."""
        for store in self._opened:
            await store.aclose()

    async def life_passes(self, seconds: float, gone: Callable[[], Awaitable[bool]]) -> None:
        """Let a life of `seconds`, short ones, come to its end: by the clock in memory, else by asking until then."""
        if self.stored is None:
            self.clock.now += seconds
            assert await gone()
        else:
            await until(gone)

    async def remaining(self, space: str, key: str) -> float | None:
        """Seconds that the value or set of a key has yet to live; None is for ever."""
        if self.stored is None:
            store = self._opened[0]
            assert isinstance(store, MemoryStore)
            end = (store._values if space == "value" else store._sets).end(key)
            return None if end == float("inf") else end - self.clock.now
        client = client_for(servers_of(self.stored.url, self.stored.ca_file), 2, 2)
        async with contextlib.aclosing(client):
            left = await _lifetime(client.commands, f"{self.prefix}{space}:{key}")
        assert left != -2, "there is no such key"
        return None if left == -1 else left / 1000


async def _lifetime(client: Redis | RedisCluster, key: str) -> int:
    await client.initialize()
    return int(await client.execute_command("PTTL", key))


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it holds; fails when it does not in ten seconds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await holds():  # noqa: ASYNC110 (what happens in another process sets no event here)
            await asyncio.sleep(0.01)
