"""The interface of an HTTP exchange with the FHIR server: request, response and errors."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from gateway.upstream.caller import Caller

Headers = tuple[tuple[bytes, bytes], ...]


class RequestContent(msgspec.Struct, frozen=True, gc=False):
    """A body that comes in pieces. `length` is how many bytes they have together; None if that is not known."""

    chunks: AsyncIterator[bytes]
    length: int | None = None


# A Struct, because one is created per request and a frozen dataclass takes three times as long.
class Request(msgspec.Struct, frozen=True, gc=False):
    """A request to send.

    `target` is the request-target in origin form, percent-encoded. Header names are in lower case. `varying_headers`
    are those that differ between most requests; without them, heads of requests are often equal and can be cached.
    `content` is a body that comes in pieces, in place of `body`. Such a request is never repeated. Without a `caller`,
    the gateway sends it on its own account.
    """

    method: bytes
    target: bytes
    headers: Headers = ()
    body: bytes = b""
    varying_headers: Headers = ()
    content: RequestContent | None = None
    caller: Caller | None = None


class Response(Protocol):
    """A response whose head has arrived. Read, stream or close it: exactly one of them ends the exchange."""

    @property
    def status(self) -> int:
        """HTTP status code."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Header fields in order, names in lower case."""

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises `ResponseTooLarge` above `limit` bytes."""

    def stream(self) -> AsyncIterator[bytes]:
        """The body in pieces, with back-pressure: memory use does not depend on the size."""

    async def aclose(self) -> None:
        """Discard the body. The connection is closed unless the body has already ended."""


class Exchange(Protocol):
    """Sends requests."""

    async def send(self, request: Request) -> Response:
        """Send a request, and return when the head of the response is complete. Raises `UpstreamError`."""

    async def aclose(self) -> None:
        """Close every connection."""


class UpstreamError(Exception):
    """The base of the errors of an exchange."""


class Unreachable(UpstreamError):
    """There is no connection, or it was closed before the response was complete."""


class UpstreamTimeout(UpstreamError):
    """A deadline has passed: connect, read or total."""


class MalformedResponse(UpstreamError):
    """The response is not unambiguous HTTP/1.1 (RFC 9112)."""


class ResponseTooLarge(UpstreamError):
    """The body is larger than the limit of the caller."""


class PoolExhausted(UpstreamError):
    """All connections are in use, and the queue is full or waiting in it took too long."""


class ShareExhausted(PoolExhausted):
    """The client has as many requests in use and in the queue as are its share, and others need the rest."""


class CallerGone(UpstreamError):
    """The client has closed its connection while its request waited. Nothing was sent."""
