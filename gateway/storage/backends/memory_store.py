"""A store in the memory of one process. Its content is lost when the process ends."""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

from gateway.storage.backends.store import StoreUnavailableError

MIN_LIFETIME_SECONDS = 0.001
"""One millisecond, as in Redis, which has no shorter lifetime."""

_NEVER = float("inf")
_COUNTER = re.compile(rb"0|-?[1-9][0-9]{0,17}")
_EXAMINED_PER_WRITE = 2
_T = TypeVar("_T")


class MemoryStore:
    """A `Store` for one event loop. No operation awaits, so each is atomic.

    `clock` returns seconds that only increase. A listener that leaves more than `max_unread_messages` unread is
    disconnected, as it would be by Redis: it raises `StoreUnavailableError`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, max_unread_messages: int = 1024) -> None:
        self._clock = clock
        self._max_unread_messages = max_unread_messages
        self._values = _ExpiringMap[bytes](clock)
        self._sets = _ExpiringMap["_ExpiringMap[bool]"](clock)
        self._listeners: dict[str, set[_Listener]] = {}
        self._closed = False

    def __len__(self) -> int:
        """The number of entries, including expired ones that have not been removed yet."""
        return len(self._values) + len(self._sets)

    async def get(self, key: str) -> bytes | None:
        """See `Store.get`."""
        self._require_open()
        return self._values.get(key)

    async def put(self, key: str, value: bytes, lifetime: float | None) -> None:
        """See `Store.put`."""
        self._require_open()
        self._values.put(key, value, self._expiry(lifetime))

    async def put_new(self, key: str, value: bytes, lifetime: float | None) -> bool:
        """See `Store.put_new`."""
        self._require_open()
        if self._values.get(key) is not None:
            return False
        self._values.put(key, value, self._expiry(lifetime))
        return True

    async def take(self, key: str) -> bytes | None:
        """See `Store.take`."""
        self._require_open()
        value = self._values.get(key)
        self._values.remove(key)
        return value

    async def replace(self, key: str, expected: bytes, value: bytes, lifetime: float | None) -> bool:
        """See `Store.replace`."""
        self._require_open()
        if self._values.get(key) != expected:
            return False
        self._values.put(key, value, self._expiry(lifetime))
        return True

    async def delete(self, key: str) -> bool:
        """See `Store.delete`."""
        return await self.take(key) is not None

    async def increment(self, key: str, lifetime: float, amount: int = 1) -> int:
        """See `Store.increment`. Raises `StoreUnavailableError`, as with Redis, if the value is no counter."""
        self._require_open()
        value = self._values.get(key)
        if value is None:
            self._values.put(key, b"%d" % amount, self._expiry(lifetime))
            return amount
        if not _COUNTER.fullmatch(value):
            raise StoreUnavailableError("The store refuses: the value of this key is not a counter.")
        number = int(value) + amount
        self._values.put(key, b"%d" % number, self._values.expiry(key))
        return number

    async def lifetime_left(self, key: str) -> float | None:
        """See `Store.lifetime_left`."""
        self._require_open()
        if self._values.get(key) is None:
            return 0.0
        expiry = self._values.expiry(key)
        return None if expiry == _NEVER else expiry - self._clock()

    async def add_member(self, key: str, member: str, lifetime: float | None) -> None:
        """See `Store.add_member`."""
        self._require_open()
        members = self._sets.get(key)
        if members is None:
            members = _ExpiringMap[bool](self._now)
        members.put(member, True, max(self._expiry(lifetime), members.expiry(member)))
        self._sets.put(key, members, max(members.expiry(member), self._sets.expiry(key)))

    async def remove_member(self, key: str, member: str) -> None:
        """See `Store.remove_member`."""
        self._require_open()
        members = self._sets.get(key)
        if members is not None:
            members.remove(member)
            if not len(members):
                self._sets.remove(key)

    async def members(self, key: str) -> frozenset[str]:
        """See `Store.members`."""
        self._require_open()
        members = self._sets.get(key)
        return frozenset() if members is None else members.keys()

    async def publish(self, channel: str, message: str) -> None:
        """See `Store.publish`."""
        self._require_open()
        for listener in self._listeners.get(channel, ()):
            listener.deliver(message)

    async def listen(self, channel: str) -> AsyncGenerator[str | None, None]:
        """See `Store.listen`."""
        self._require_open()
        listener = _Listener(self._max_unread_messages)
        listeners = self._listeners.setdefault(channel, set())
        listeners.add(listener)
        try:
            yield None
            while True:
                yield await listener.next()
        finally:
            listeners.discard(listener)
            if not listeners and self._listeners.get(channel) is listeners:
                del self._listeners[channel]

    async def ping(self) -> None:
        """See `Store.ping`."""
        self._require_open()

    async def aclose(self) -> None:
        """See `Store.aclose`. Disconnects all listeners."""
        self._closed = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.disconnect()

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailableError("The store is closed.")

    def _now(self) -> float:
        return self._clock()

    def _expiry(self, lifetime: float | None) -> float:
        return _NEVER if lifetime is None else self._clock() + max(MIN_LIFETIME_SECONDS, lifetime)


class _ExpiringMap(Generic[_T]):
    """A mapping whose entries expire.

    Each write examines two entries, those first that were not examined for longest, and removes them if they have
    expired. With n entries, every entry is examined within n/2 writes, so growth is bounded and all writes cost the
    same.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: OrderedDict[str, tuple[_T, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> _T | None:
        entry = self._entries.get(key)
        return None if entry is None or entry[1] <= self._clock() else entry[0]

    def keys(self) -> frozenset[str]:
        now = self._clock()
        return frozenset(key for key, (_, expiry) in self._entries.items() if expiry > now)

    def expiry(self, key: str) -> float:
        """The end of an entry, even if it is over; 0 for one that is not there."""
        entry = self._entries.get(key)
        return 0.0 if entry is None else entry[1]

    def put(self, key: str, value: _T, expiry: float) -> None:
        self._entries[key] = (value, expiry)
        now = self._clock()
        for _ in range(min(_EXAMINED_PER_WRITE, len(self._entries))):
            examined = next(iter(self._entries))
            if self._entries[examined][1] <= now:
                del self._entries[examined]
            else:
                self._entries.move_to_end(examined)

    def remove(self, key: str) -> None:
        self._entries.pop(key, None)


class _Listener:
    """The messages that one listener has not read yet. None in the queue means that the connection is lost."""

    def __init__(self, max_unread_messages: int) -> None:
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(max_unread_messages)

    def deliver(self, message: str) -> None:
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self.disconnect()

    def disconnect(self) -> None:
        """Drop unread messages: a listener that lost its connection must reload its state anyway."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def next(self) -> str:
        message = await self._queue.get()
        if message is None:
            raise StoreUnavailableError(
                "The connection of the listener is lost: too many messages were unread, or the store was closed."
            )
        return message
