"""The store of one worker with its round trips counted, and a line of the log when it goes away and when it is back."""

import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import TypeVar

from gateway.smart_server.events.store_log import StoreLog
from gateway.storage.backends.store import Store, StoreUnavailableError
from gateway.telemetry.metric_types import Durations

Value = TypeVar("Value")
OK, FAILED = "ok", "failed"
_OPERATIONS = (
    "get", "put", "put_new", "take", "replace", "delete", "increment", "lifetime_left", "add_member", "remove_member",
    "members", "publish", "listen", "ping",
)  # fmt: skip


class WatchedStore:
    """Passes every operation on to the store.

    `round_trips` counts them by operation and outcome, and `durations` are those that took a time: all but `listen`.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.round_trips = {(operation, outcome): 0 for operation in _OPERATIONS for outcome in (OK, FAILED)}
        self.durations = Durations()
        self._log = StoreLog()

    async def get(self, key: str) -> bytes | None:
        """See `Store`."""
        return await self._watch("get", self.store.get(key))

    async def put(self, key: str, value: bytes, lifetime: float | None) -> None:
        """See `Store`."""
        await self._watch("put", self.store.put(key, value, lifetime))

    async def put_new(self, key: str, value: bytes, lifetime: float | None) -> bool:
        """See `Store`."""
        return await self._watch("put_new", self.store.put_new(key, value, lifetime))

    async def take(self, key: str) -> bytes | None:
        """See `Store`."""
        return await self._watch("take", self.store.take(key))

    async def replace(self, key: str, expected: bytes, value: bytes, lifetime: float | None) -> bool:
        """See `Store`."""
        return await self._watch("replace", self.store.replace(key, expected, value, lifetime))

    async def delete(self, key: str) -> bool:
        """See `Store`."""
        return await self._watch("delete", self.store.delete(key))

    async def increment(self, key: str, lifetime: float, amount: int = 1) -> int:
        """See `Store`."""
        return await self._watch("increment", self.store.increment(key, lifetime, amount))

    async def lifetime_left(self, key: str) -> float | None:
        """See `Store`."""
        return await self._watch("lifetime_left", self.store.lifetime_left(key))

    async def add_member(self, key: str, member: str, lifetime: float | None) -> None:
        """See `Store`."""
        await self._watch("add_member", self.store.add_member(key, member, lifetime))

    async def remove_member(self, key: str, member: str) -> None:
        """See `Store`."""
        await self._watch("remove_member", self.store.remove_member(key, member))

    async def members(self, key: str) -> frozenset[str]:
        """See `Store`."""
        return await self._watch("members", self.store.members(key))

    async def publish(self, channel: str, message: str) -> None:
        """See `Store`."""
        await self._watch("publish", self.store.publish(channel, message))

    async def listen(self, channel: str) -> AsyncGenerator[str | None, None]:
        """See `Store`. Each message counts, and so does each lost connection."""
        number = self._log.start()
        try:
            async with aclosing(self.store.listen(channel)) as messages:
                async for message in messages:
                    self._record_success("listen")
                    yield message
                    number = self._log.start()
        except StoreUnavailableError as error:
            self._record_failure("listen", number, error)
            raise

    async def ping(self) -> None:
        """See `Store`."""
        await self._watch("ping", self.store.ping())

    async def aclose(self) -> None:
        """See `Store`."""
        await self.store.aclose()

    async def _watch(self, operation: str, result: Awaitable[Value]) -> Value:
        number = self._log.start()
        started_at = time.perf_counter()
        try:
            value = await result
        except StoreUnavailableError as error:
            self._record_failure(operation, number, error)
            raise
        finally:
            self.durations.add(time.perf_counter() - started_at)
        self._record_success(operation)
        return value

    def _record_success(self, operation: str) -> None:
        self.round_trips[operation, OK] += 1
        self._log.log_success(operation)

    def _record_failure(self, operation: str, number: int, error: StoreUnavailableError) -> None:
        self.round_trips[operation, FAILED] += 1
        self._log.log_failure(operation, number, error)
