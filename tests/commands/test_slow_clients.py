"""Clients that are slow, idle or too many: each is ended in a way that HTTP has, and the others are served."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import uvicorn

from gateway.asgi.client_address import TrustedProxies
from gateway.asgi.requests_in_progress import ProgressLimits, RequestsInProgress
from gateway.asgi.types import CONNECTION, WHOLE_RESPONSE, Receive, Scope, Send
from gateway.commands.serving.client_connections.connections import ClientConnections, ConnectionBounds, Ended
from gateway.commands.serving.client_connections.timed_protocol import share_connections
from gateway.commands.serving.http_protocol import BoundedHttpProtocol
from tests.commands.serving_process import until
from tests.servers.ports import free_port

CLIENT = ("issuer", "app")
GET = b"GET /small HTTP/1.1\r\nhost: x\r\n\r\n"
SHORT, LONG = 0.2, 600.0


@dataclass
class BoundedServer:
    """The gateway's HTTP server with an application of the test, and the bounds that the test gives it."""

    port: int
    connections: ClientConnections
    in_progress: RequestsInProgress = field(
        default_factory=lambda: RequestsInProgress(ProgressLimits(total=100, per_client=50, per_address=50))
    )
    messages: list[Any] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection of a client."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, request: bytes) -> bytes:
        """Everything that comes back on a connection of its own, until that is closed."""
        reader, writer = await self.connect()
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: `/large` with 32 MB, anything else shortly. A POST is answered behind its body."""
        assert self.in_progress.admit(CLIENT, scope) is None
        while scope["method"] == "POST":
            message = await receive()
            self.messages.append(message)
            if message["type"] == "http.disconnect":
                return
            if not message["more_body"]:
                break
        if scope["path"] == "/too-many":
            scope["extensions"][CONNECTION].is_held_back = True
        body = b"x" * (32 << 20 if scope["path"] == "/large" else 1)
        await send({"type": WHOLE_RESPONSE, "status": 200, "headers": [], "body": body})


def _transport(writer: asyncio.StreamWriter) -> asyncio.Transport:
    return cast("asyncio.Transport", writer.transport)


@contextlib.asynccontextmanager
async def bounded_server(**bounds: Any) -> AsyncIterator[BoundedServer]:
    patient = {"idle": LONG, "head": LONG, "transfer": LONG}
    server = BoundedServer(free_port(), ClientConnections(ConnectionBounds(**{**patient, **bounds})))
    config = uvicorn.Config(
        server,
        port=server.port,
        http=BoundedHttpProtocol,
        log_level="critical",
        ws="none",
        lifespan="off",
        loop="uvloop",
    )
    share_connections(config, server.connections)
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve())
    await until(lambda: running.started)
    try:
        yield server
    finally:
        running.force_exit = running.should_exit = True
        await task


async def test_who_connects_and_says_nothing_is_closed() -> None:
    async with bounded_server(head=SHORT) as server:
        assert await server.ask(b"") == b""
        assert b" 200 " in await server.ask(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))


@pytest.mark.parametrize("start", [b"GET /small HTT", b"GET /small HTTP/1.1\r\nhost: x\r\n", b"\r\n"])
async def test_a_head_that_does_not_come_is_answered_408(start: bytes) -> None:
    async with bounded_server(head=SHORT) as server:
        answer = await server.ask(start)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"request_too_slow"' in answer
        assert b"connection: close" in answer
        assert server.connections.ended[Ended.SLOW_HEAD] == 1


async def test_a_head_that_comes_byte_by_byte_is_not_given_more_time() -> None:
    async with bounded_server(head=SHORT) as server:
        reader, writer = await server.connect()
        writer.write(b"GET /small HTTP/1.1\r\nx: ")
        answer = asyncio.create_task(reader.read())
        while not answer.done():
            writer.write(b"a")
            await asyncio.sleep(0.01)
        assert server.connections.ended[Ended.SLOW_HEAD] == 1
        # The connection may be reset before the response has been received.
        with contextlib.suppress(ConnectionError):
            assert (await answer).startswith(b"HTTP/1.1 408 ")
        writer.transport.abort()


async def test_a_body_that_does_not_come_is_answered_408_and_the_application_knows_why() -> None:
    async with bounded_server(transfer=SHORT, bytes_per_second=1 << 20) as server:
        answer = await server.ask(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nbegin")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert server.messages[-1] == {"type": "http.disconnect", "too_slow": True}
        assert server.connections.ended[Ended.SLOW_BODY] == 1
        await until(lambda: server.in_progress.total == 0)


async def test_a_body_may_take_the_time_of_its_bytes() -> None:
    async with bounded_server(transfer=SHORT, bytes_per_second=1) as server:
        reader, writer = await server.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n" + b"x" * 1000)
        await until(lambda: bool(server.messages))
        # Several looks later it is still waited for.
        await asyncio.sleep(3 * SHORT)
        writer.write(b"x")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_a_client_that_does_not_take_its_response_is_cut_off_and_counts_until_then() -> None:
    async with bounded_server(transfer=SHORT, bytes_per_second=64 << 20) as server:
        _, writer = await server.connect()
        _transport(writer).pause_reading()
        writer.write(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: server.connections.ended[Ended.SLOW_READER] == 1)
        await until(lambda: server.in_progress.total == 0)
        writer.transport.abort()


async def test_a_request_is_in_progress_until_its_response_is_taken() -> None:
    async with bounded_server() as server:
        reader, writer = await server.connect()
        _transport(writer).pause_reading()
        writer.write(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        # It counts as one request for each MB that is not taken.
        await until(lambda: server.in_progress.total > 4)
        await asyncio.sleep(SHORT)
        assert 4 < server.in_progress.total <= 33
        _transport(writer).resume_reading()
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(32 << 20)
        await until(lambda: server.in_progress.total == 0)
        writer.close()


async def test_a_client_that_takes_a_part_each_time_is_given_more_time() -> None:
    async with bounded_server(bytes_per_second=1) as server:
        reader, writer = await server.connect()
        _transport(writer).pause_reading()
        writer.write(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: server.in_progress.total > 4)
        [connection] = server.connections._all
        before, now = server.in_progress.total, asyncio.get_running_loop().time()
        assert connection.look(now, 1.0) is None
        _transport(writer).resume_reading()
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(8 << 20)
        _transport(writer).pause_reading()
        assert connection.look(now + LONG + 60, 1.0) is None
        assert server.in_progress.total == before
        # Nothing more is taken.
        assert connection.look(now + 3 * LONG, 1.0) is Ended.SLOW_READER
        await until(lambda: server.in_progress.total == 0)
        writer.transport.abort()


async def test_what_is_written_before_the_end_is_not_waited_for_without_end() -> None:
    async with bounded_server(transfer=SHORT, bytes_per_second=64 << 20) as server:
        _, writer = await server.connect()
        _transport(writer).pause_reading()
        writer.write(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        await until(lambda: server.connections.ended[Ended.SLOW_READER] == 1)
        await until(lambda: (server.connections.count, server.in_progress.total) == (0, 0))
        writer.transport.abort()


async def test_an_idle_connection_makes_room_for_a_new_one_of_its_address() -> None:
    async with bounded_server(per_address=2) as server:
        old = [await server.connect() for _ in range(2)]
        await until(lambda: server.connections.count == 2)
        # Who has just connected may be about to send a request.
        await asyncio.sleep(0.6)
        reader, writer = await server.connect()
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        assert await old[0][0].read() == b""
        assert server.connections.ended[Ended.REPLACED] == 1
        for _, one in [*old, (reader, writer)]:
            one.close()


async def test_a_connection_in_use_is_not_replaced_and_the_refusal_says_when_to_try_again() -> None:
    async with bounded_server(total=1) as server:
        _, busy = await server.connect()
        busy.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nx")
        await until(lambda: bool(server.messages))
        answer = await server.ask(b"")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 5" in answer
        assert b'"code":"overloaded"' in answer
        assert server.connections.ended[Ended.TOO_MANY] == 1
        busy.close()
        await until(lambda: server.connections.count == 0)
        assert server.connections._by_address == {}


async def test_connections_of_a_trusted_proxy_are_not_counted_by_address() -> None:
    async with bounded_server(per_address=1, proxies=TrustedProxies(["127.0.0.1"])) as server:
        opened = [await server.connect() for _ in range(5)]
        await until(lambda: server.connections.count == 5)
        for reader, writer in opened:
            writer.write(GET)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            writer.close()


async def test_what_is_pipelined_without_end_ends_with_the_responses_that_are_due() -> None:
    async with bounded_server() as server:
        answer = await server.ask(GET * 2000)
        count = answer.count(b"HTTP/1.1 200 ")
        assert 64 <= count < 100
        assert b" 400 " not in answer
        assert b"connection: close" in answer
        await until(lambda: server.in_progress.total == 0)


@pytest.mark.parametrize("proxies", [None, TrustedProxies(["127.0.0.1"])], ids=["a client", "a proxy"])
async def test_who_goes_on_at_once_after_a_refusal_is_answered_all_the_same(proxies: TrustedProxies | None) -> None:
    async with bounded_server(proxies=proxies) as server:
        reader, writer = await server.connect()
        writer.write(b"GET /too-many HTTP/1.1\r\nhost: x\r\n\r\n" + GET)
        for _ in range(3):
            assert (await reader.readuntil(b"\r\n\r\nx")).startswith(b"HTTP/1.1 200 ")
            writer.write(b"GET /too-many HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: server.in_progress.total == 0)
        writer.close()


async def test_a_client_that_closes_its_half_is_done() -> None:
    async with bounded_server() as server:
        _, writer = await server.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nbegin")
        await until(lambda: bool(server.messages))
        writer.write_eof()
        await until(lambda: (server.connections.count, server.in_progress.total) == (0, 0))
        assert server.messages[-1] == {"type": "http.disconnect"}
        writer.close()


async def test_an_upgrade_is_bounded_like_any_request() -> None:
    async with bounded_server() as server:
        upgrade = b"GET /small HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        assert (await server.ask(upgrade)).startswith(b"HTTP/1.1 200 ")
        await until(lambda: (server.connections.count, server.in_progress.total) == (0, 0))
