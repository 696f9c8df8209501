"""All connections of clients of one process: how many there may be, and which of them are too slow or idle."""

import asyncio
import heapq
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.asgi.client_address import TrustedProxies
from gateway.asgi.requests_in_progress import of_address
from gateway.policy.reasons import Reason

# Seconds between two looks at all connections, which cost a fraction of a microsecond each.
_MAX_INTERVAL = 1.0
# Of many connections so many are closed at once, so that not every new one looks at all of them.
_CLOSED_AT_ONCE = 1 / 16


class Ended(StrEnum):
    """Why the gateway ended or refused a connection. The values are those of a label."""

    REPLACED = "replaced"
    TOO_MANY = "too_many"
    TOO_MANY_OF_ADDRESS = "too_many_of_address"
    SLOW_HEAD = "slow_head"
    SLOW_BODY = "slow_body"
    SLOW_READER = "slow_reader"


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """`total` and `per_address` are numbers of connections. Those of `proxies` are not counted by their address.

    The rest is in seconds: `idle` and `head` as a whole, `transfer` beside what a body takes by `bytes_per_second`.
    """

    total: int = 4096
    per_address: int = 4096
    idle: float = 75.0
    head: float = 15.0
    transfer: float = 30.0
    bytes_per_second: int = 2048
    proxies: TrustedProxies | None = None

    @property
    def interval(self) -> float:
        """Seconds between two looks at all connections, so that a bound is kept within a quarter of it."""
        return min(_MAX_INTERVAL, min(self.idle, self.head, self.transfer) / 4)

    def trusts(self, address: str | None) -> bool:
        """Whether connections from this address are those of a proxy, and so of many clients."""
        return self.proxies is not None and address is not None and self.proxies.trusts(address)


class ClientConnection(Protocol):
    """A connection, as seen from here."""

    @property
    def address(self) -> str | None:
        """Where it comes from."""

    @property
    def is_shared(self) -> bool:
        """Whether it is that of a trusted proxy."""

    def idle_since(self) -> float | None:
        """Since when the client could have sent a request, as a time of the event loop; None while it cannot know."""

    def close_idle(self) -> None:
        """Close it. No request is in progress."""

    def look(self, now: float, interval: float) -> Ended | None:
        """End it if it is too slow, and say why. Called again after `interval` seconds."""


class ClientConnections:
    """Counts and bounds the connections of one server. Must be used from a single event loop."""

    def __init__(self, bounds: ConnectionBounds) -> None:
        self.bounds = bounds
        self.ended = dict.fromkeys(Ended, 0)
        self._all: set[ClientConnection] = set()
        self._by_address: dict[str, set[ClientConnection]] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """The number of open connections."""
        return len(self._all)

    def add(self, connection: ClientConnection) -> Reason | None:
        """Count a new connection; or the reason why it is refused. It takes the place of idle ones if there are any."""
        address = _block_of(connection)
        if not connection.is_shared:
            of_same = self._by_address.get(address, ())
            if len(of_same) >= self.bounds.per_address and not self._replace(of_same):
                self.ended[Ended.TOO_MANY_OF_ADDRESS] += 1
                return Reason.TOO_MANY_REQUESTS
        if len(self._all) >= self.bounds.total and not self._replace(self._all):
            self.ended[Ended.TOO_MANY] += 1
            return Reason.OVERLOADED
        self._all.add(connection)
        if not connection.is_shared:
            self._by_address.setdefault(address, set()).add(connection)
        if self._timer is None:
            self._look_later()
        return None

    def discard(self, connection: ClientConnection) -> None:
        """The connection is closed, or about to be."""
        self._all.discard(connection)
        address = _block_of(connection)
        of_same = self._by_address.get(address)
        if of_same is not None:
            of_same.discard(connection)
            if not of_same:
                del self._by_address[address]

    def _replace(self, connections: Collection[ClientConnection]) -> bool:
        """Close those that have been idle for longest, but none of a proxy. False if none is idle."""
        idle = [
            (since, number, one)
            for number, one in enumerate(connections)
            if not one.is_shared and (since := one.idle_since()) is not None
        ]
        for _, _, connection in heapq.nsmallest(max(1, int(len(connections) * _CLOSED_AT_ONCE)), idle):
            self.ended[Ended.REPLACED] += 1
            connection.close_idle()
            self.discard(connection)
        return bool(idle)

    def _look_later(self) -> None:
        loop, interval = asyncio.get_running_loop(), self.bounds.interval
        self._timer = loop.call_later(interval, self._look, interval)

    def _look(self, interval: float) -> None:
        """Look at all connections. One timer for all of them costs a request nothing."""
        self._timer = None
        if self._all:
            self._look_later()
        now = asyncio.get_running_loop().time()
        for connection in list(self._all):
            ended = connection.look(now, interval)
            if ended is not None:
                self.ended[ended] += 1


def _block_of(connection: ClientConnection) -> str:
    """The addresses that count as its address."""
    return of_address(connection.address)[1]
