"""The slots of the connection pool: a fixed number, and a bounded queue that is fair to clients."""

import asyncio
import contextlib
from collections import deque

from gateway.upstream.caller import OWN, ClientKey, Waits
from gateway.upstream.exchange_types import CallerGone, PoolExhausted, ShareExhausted, Unreachable

CLOSED_MESSAGE = "The connections to the FHIR server have been closed."


class ConnectionSlots:
    """`free` slots out of `total`, of which one client holds at most `per_client`.

    Several greedy clients hold less each, so that a slot stays free for others: what a client holds is to what is free
    at most as `per_client` is to the rest of `total`. The gateway itself (`OWN`) may hold all slots.

    A caller that cannot have one waits for at most `timeout` seconds. A released slot goes to the client that holds the
    fewest of those that wait; among equals to the one whose turn was longest ago. Within a client, who came first is
    served first. So a client that has none waits for one release for each other such client, however many requests
    somebody else has.

    The queue has `max_waiting` places. When it is full, a client makes room in it at the cost of the one that has most
    places: its last caller is refused.
    """

    __slots__ = (
        "_all_released", "_held", "_max_waiting", "_per_client", "_queues", "_rest", "_timeout", "closed", "free",
        "total", "waiting",
    )  # fmt: skip

    def __init__(self, total: int, max_waiting: int, timeout: float, per_client: int | None = None) -> None:
        if total < 1 or max_waiting < 0:
            raise ValueError("The pool needs at least one connection and a queue that is not negative.")
        self.total = total
        self.free = total
        self._per_client = total if per_client is None else per_client
        self._rest = total - self._per_client
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._held: dict[ClientKey, int] = {}
        # The clients that wait, in the order of their turns.
        self._queues: dict[ClientKey, deque[asyncio.Future[bool]]] = {}
        self.waiting = 0
        self.closed = False
        self._all_released: asyncio.Future[None] | None = None

    def take(self, client: ClientKey) -> bool:
        """Take a slot, which must be released, unless the client has to wait for one (`acquire`)."""
        held = self._held.get(client, 0)
        if not self.free or self.closed or (held * self._rest >= self._per_client * self.free and client != OWN):
            return False
        self.free -= 1
        self._held[client] = held + 1
        return True

    async def acquire(self, client: ClientKey, waits: Waits | None = None) -> None:
        """Take a slot, which must be released. Raises `PoolExhausted`, `CallerGone`, or `Unreachable` after `close`.

        The waiting ends with `waits`.
        """
        if self.closed:
            raise Unreachable(CLOSED_MESSAGE)
        if self.take(client):
            return
        if waits is not None and waits.is_over:
            raise CallerGone("The client has closed its connection.")
        self._make_room(client)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._queues.setdefault(client, deque()).append(waiter)
        self.waiting += 1
        timer = loop.call_later(self._timeout, self._expire, client, waiter)
        if waits is not None:
            waits.add(waiter)
        try:
            may_go_on = await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None and waiter.result():
                self.release(client)
            else:
                self._forget(client, waiter)
            raise
        finally:
            timer.cancel()
            if waits is not None:
                waits.discard(waiter)
        if not may_go_on:
            self._forget(client, waiter)
            raise CallerGone("The client has closed its connection.")

    def release(self, client: ClientKey) -> None:
        """Hand the slot of a client to whoever's turn it is, or make it free."""
        held = self._held[client] - 1
        if held:
            self._held[client] = held
        else:
            del self._held[client]
        self.free += 1
        if self._queues:
            self._serve()
        if self._all_released is not None and not self._all_released.done() and self.free == self.total:
            self._all_released.set_result(None)

    def _serve(self) -> None:
        """Hand out free slots as long as anybody may have one."""
        while self.free and (client := self._next_client()) is not None:
            queue = self._queues.pop(client)
            waiter = queue.popleft()
            self.waiting -= 1
            if queue:
                self._queues[client] = queue
            # Who was cancelled, or whose client has gone, has not noticed yet.
            if not waiter.done():
                self.free -= 1
                self._held[client] = self._held.get(client, 0) + 1
                waiter.set_result(True)

    def _next_client(self) -> ClientKey | None:
        """The client whose turn it is; None if all that wait hold as many slots as they may."""
        chosen, fewest = None, self.total
        for client in self._queues:
            held = self._held.get(client, 0)
            if held < fewest and (held * self._rest < self._per_client * self.free or client == OWN):
                chosen, fewest = client, held
        return chosen

    def _make_room(self, client: ClientKey) -> None:
        """Refuse the last caller of the client that has most places in a full queue.

        Raises `PoolExhausted` if that would not be fair either.
        """
        if self.waiting < self._max_waiting:
            return
        places = len(self._queues.get(client, ()))
        longest = max(self._queues, key=lambda other: len(self._queues[other]), default=client)
        if longest != client and len(self._queues[longest]) > places + 1:
            waiter = self._queues[longest][-1]
            self._forget(longest, waiter)
            if not waiter.done():
                waiter.set_exception(ShareExhausted("Other clients wait for a connection to the FHIR server."))
            return
        message = f"All {self.total} connections to the FHIR server are in use and {self._max_waiting} requests wait."
        if places and client != OWN and places * len(self._queues) >= self._max_waiting:
            raise ShareExhausted(message)
        raise PoolExhausted(message)

    def _forget(self, client: ClientKey, waiter: asyncio.Future[bool]) -> None:
        """Take a caller out of the queue, if it is still there."""
        queue = self._queues.get(client)
        if queue is None:
            return
        with contextlib.suppress(ValueError):
            queue.remove(waiter)
            self.waiting -= 1
        if not queue:
            del self._queues[client]

    def _expire(self, client: ClientKey, waiter: asyncio.Future[bool]) -> None:
        if waiter.done():
            return
        self._forget(client, waiter)
        message = f"No connection to the FHIR server became free within {self._timeout:g} seconds."
        # What is free now is free for others.
        waiter.set_exception(ShareExhausted(message) if self.free else PoolExhausted(message))

    def close(self) -> None:
        """Refuse all waiting and future callers."""
        self.closed = True
        for queue in self._queues.values():
            for waiter in queue:
                if not waiter.done():
                    waiter.set_exception(Unreachable(CLOSED_MESSAGE))
        self._queues.clear()
        self.waiting = 0

    async def wait_until_free(self) -> None:
        """Wait until every slot has been released. Only one caller may do so."""
        if self.free < self.total:
            self._all_released = asyncio.get_running_loop().create_future()
            await self._all_released
