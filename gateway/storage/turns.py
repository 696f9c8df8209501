"""Lets callers through one at a time, by name."""

import asyncio
from collections import deque

_Waiting = deque[asyncio.Future[None]]


class Turns:
    """For each name that is in use, who waits for it, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}

    def __len__(self) -> int:
        """The number of names that are in use."""
        return len(self._waiting)

    def take(self, name: str) -> "_Turn":
        """An asynchronous context that is entered once everybody is through who came before under this name."""
        return _Turn(self._waiting, name)


# A class, because `asynccontextmanager` takes three times as long. Without an `asyncio.Lock`, because most callers wait
# for nobody.
class _Turn:
    __slots__ = ("_name", "_waiting")

    def __init__(self, waiting: dict[str, _Waiting], name: str) -> None:
        self._waiting = waiting
        self._name = name

    async def __aenter__(self) -> None:
        before = self._waiting.get(self._name)
        if before is None:
            self._waiting[self._name] = deque()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        before.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                # The turn came in the moment in which the caller was cancelled.
                self._pass_on()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        """Give the turn to the next who still waits."""
        waiting = self._waiting[self._name]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[self._name]
