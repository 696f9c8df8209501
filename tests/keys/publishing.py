"""A client's real HTTP server for its `jwks_uri`: what it publishes can change, and it keeps what it was asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from gateway.keys.client_keys import ClientKeys
from gateway.upstream.control import ControlClient
from tests.upstream.raw import Peer, RawServer, raw_server


@dataclass
class Publication:
    """The answer from now on. Without `open`, requests are received and answered when it is set again."""

    server: RawServer
    keys: ClientKeys
    body: bytes = b'{"keys":[]}'
    head: str = ""
    status: int = 200
    open: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return self.server.base_url

    @property
    def fetches(self) -> int:
        return len(self.server.requests)


@contextlib.asynccontextmanager
async def publishing(body: bytes, head: str = "", *, remembered: int = 10) -> AsyncIterator[Publication]:
    """A server on loopback and the gateway's view of it. `head` holds header lines, each with its line end."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            publication.begun.set()
            await publication.open.wait()
            head = f"HTTP/1.1 {publication.status} Said\r\ncontent-length: {len(publication.body)}\r\n"
            peer.write(f"{head}{publication.head}\r\n".encode() + publication.body)

    control = ControlClient(guarded=True, development=True)
    try:
        async with raw_server(script) as server:
            keys = ClientKeys(control.get_document, remembered=remembered)
            publication = Publication(server, keys, body, head)
            publication.open.set()
            yield publication
    finally:
        await control.aclose()
