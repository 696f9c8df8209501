"""Sealed pages whose paging links would be too long. They are encrypted before they come here."""

import base64
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable

from gateway.storage import store_keys
from gateway.storage.backends.store import Store

# Bytes that one worker keeps. More than this are asked for by nobody who still follows the first ones.
MAX_STORED_BYTES = 32 * 1024 * 1024
_KEY = re.compile(r"[A-Za-z0-9_\-]{43}")


class StoredPages:
    """The pages that this worker stores, the oldest of which make room for new ones, and those of other workers."""

    def __init__(
        self, store: Store, *, max_bytes: int = MAX_STORED_BYTES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` returns seconds that only increase."""
        self._store = store
        self._max_bytes = max_bytes
        self._clock = clock
        self._sizes: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._total = 0

    async def put(self, value: bytes, lifetime: float) -> str:
        """Keep the value for `lifetime` seconds. The key is its digest. Raises `StoreUnavailableError`."""
        key = base64.urlsafe_b64encode(hashlib.sha256(value).digest()).rstrip(b"=").decode()
        await self._store.put(store_keys.PAGE + key, value, lifetime)
        self._forget(key)
        self._sizes[key] = (len(value), self._clock() + lifetime)
        self._total += len(value)
        await self._make_room()
        return key

    async def get(self, key: str) -> bytes | None:
        """The value; None if there is none, or no longer. Raises `StoreUnavailableError`."""
        return await self._store.get(store_keys.PAGE + key) if _KEY.fullmatch(key) else None

    async def _make_room(self) -> None:
        while self._sizes:
            oldest, (_, expires_at) = next(iter(self._sizes.items()))
            is_gone = expires_at <= self._clock()
            if not is_gone and (self._total <= self._max_bytes or len(self._sizes) == 1):
                return
            self._forget(oldest)
            if not is_gone:
                await self._store.delete(store_keys.PAGE + oldest)

    def _forget(self, key: str) -> None:
        size, _ = self._sizes.pop(key, (0, 0.0))
        self._total -= size
