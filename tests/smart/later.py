"""Time that passes for a running house when a test says so: for what its store keeps, and for its token endpoint."""

import time

from gateway.storage.memory_store import MemoryStore
from tests.smart.house import House


class Later:
    """Puts the clocks of one house forward, which is for such tests alone; the FHIR proxy keeps to the real time."""

    def __init__(self, house: House) -> None:
        smart = house.gateway._smart
        assert smart is not None
        kept = smart._kept
        assert isinstance(kept.store, MemoryStore)
        self._resolver = house.gateway._resolver_of_tokens
        self._ahead = 0.0
        clock = lambda: time.monotonic() + self._ahead  # noqa: E731  # one clock for all three
        kept.store._clock = kept.store._values._clock = kept.store._sets._clock = clock
        object.__setattr__(smart.server._parts, "clock", lambda: time.time() + self._ahead)

    @property
    def now(self) -> int:
        """What the house takes for the present, in seconds since the epoch."""
        return int(time.time() + self._ahead)

    def wait(self, seconds: float) -> None:
        """So many seconds go by; what a worker remembers of tokens for some seconds is over, too."""
        self._ahead += seconds
        self._resolver._cache.clear()
