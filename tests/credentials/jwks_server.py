"""An HTTP server for the `jwks_uri` of a client. It records its requests, and its response can change."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from gateway.credentials.client_keys import ClientKeys
from gateway.upstream.documents.control_client import ControlClient
from tests.upstream.raw_server import Peer, RawServer, raw_server


@dataclass
class JwksServer:
    """The response from now on. While `open` is not set, requests wait for their response."""

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
async def run_jwks_server(body: bytes, head: str = "", *, max_cached: int = 10) -> AsyncIterator[JwksServer]:
    """Run a server on loopback. `head` holds header lines, each with its line end."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            publication.begun.set()
            await publication.open.wait()
            head = f"HTTP/1.1 {publication.status} Said\r\ncontent-length: {len(publication.body)}\r\n"
            peer.write(f"{head}{publication.head}\r\n".encode() + publication.body)

    control = ControlClient(public_only=True, development=True)
    try:
        async with raw_server(script) as server:
            keys = ClientKeys(control.get_document, max_cached=max_cached)
            publication = JwksServer(server, keys, body, head)
            publication.open.set()
            yield publication
    finally:
        await control.aclose()
