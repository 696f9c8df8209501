"""The interface of the store: operations on single keys, each of which is atomic.

Everything that may happen only once (a code is used, a refresh token is rotated, an assertion is used) is one of these
calls, so that it holds for every kind of store and any number of workers. No operation uses two keys, because in a
Redis Cluster they may be on different servers. `gateway.storage.store_keys` lists the keys.
"""

from collections.abc import AsyncGenerator
from typing import Protocol


class StoreUnavailableError(Exception):
    """The store does not respond. The caller must refuse what it was about to do, and never allow it."""


class Store(Protocol):
    """Lifetimes are in seconds; None means forever. Every operation may raise `StoreUnavailableError`."""

    async def get(self, key: str) -> bytes | None:
        """The value, unless there is none or it has expired."""

    async def put(self, key: str, value: bytes, lifetime: float | None) -> None:
        """Set the value, in place of any other."""

    async def put_new(self, key: str, value: bytes, lifetime: float | None) -> bool:
        """Set the value if there is none, and return whether that was so. Of several callers at once, one succeeds."""

    async def take(self, key: str) -> bytes | None:
        """Remove the value and return it. Of several callers at once, one gets it."""

    async def replace(self, key: str, expected: bytes, value: bytes, lifetime: float | None) -> bool:
        """Set the value if it is still `expected`, and return whether that was so."""

    async def delete(self, key: str) -> bool:
        """Remove the value, and return whether there was one."""

    async def increment(self, key: str, lifetime: float, amount: int = 1) -> int:
        """Add a positive amount to a counter and return its value.

        The lifetime begins with the first call and is not prolonged.
        """

    async def lifetime_left(self, key: str) -> float | None:
        """The seconds until the value expires; 0 if there is none, None if it never does."""

    async def add_member(self, key: str, member: str, lifetime: float | None) -> None:
        """Add a member to a set, for at least `lifetime` from now. Members whose lifetime is over are removed."""

    async def remove_member(self, key: str, member: str) -> None:
        """Remove a member from a set."""

    async def members(self, key: str) -> frozenset[str]:
        """The members of a set whose lifetime is not over; empty if there is none."""

    async def publish(self, channel: str, message: str) -> None:
        """Send a message to every listener in every worker, including this one."""

    def listen(self, channel: str) -> AsyncGenerator[str | None, None]:
        """The messages of a channel from now on.

        None comes first, and again after every interruption: messages before it may have been missed.

        Raises `StoreUnavailableError` when the connection is lost. The caller may then listen again.
        """

    async def ping(self) -> None:
        """Return if the store responds and accepts writes."""

    async def aclose(self) -> None:
        """Close all connections."""
