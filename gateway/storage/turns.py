"""Lets callers through one at a time, by name."""

import asyncio


class Turns:
    """A lock for each name, which exists while somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[str, _SharedLock] = {}

    def __len__(self) -> int:
        """The number of names that are in use."""
        return len(self._locks)

    def take(self, name: str) -> "_Turn":
        """An asynchronous context that is entered once everybody is through who came before under this name."""
        return _Turn(self._locks, name)


class _SharedLock(asyncio.Lock):
    """A lock that knows how many callers hold it or wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.callers = 0


# A class, because `asynccontextmanager` takes three times as long, and most callers wait for nobody.
class _Turn:
    __slots__ = ("_lock", "_locks", "_name")

    def __init__(self, locks: dict[str, _SharedLock], name: str) -> None:
        self._locks = locks
        self._name = name
        self._lock: _SharedLock

    async def __aenter__(self) -> None:
        lock = self._locks.get(self._name)
        if lock is None:
            lock = self._locks[self._name] = _SharedLock()
        self._lock = lock
        lock.callers += 1
        try:
            await lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
        self._leave()

    def _leave(self) -> None:
        self._lock.callers -= 1
        if not self._lock.callers:
            del self._locks[self._name]
