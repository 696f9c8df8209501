"""A response that the connection fills and one caller reads, streams or closes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from gateway.upstream.exchange_types import ResponseTooLarge, UpstreamError

# The connection stops reading when more bytes than this wait for the reader, and continues below the second limit.
HIGH_WATER_BYTES = 256 * 1024
LOW_WATER_BYTES = 64 * 1024


class ResponseSource(Protocol):
    """The connection, as a response sees it. A response passes itself, so that a late call affects no other one."""

    def pause(self, response: "UpstreamResponse") -> None:
        """Stop reading from the socket."""

    def resume(self, response: "UpstreamResponse") -> None:
        """Read from the socket again."""

    def begin_stream(self, response: "UpstreamResponse") -> None:
        """Apply the deadline for streams."""

    def abandon(self, response: "UpstreamResponse") -> None:
        """Close the connection, because nobody reads the rest of the body, and release its slot."""


class UpstreamResponse:
    """The `Response` of `exchange.py`: created when the request is written, returned when the head has arrived."""

    __slots__ = (
        "_is_claimed",
        "_is_collecting",
        "_limit",
        "_pieces",
        "_source",
        "buffered_bytes",
        "error",
        "headers",
        "is_complete",
        "status",
        "waiter",
    )

    def __init__(self, source: ResponseSource, waiter: asyncio.Future[None]) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.buffered_bytes = 0
        self.is_complete = False
        self.error: UpstreamError | None = None
        self.waiter: asyncio.Future[None] | None = waiter
        self._source = source
        self._pieces: list[bytes] | deque[bytes] = []  # a deque takes more memory, and most bodies are one piece
        self._is_claimed = False
        self._is_collecting = False
        self._limit = 0

    # Called by the connection.

    def receive_head(self) -> None:
        """The head has arrived: wake the caller that awaits `waiter`."""
        self._wake()

    def feed(self, piece: bytes) -> None:
        """Add a piece of the body, which is never empty."""
        self._pieces.append(piece)
        self.buffered_bytes += len(piece)

    def end_read(self) -> None:
        """All pieces of one socket read have been fed: wake the reader, or stop reading if too much waits for it."""
        if self._is_collecting:
            if self.buffered_bytes > self._limit:
                self._wake()
            return
        if self.buffered_bytes > HIGH_WATER_BYTES:
            self._source.pause(self)
        if self._is_claimed:
            self._wake()

    def complete(self) -> None:
        """The body is complete."""
        self.is_complete = True
        if self.waiter is not None:
            self._wake()

    def fail(self, error: UpstreamError) -> None:
        """The exchange failed before the response was complete."""
        self.error = error
        self._wake()

    def _wake(self) -> None:
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)

    # Called by the reader.

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises `ResponseTooLarge` above `limit` bytes, `UpstreamError` if the exchange fails."""
        if self._is_claimed:
            raise _already_claimed()
        self._is_claimed = True
        if not self.is_complete:
            await self._collect(limit)
        if self.buffered_bytes > limit:
            raise self._too_large(limit)
        pieces = self._pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in pieces. At most about `HIGH_WATER_BYTES` bytes and one socket read wait in memory."""
        if self._is_claimed:
            raise _already_claimed()
        self._is_claimed = True
        self._source.begin_stream(self)
        self._pieces = pieces = deque(self._pieces)
        try:
            while True:
                while pieces:
                    piece = pieces.popleft()
                    self.buffered_bytes -= len(piece)
                    yield piece
                    if self.buffered_bytes <= LOW_WATER_BYTES:
                        self._source.resume(self)
                if self.error is not None:
                    raise self.error
                if self.is_complete:
                    return
                await self._wait()
        finally:
            self._source.abandon(self)

    async def aclose(self) -> None:
        """Discard the body. After `read`, `stream` or another call, it has no effect."""
        self.discard()

    def discard(self) -> None:
        """As `aclose`, but synchronous. The connection is closed unless the body has already ended."""
        self._is_claimed = True
        self._pieces.clear()
        self._source.abandon(self)

    async def _collect(self, limit: int) -> None:
        declared = next((int(value) for name, value in self.headers if name == b"content-length"), 0)
        if declared > limit:
            raise self._too_large(limit)
        self._is_collecting = True
        self._limit = limit
        self._source.resume(self)
        try:
            while not self.is_complete and self.error is None and self.buffered_bytes <= limit:
                await self._wait()
        except BaseException:
            self.discard()
            raise
        if self.error is not None:
            self._pieces.clear()
            raise self.error

    async def _wait(self) -> None:
        self.waiter = asyncio.get_running_loop().create_future()
        await self.waiter

    def _too_large(self, limit: int) -> ResponseTooLarge:
        self.discard()
        return ResponseTooLarge(f"The FHIR server's response is larger than {limit} bytes.")


def _already_claimed() -> RuntimeError:
    return RuntimeError("The body of this response has already been read, streamed or closed.")
