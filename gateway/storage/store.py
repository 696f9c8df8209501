"""The one door to remembered state: operations on single keys, each atomic by itself.

All that must happen once (a code is taken, a refresh token is rotated, an assertion is used) is one of these calls, so
that it holds whoever the store is and however many workers ask it. No operation spans two keys: in a Redis Cluster they
may live on two servers. What is remembered, and under which key, is the matter of the doors beside this file.
"""

from collections.abc import AsyncGenerator
from typing import Protocol


class StoreAwayError(Exception):
    """The store does not answer: whoever asked must refuse, never allow."""


class Store(Protocol):
    """Lifetimes are in seconds; None is for ever. Every operation may raise `StoreAwayError`."""

    async def get(self, key: str) -> bytes | None:
        """The value, if it is there and its life is not over."""

    async def put(self, key: str, value: bytes, lifetime: float | None) -> None:
        """Set the value, whatever was there."""

    async def put_new(self, key: str, value: bytes, lifetime: float | None) -> bool:
        """Set the value if there is none; whether that was so. Of many who try at once one succeeds."""

    async def take(self, key: str) -> bytes | None:
        """Get the value and remove it. Of many who try at once one gets it."""

    async def replace(self, key: str, expected: bytes, value: bytes, lifetime: float | None) -> bool:
        """Set the value if it is still `expected`; whether that was so."""

    async def delete(self, key: str) -> bool:
        """Remove the value; whether there was one."""

    async def count(self, key: str, lifetime: float) -> int:
        """Add one, and return how many that makes. The life begins with the first and is not prolonged."""

    async def add(self, key: str, member: str, lifetime: float | None) -> None:
        """Add a member to the set of that key, and let the whole set live at least that long from now."""

    async def remove(self, key: str, member: str) -> None:
        """Remove a member from the set of that key."""

    async def members(self, key: str) -> frozenset[str]:
        """The members of the set; empty where there is none."""

    async def publish(self, channel: str, message: str) -> None:
        """Tell every worker that listens now, this one too."""

    def listen(self, channel: str) -> AsyncGenerator[str, None]:
        """The messages of a channel from now on. Raises `StoreAwayError` when the connection is lost; listen again."""

    async def ping(self) -> None:
        """Return if the store answers and takes writes."""

    async def aclose(self) -> None:
        """Give up the connections."""
