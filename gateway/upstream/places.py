"""Who may use a connection: a fixed number of places, and a bounded queue that is first come, first served."""

import asyncio
import contextlib
from collections import deque

from .exchange import PoolExhausted, Unreachable

CLOSED = "The connections to the FHIR server have been closed."


class Places:
    """`free` places out of `total`; whoever finds none free waits in the queue, at most `timeout` seconds.

    A place that is given back goes straight to the first in the queue, so that nobody who comes later can take it.
    Hence a place is free only while nobody waits, and whoever sees one free may take it by counting `free` down.
    """

    __slots__ = ("_quiet", "_size", "_timeout", "_waiters", "closed", "free", "total")

    def __init__(self, total: int, queue: int, timeout: float) -> None:
        if total < 1 or queue < 0:
            raise ValueError("The pool needs at least one connection and a queue that is not negative.")
        self.total = total
        self.free = total
        self._size = queue
        self._timeout = timeout
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.closed = False
        self._quiet: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiters)

    async def take(self) -> None:
        """Have a place, which must be given back. Raises `PoolExhausted`, or `Unreachable` after `close`."""
        if self.closed:
            raise Unreachable(CLOSED)
        if self.free:
            self.free -= 1
            return
        if len(self._waiters) >= self._size:
            raise PoolExhausted(
                f"All {self.total} connections to the FHIR server are in use and {self._size} requests wait."
            )
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        timer = loop.call_later(self._timeout, self._expire, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with contextlib.suppress(ValueError):  # whoever gave a place back may have passed over it already
                    self._waiters.remove(waiter)
            elif waiter.exception() is None:
                self.give_back()
            raise
        finally:
            timer.cancel()

    def give_back(self) -> None:
        """The place goes to the first in the queue, or is free."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.free += 1
        if self._quiet is not None and not self._quiet.done() and self.free == self.total:
            self._quiet.set_result(None)

    def close(self) -> None:
        """Give no more places, neither to those who wait nor to those who come."""
        self.closed = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(Unreachable(CLOSED))
        self._waiters.clear()

    async def all_free(self) -> None:
        """Wait until every place has been given back. Only one may wait so."""
        if self.free < self.total:
            self._quiet = asyncio.get_running_loop().create_future()
            await self._quiet

    def _expire(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            self._waiters.remove(waiter)
            waiter.set_exception(
                PoolExhausted(f"No connection to the FHIR server became free within {self._timeout:g} seconds.")
            )
