"""An answer on its way in: the connection fills it, one caller reads, streams or closes it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from .exchange import ResponseTooLarge, UpstreamError

# A reader that lags this many bytes behind stops the connection's reading; it goes on below the second mark.
HIGH_WATER = 256 * 1024
LOW_WATER = 64 * 1024


class Source(Protocol):
    """What an answer may ask of its connection. It names itself each time, so that a late caller harms no other."""

    def pause(self, answer: "Answer") -> None:
        """Take no more bytes from the socket for now."""

    def resume(self, answer: "Answer") -> None:
        """Take bytes from the socket again."""

    def begin_stream(self, answer: "Answer") -> None:
        """The body may take as long as a stream may."""

    def abandon(self, answer: "Answer") -> None:
        """Nobody wants the rest: close the connection, give its place in the pool back."""


class Answer:
    """The `Response` of `exchange.py`: made when the request is written, handed out when the head has arrived."""

    __slots__ = (
        "_collecting",
        "_limit",
        "_pieces",
        "_source",
        "_taken",
        "ended",
        "error",
        "headers",
        "size",
        "status",
        "waiter",
    )

    def __init__(self, source: Source, waiter: asyncio.Future[None]) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.size = 0
        self.ended = False
        self.error: UpstreamError | None = None
        self.waiter: asyncio.Future[None] | None = waiter
        self._source = source
        self._pieces: list[bytes] | deque[bytes] = []  # a deque is large, and most bodies are one piece
        self._taken = False
        self._collecting = False
        self._limit = 0

    # What the connection does.

    def arrive(self) -> None:
        """The head is there: whoever awaits `waiter` may have the answer."""
        self._wake()

    def feed(self, piece: bytes) -> None:
        """Another piece of the body; never empty."""
        self._pieces.append(piece)
        self.size += len(piece)

    def settle(self) -> None:
        """Everything that one read from the socket brought has been fed: wake the reader, or hold the sender back."""
        if self._collecting:
            if self.size > self._limit:
                self._wake()
            return
        if self.size > HIGH_WATER:
            self._source.pause(self)
        if self._taken:
            self._wake()

    def end(self) -> None:
        """The body is whole."""
        self.ended = True
        self._wake()

    def fail(self, error: UpstreamError) -> None:
        """The exchange ends here, before its answer was whole."""
        self.error = error
        self._wake()

    def _wake(self) -> None:
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)

    # What the caller does.

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises `ResponseTooLarge` above `limit` bytes, `UpstreamError` if the rest never comes."""
        self._take()
        if not self.ended:
            await self._collect(limit)
        if self.size > limit:
            raise self._too_large(limit)
        pieces = self._pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def stream(self) -> AsyncIterator[bytes]:
        """The body piece by piece; at most about `HIGH_WATER` bytes and one socket read wait in memory."""
        self._take()
        self._source.begin_stream(self)
        self._pieces = pieces = deque(self._pieces)
        try:
            while True:
                while pieces:
                    piece = pieces.popleft()
                    self.size -= len(piece)
                    yield piece
                    if self.size <= LOW_WATER:
                        self._source.resume(self)
                if self.error is not None:
                    raise self.error
                if self.ended:
                    return
                await self._wait()
        finally:
            self._source.abandon(self)

    async def aclose(self) -> None:
        """Give the body up. May be called again, and after `read` or `stream`, without effect."""
        self.give_up()

    def give_up(self) -> None:
        """As `aclose`, without waiting: the connection is closed unless the body had already ended."""
        self._taken = True
        self._pieces.clear()
        self._source.abandon(self)

    def _take(self) -> None:
        if self._taken:
            raise RuntimeError("The body of this answer has already been read, streamed or closed.")
        self._taken = True

    async def _collect(self, limit: int) -> None:
        declared = next((int(value) for name, value in self.headers if name == b"content-length"), 0)
        if declared > limit:
            raise self._too_large(limit)
        self._collecting = True
        self._limit = limit
        self._source.resume(self)
        try:
            while not self.ended and self.error is None and self.size <= limit:
                await self._wait()
        except BaseException:
            self.give_up()
            raise
        if self.error is not None:
            self._pieces.clear()
            raise self.error

    async def _wait(self) -> None:
        self.waiter = asyncio.get_running_loop().create_future()
        await self.waiter

    def _too_large(self, limit: int) -> ResponseTooLarge:
        self.give_up()
        return ResponseTooLarge(f"The FHIR server's answer is larger than {limit} bytes.")
