"""Sends the body of a request in pieces as they come, so that memory use does not depend on its size."""

from collections.abc import AsyncIterator
from typing import Protocol

from gateway.upstream.exchange_types import MalformedResponse, RequestContent
from gateway.upstream.response import UpstreamResponse

_REFUSED = 300


class ContentSink(Protocol):
    """The connection, as the sender of a body sees it. It ignores what belongs to an exchange that has ended."""

    def begin_content(self, response: UpstreamResponse) -> None:
        """A body follows."""

    async def write_content(self, response: UpstreamResponse, piece: bytes) -> None:
        """Write a piece, and wait until there is room for another one."""

    def end_content(self, response: UpstreamResponse) -> None:
        """The body is complete."""


async def send_content(sink: ContentSink, response: UpstreamResponse, content: RequestContent) -> None:
    """Send the body behind its head. It ends early where the server has answered or failed already.

    Whatever ends it before its time, an exception of `content.chunks` as well, closes the connection, so that the
    server cannot take a part for the whole. Raises `MalformedResponse` for a success without the whole body.
    """
    sink.begin_content(response)
    try:
        async for piece in _frame(content):
            if response.waiter is None:
                break
            await sink.write_content(response, piece)
        else:
            sink.end_content(response)
            return
    except BaseException:
        response.discard()
        raise
    if response.error is None and response.status < _REFUSED:
        response.discard()
        raise MalformedResponse("The FHIR server accepted a body before it was complete.")


async def _frame(content: RequestContent) -> AsyncIterator[bytes]:
    """The body as it stands on the connection: in chunks unless its length is known (RFC 9112 7.1)."""
    async for piece in content.chunks:
        if piece:
            yield piece if content.length is not None else b"%x\r\n%b\r\n" % (len(piece), piece)
    if content.length is None:
        yield b"0\r\n\r\n"
