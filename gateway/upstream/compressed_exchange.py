"""Decompresses responses of a FHIR server that was asked for gzip, within the limits of their readers."""

import zlib
from collections.abc import AsyncGenerator, Iterator

from gateway.upstream.exchange_types import (
    Exchange,
    Headers,
    MalformedResponse,
    Request,
    Response,
    ResponseTooLarge,
)

ACCEPT_GZIP: Headers = ((b"accept-encoding", b"gzip"),)

# The names of the coding (RFC 9110 section 8.4.1.3).
_GZIP = frozenset({b"gzip", b"x-gzip"})
_GZIP_WRAPPER = 16 + zlib.MAX_WBITS
# A piece of a stream: gzip makes up to a thousand times as much of what one read brings.
_PIECE_BYTES = 64 * 1024
# They describe the compressed bytes.
_FIELDS_OF_THE_CODING = frozenset({b"content-encoding", b"content-length"})
_TRUNCATED = "The FHIR server's compressed response ends before its end."
_EXCESS = "The FHIR server sent bytes after the end of its compressed response."


class CompressedExchange:
    """An `Exchange` whose requests ask for gzip, and whose responses are read as if they were not compressed."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def send(self, request: Request) -> Response:
        """See `Exchange.send`. A response with another coding is returned as it is; its reader refuses it."""
        response = await self._exchange.send(request)
        codings = [value.lower() for name, value in response.headers if name == b"content-encoding"]
        return DecompressedResponse(response) if len(codings) == 1 and codings[0] in _GZIP else response

    async def aclose(self) -> None:
        """Close the underlying exchange."""
        await self._exchange.aclose()


class DecompressedResponse:
    """A `Response` over one whose body is a single gzip member (RFC 1952)."""

    __slots__ = ("_response", "headers")

    def __init__(self, response: Response) -> None:
        self._response = response
        self.headers = [field for field in response.headers if field[0] not in _FIELDS_OF_THE_CODING]

    @property
    def status(self) -> int:
        """HTTP status code."""
        return self._response.status

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises `ResponseTooLarge` if it, or its compressed form, has more than `limit` bytes."""
        compressed = await self._response.read(limit)
        decompressor = zlib.decompressobj(_GZIP_WRAPPER)
        body = _decompress(decompressor, compressed, limit + 1)
        if len(body) > limit:
            raise ResponseTooLarge(f"The FHIR server's response is larger than {limit} bytes.")
        _check_end(decompressor)
        return body

    async def stream(self) -> AsyncGenerator[bytes]:
        """The body in pieces, of at most 64 KB each."""
        decompressor = zlib.decompressobj(_GZIP_WRAPPER)
        try:
            async for piece in self._response.stream():
                for body in _decompress_piece(decompressor, piece):
                    yield body
        finally:
            await self._response.aclose()
        _check_end(decompressor)

    async def aclose(self) -> None:
        """Discard the body."""
        await self._response.aclose()


def _decompress_piece(decompressor: "zlib._Decompress", waiting: bytes) -> Iterator[bytes]:
    """What a piece of the compressed body stands for. Raises `MalformedResponse`."""
    if decompressor.eof:
        raise MalformedResponse(_EXCESS)
    # A full piece of output may leave more behind, even once all input has been taken.
    body = _PIECE_BYTES * b" "
    while waiting or (len(body) == _PIECE_BYTES and not decompressor.eof):
        body = _decompress(decompressor, waiting, _PIECE_BYTES)
        waiting = decompressor.unconsumed_tail
        if body:
            yield body


def _decompress(decompressor: "zlib._Decompress", data: bytes, limit: int) -> bytes:
    """At most `limit` bytes. Raises `MalformedResponse`."""
    try:
        return decompressor.decompress(data, limit)
    except zlib.error:
        raise MalformedResponse("The FHIR server's response is not gzip, although it says so.") from None


def _check_end(decompressor: "zlib._Decompress") -> None:
    if not decompressor.eof:
        raise MalformedResponse(_TRUNCATED)
    if decompressor.unused_data:
        raise MalformedResponse(_EXCESS)
