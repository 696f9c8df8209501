"""Counts attempts to log in, authenticate or register, against brute force (RFC 9700)."""

import math

from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.tokens.opaque_tokens import digest


class Attempts:
    """Counters with a fixed window, shared by all workers. Their names are the `..._ATTEMPT` names of `store_keys`.

    Times to wait are whole seconds, at least 1, and 0 if there is nothing to wait for. A limit of 0 means no limit.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record_attempt(self, name: str, limit: int, window_seconds: float, amount: int = 1) -> int:
        """Count an attempt, as `amount`. Return the time to wait unless it is among the first `limit` of its window."""
        if limit == 0 or await self._store.increment(_key(name), window_seconds, amount) <= limit:
            return 0
        return await self._time_left(_key(name))

    async def time_to_wait(self, name: str, limit: int) -> int:
        """The time to wait if `limit` attempts were counted in the current window. Does not count one."""
        if limit == 0 or await self.count(name) < limit:
            return 0
        return await self._time_left(_key(name))

    async def count(self, name: str) -> int:
        """How many attempts were counted in the current window."""
        return int(await self._store.get(_key(name)) or 0)

    async def reset(self, name: str) -> None:
        """Delete the counter, after a success."""
        await self._store.delete(_key(name))

    async def take_slot(self, name: str, seconds: float) -> int:
        """Allow one attempt now, and the next one after `seconds`. Return the time to wait unless this is the one."""
        key = store_keys.ATTEMPT_SLOT + digest(name)
        if await self._store.put_new(key, b"", seconds):
            return 0
        return await self._time_left(key)

    async def _time_left(self, key: str) -> int:
        return max(1, math.ceil(await self._store.lifetime_left(key) or 0))


def _key(name: str) -> str:
    return store_keys.ATTEMPTS + digest(name)
