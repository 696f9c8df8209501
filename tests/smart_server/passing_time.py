"""An adjustable clock for a running server: for its store and its endpoints."""

import time

from gateway.storage.backends.memory_store import MemoryStore
from tests.smart_server.running_server import RunningServer


class AdjustableClock:
    """Advances the clocks of one SMART server. The FHIR proxy keeps the real time."""

    def __init__(self, server: RunningServer, *, stands_still: bool = False) -> None:
        """With `stands_still` no time passes but by `advance`, however long a test takes."""
        smart = server.gateway._smart_server
        assert smart is not None
        store = smart.store.store
        assert isinstance(store, MemoryStore)
        self._resolver = server.gateway._resolver
        self._ahead = 0.0
        self._started = (time.time(), time.monotonic()) if stands_still else None
        clock = lambda: self._read()[1] + self._ahead  # noqa: E731  # one clock for all three
        store._clock = store._values._clock = store._sets._clock = clock
        object.__setattr__(smart.background_refresh._dependencies, "clock", lambda: self._read()[0] + self._ahead)

    def _read(self) -> tuple[float, float]:
        """The time since the epoch and the monotonic time, in seconds, before any advance."""
        return self._started or (time.time(), time.monotonic())

    @property
    def now(self) -> int:
        """The current time of the server, in seconds since the epoch."""
        return int(self._read()[0] + self._ahead)

    def advance(self, seconds: float) -> None:
        """Advance the clock by this many seconds, and empty the cache of resolved tokens."""
        self._ahead += seconds
        self._resolver._cache.clear()
