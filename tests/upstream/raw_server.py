"""A server that writes arbitrary bytes and records its connections and requests."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.exchange_types import Request

GET = Request(b"GET", b"/fhir/Patient/a")
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"
LIMIT = 1 << 20


@dataclass
class Peer:
    """One connection, as the server sees it."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "RawServer"

    async def read_request(self) -> bytes:
        """The next request with its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        whole = head + await self.reader.readexactly(length)
        self.server.requests.append(whole)
        return whole

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def wait_until_closed(self) -> None:
        """Wait until the client has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def reset(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class RawServer:
    """The origin of the server, and its connections and requests."""

    base_url: str = ""
    connections: int = 0
    closed: int = 0
    requests: list[bytes] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)


@contextlib.asynccontextmanager
async def raw_server(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """A server on loopback that runs `script` for each connection and closes it afterwards."""
    state = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        state.connections += 1
        try:
            await script(Peer(state.connections, reader, writer, state))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        except BaseException as error:
            state.errors.append(error)
        finally:
            state.closed += 1
            tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    state.base_url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/fhir"
    try:
        yield state
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
    assert state.errors == []


@contextlib.asynccontextmanager
async def open_pool(server: RawServer | str, **options: object) -> AsyncIterator[ConnectionPool]:
    """A pool with short deadlines, so that an error is a failure and no hang."""
    settings: dict[str, object] = {"connect_timeout": 5.0, "read_timeout": 5.0, "total_timeout": 10.0} | options
    pool = ConnectionPool(server if isinstance(server, str) else server.base_url, **settings)  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        await pool.aclose(grace=1.0)
        assert pool.in_use == 0
        assert pool.idle == 0


def respond_with(*parts: bytes) -> Script:
    """A script that responds to each request with the same bytes, then waits until the client closes the connection."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            for part in parts:
                peer.write(part)
                await peer.writer.drain()

    return script


async def fetch(pool: ConnectionPool, request: Request = GET) -> tuple[int, bytes]:
    answer = await pool.send(request)
    return answer.status, await answer.read(LIMIT)
