"""A store under test of any kind: how to open it, and how to wait until a lifetime is over."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from redis.asyncio import Redis, RedisCluster

from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.open_store import parse_servers
from gateway.storage.backends.redis_servers import create_client
from gateway.storage.backends.redis_store import RedisStore
from gateway.storage.backends.store import Store
from tests.servers.valkey import RunningStore

DEADLINE_SECONDS = 30.0
# Seconds. How long an operation may take on a busy machine is not what these tests are about.
_PATIENCE_SECONDS = 20.0
_TLS_FAREWELL_SECONDS = 0.2


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class StoreUnderTest:
    """The store of one test. `server` is None for a store in memory."""

    server: RunningStore | None
    prefix: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex}:")
    clock: Clock = field(default_factory=Clock)
    _opened: list[Store] = field(default_factory=list)

    def open(self, max_unread_messages: int = 1024) -> Store:
        """Open the store as one more worker. A store in memory is the same for all."""
        if self.server is None:
            self._opened = self._opened or [MemoryStore(self.clock, max_unread_messages=max_unread_messages)]
            return self._opened[0]
        servers = parse_servers(self.server.url, self.server.ca_file)
        store = RedisStore(
            servers,
            connect_timeout=_PATIENCE_SECONDS,
            operation_timeout=_PATIENCE_SECONDS,
            key_prefix=self.prefix,
            replicas=self.server.replicas,
        )
        self._opened.append(store)
        return store

    async def close(self) -> None:
        """Close all opened stores."""
        for store in self._opened:
            await store.aclose()
        if self.server is not None and self.server.ca_file is not None:
            # The farewell of TLS takes a round trip more, and uvloop tells nobody when it is over.
            await asyncio.sleep(_TLS_FAREWELL_SECONDS)

    async def wait_until_expired(self, seconds: float, is_expired: Callable[[], Awaitable[bool]]) -> None:
        """Wait until a lifetime of a few `seconds` is over. In memory, only the clock is advanced."""
        if self.server is None:
            self.clock.now += seconds
            assert await is_expired()
        else:
            await wait_until(is_expired)

    async def remaining_lifetime(self, space: str, key: str) -> float | None:
        """The seconds that the value or set of a key has left; None means forever."""
        if self.server is None:
            store = self._opened[0]
            assert isinstance(store, MemoryStore)
            end = (store._values if space == "value" else store._sets).expiry(key)
            return None if end == float("inf") else end - self.clock.now
        client = create_client(
            parse_servers(self.server.url, self.server.ca_file), _PATIENCE_SECONDS, _PATIENCE_SECONDS
        )
        async with contextlib.aclosing(client):
            milliseconds = await _read_lifetime(client.commands, f"{self.prefix}{space}:{key}")
        assert milliseconds != -2, "there is no such key"
        return None if milliseconds == -1 else milliseconds / 1000


async def _read_lifetime(client: Redis | RedisCluster, key: str) -> int:
    await client.initialize()
    return int(await client.execute_command("PTTL", key))


async def wait_until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the condition holds, at most ten seconds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():  # noqa: ASYNC110 (another process cannot set an event here)
            await asyncio.sleep(0.01)
