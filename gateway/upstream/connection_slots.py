"""The slots of the connection pool: a fixed number, and a bounded first-in, first-out queue."""

import asyncio
import contextlib
from collections import deque

from gateway.upstream.exchange_types import PoolExhausted, Unreachable

CLOSED_MESSAGE = "The connections to the FHIR server have been closed."


class ConnectionSlots:
    """`free` slots out of `total`. A caller that finds none free waits in the queue for at most `timeout` seconds.

    A released slot goes directly to the first caller in the queue, so that no later caller can take it. Therefore a
    slot is free only while nobody waits, and a caller that sees a free slot may take it by decrementing `free`.
    """

    __slots__ = ("_all_released", "_max_waiting", "_timeout", "_waiters", "closed", "free", "total")

    def __init__(self, total: int, max_waiting: int, timeout: float) -> None:
        if total < 1 or max_waiting < 0:
            raise ValueError("The pool needs at least one connection and a queue that is not negative.")
        self.total = total
        self.free = total
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.closed = False
        self._all_released: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """The number of callers in the queue."""
        return len(self._waiters)

    async def acquire(self) -> None:
        """Take a slot, which must be released. Raises `PoolExhausted`, or `Unreachable` after `close`."""
        if self.closed:
            raise Unreachable(CLOSED_MESSAGE)
        if self.free:
            self.free -= 1
            return
        if len(self._waiters) >= self._max_waiting:
            raise PoolExhausted(
                f"All {self.total} connections to the FHIR server are in use and {self._max_waiting} requests wait."
            )
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        timer = loop.call_later(self._timeout, self._expire, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with contextlib.suppress(ValueError):  # `release` may have skipped and removed it already
                    self._waiters.remove(waiter)
            elif waiter.exception() is None:
                self.release()
            raise
        finally:
            timer.cancel()

    def release(self) -> None:
        """Hand the slot to the first caller in the queue, or make it free."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.free += 1
        if self._all_released is not None and not self._all_released.done() and self.free == self.total:
            self._all_released.set_result(None)

    def close(self) -> None:
        """Refuse all waiting and future callers."""
        self.closed = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(Unreachable(CLOSED_MESSAGE))
        self._waiters.clear()

    async def wait_until_free(self) -> None:
        """Wait until every slot has been released. Only one caller may do so."""
        if self.free < self.total:
            self._all_released = asyncio.get_running_loop().create_future()
            await self._all_released

    def _expire(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            self._waiters.remove(waiter)
            waiter.set_exception(
                PoolExhausted(f"No connection to the FHIR server became free within {self._timeout:g} seconds.")
            )
