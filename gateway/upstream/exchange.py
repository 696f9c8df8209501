"""One HTTP exchange with the FHIR server: what is sent, what comes back, what can go wrong."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

Headers = tuple[tuple[bytes, bytes], ...]


# A Struct, because one is made per request: a frozen dataclass takes three times as long to make.
class Request(msgspec.Struct, frozen=True, gc=False):
    """A request to send. `target` is the request-target in origin form, percent-encoded; header names lower case.

    `own` are the headers that differ from each request to the next: without them, requests are often the same.
    """

    method: bytes
    target: bytes
    headers: Headers = ()
    body: bytes = b""
    own: Headers = ()


class Response(Protocol):
    """An answer whose head has arrived. Read it, or stream it, or close it: exactly one of them ends the exchange."""

    @property
    def status(self) -> int:
        """HTTP status code."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Header fields in order, names in lower case."""

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises `ResponseTooLarge` above `limit` bytes."""

    def stream(self) -> AsyncIterator[bytes]:
        """The body piece by piece, with back-pressure: memory stays constant whatever its size."""

    async def aclose(self) -> None:
        """Give the body up. The connection is closed unless the body had already ended."""


class Exchange(Protocol):
    """The door: one request in, one response out."""

    async def send(self, request: Request) -> Response:
        """Raises one of the errors below; returns when the response head is complete."""

    async def aclose(self) -> None:
        """Close every connection."""


class UpstreamError(Exception):
    """The tree: Unreachable, TimedOut, Malformed, ResponseTooLarge, PoolExhausted."""


class Unreachable(UpstreamError):
    """No connection, or it was lost before an answer."""


class TimedOut(UpstreamError):
    """A deadline passed: connect, read or total."""


class Malformed(UpstreamError):
    """What came back is not HTTP/1.1 that only one reading can be given (RFC 9112)."""


class ResponseTooLarge(UpstreamError):
    """The body is larger than the caller can check."""


class PoolExhausted(UpstreamError):
    """Every connection is in use and the queue is full, or waiting in it took too long."""
