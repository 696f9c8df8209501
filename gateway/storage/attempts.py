"""How often something was tried: the limits of login and token endpoints (RFC 9700, brute force)."""

from gateway.storage.handles import digest
from gateway.storage.store import Store


class Attempts:
    """Counts per window, shared by all workers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def allowed(self, what: str, limit: int, window: float) -> bool:
        """Count one try of `what`; whether it is among the first `limit` of the window of so many seconds."""
        return await self._store.count(_key(what), window) <= limit

    async def used_up(self, what: str, limit: int) -> bool:
        """Whether `what` was counted `limit` times in its window; this look is not counted."""
        return int(await self._store.get(_key(what)) or 0) >= limit

    async def forget(self, what: str) -> None:
        """Begin again, after a success."""
        await self._store.delete(_key(what))


def _key(what: str) -> str:
    return f"attempts:{digest(what)}"
