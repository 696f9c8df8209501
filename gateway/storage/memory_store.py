"""The store of a single process: everything in its memory, gone when it ends."""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

from gateway.storage.store import StoreAwayError

SHORTEST_LIFETIME = 0.001
"""Seconds. Redis counts lives in milliseconds and knows none of zero, so a life that is over at once lasts one."""

_FOR_EVER = float("inf")
_COUNTER = re.compile(rb"0|-?[1-9][0-9]{0,17}")
_EXAMINED_PER_WRITE = 2
_T = TypeVar("_T")


class MemoryStore:
    """A `Store` for one event loop: no operation awaits, so each is atomic by itself.

    `clock` gives seconds that only grow. A listener that leaves `waiting_messages` unread loses its connection, as it
    would with Redis: it raises `StoreAwayError`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, waiting_messages: int = 1024) -> None:
        self._clock = clock
        self._waiting_messages = waiting_messages
        self._values = _Shelf[bytes](clock)
        self._sets = _Shelf[set[str]](clock)
        self._listeners: dict[str, set[_Listener]] = {}
        self._closed = False

    def __len__(self) -> int:
        """How many entries are held, those included whose life is over and which are not yet swept."""
        return len(self._values) + len(self._sets)

    async def get(self, key: str) -> bytes | None:
        """See `Store.get`."""
        self._need_open()
        return self._values.get(key)

    async def put(self, key: str, value: bytes, lifetime: float | None) -> None:
        """See `Store.put`."""
        self._need_open()
        self._values.put(key, value, self._end(lifetime))

    async def put_new(self, key: str, value: bytes, lifetime: float | None) -> bool:
        """See `Store.put_new`."""
        self._need_open()
        if self._values.get(key) is not None:
            return False
        self._values.put(key, value, self._end(lifetime))
        return True

    async def take(self, key: str) -> bytes | None:
        """See `Store.take`."""
        self._need_open()
        value = self._values.get(key)
        self._values.remove(key)
        return value

    async def replace(self, key: str, expected: bytes, value: bytes, lifetime: float | None) -> bool:
        """See `Store.replace`."""
        self._need_open()
        if self._values.get(key) != expected:
            return False
        self._values.put(key, value, self._end(lifetime))
        return True

    async def delete(self, key: str) -> bool:
        """See `Store.delete`."""
        return await self.take(key) is not None

    async def count(self, key: str, lifetime: float) -> int:
        """See `Store.count`. Raises `StoreAwayError`, as Redis refuses, if a value is there that is not a count."""
        self._need_open()
        value = self._values.get(key)
        if value is None:
            self._values.put(key, b"1", self._end(lifetime))
            return 1
        if not _COUNTER.fullmatch(value):
            raise StoreAwayError("The store refuses: what is stored under this key is not a count.")
        number = int(value) + 1
        self._values.put(key, b"%d" % number, self._values.end(key))
        return number

    async def add(self, key: str, member: str, lifetime: float | None) -> None:
        """See `Store.add`."""
        self._need_open()
        end = self._end(lifetime)
        members = self._sets.get(key)
        if members is None:
            self._sets.put(key, {member}, end)
        else:
            members.add(member)
            self._sets.put(key, members, max(end, self._sets.end(key)))

    async def remove(self, key: str, member: str) -> None:
        """See `Store.remove`."""
        self._need_open()
        members = self._sets.get(key)
        if members is not None:
            members.discard(member)
            if not members:
                self._sets.remove(key)

    async def members(self, key: str) -> frozenset[str]:
        """See `Store.members`."""
        self._need_open()
        return frozenset(self._sets.get(key) or ())

    async def publish(self, channel: str, message: str) -> None:
        """See `Store.publish`."""
        self._need_open()
        for listener in self._listeners.get(channel, ()):
            listener.tell(message)

    async def listen(self, channel: str) -> AsyncGenerator[str, None]:
        """See `Store.listen`."""
        self._need_open()
        listener = _Listener(self._waiting_messages)
        listeners = self._listeners.setdefault(channel, set())
        listeners.add(listener)
        try:
            while True:
                yield await listener.next()
        finally:
            listeners.discard(listener)
            if not listeners and self._listeners.get(channel) is listeners:
                del self._listeners[channel]

    async def ping(self) -> None:
        """See `Store.ping`."""
        self._need_open()

    async def aclose(self) -> None:
        """See `Store.aclose`. Who listens, hears that the connection is lost."""
        self._closed = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.lose()

    def _need_open(self) -> None:
        if self._closed:
            raise StoreAwayError("The store is closed.")

    def _end(self, lifetime: float | None) -> float:
        return _FOR_EVER if lifetime is None else self._clock() + max(SHORTEST_LIFETIME, lifetime)


class _Shelf(Generic[_T]):
    """Things with an end of life. Whose life is over is not seen, and soon removed.

    Each write looks at two entries more, the one longest unexamined first, so all are examined within half as many
    writes as there are entries: growth is bounded, and no write costs more than another.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: OrderedDict[str, tuple[_T, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> _T | None:
        entry = self._entries.get(key)
        return None if entry is None or entry[1] <= self._clock() else entry[0]

    def end(self, key: str) -> float:
        return self._entries[key][1]

    def put(self, key: str, thing: _T, end: float) -> None:
        self._entries[key] = (thing, end)
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
    """The messages that one listener has not read yet, and whether some were lost."""

    def __init__(self, room: int) -> None:
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(room)

    def tell(self, message: str) -> None:
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self.lose()

    def lose(self) -> None:
        """What was not read is dropped: who listens must look anew anyway."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def next(self) -> str:
        message = await self._queue.get()
        if message is None:
            raise StoreAwayError("The connection of the listener is lost: messages were not read, or the store closed.")
        return message
