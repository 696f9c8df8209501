"""Limits how many checks run and wait at one time, so that an overload is refused and does not pile up."""

import asyncio
from types import TracebackType

from gateway.credentials.token_refused import TokenRefused
from gateway.policy.reasons import Reason


class ConcurrencyLimit:
    """An async context manager. Entering it raises `TokenRefused` if too many wait already (performance.md 10)."""

    def __init__(self, *, max_running: int, max_waiting: int) -> None:
        """At most `max_running` are inside at one time, and at most `max_waiting` wait to enter."""
        self._slots = asyncio.Semaphore(max_running)
        self._max_present = max_running + max_waiting
        self._present = 0

    async def __aenter__(self) -> None:
        if self._present >= self._max_present:
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
