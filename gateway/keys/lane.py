"""So many checks at once, so many waiting: what lies beyond is turned away, so that a storm cannot pile up."""

import asyncio
from types import TracebackType

from gateway.keys.refused import TokenRefused
from gateway.policy.reasons import Reason


class Lane:
    """An async context manager; entering raises `TokenRefused` where too many wait already (performance.md 10)."""

    def __init__(self, *, width: int, waiting: int) -> None:
        """`width` is how many are inside at once, `waiting` how many may queue before it."""
        self._slots = asyncio.Semaphore(width)
        self._limit = width + waiting
        self._present = 0

    async def __aenter__(self) -> None:
        if self._present >= self._limit:
            raise TokenRefused(Reason.TOKEN_CHECK_UNAVAILABLE, "too many tokens wait to be checked")
        self._present += 1
        try:
            await self._slots.acquire()
        except BaseException:
            self._present -= 1
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._present -= 1
        self._slots.release()
