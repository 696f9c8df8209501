"""Which requests are sent again on a new connection, and which are not."""

import asyncio

import pytest

from gateway.upstream.exchange_types import Request, Unreachable, UpstreamTimeout
from tests.upstream.held_server import request_name
from tests.upstream.raw_server import HELLO, OK, Peer, fetch, open_pool, raw_server

SAFE = [Request(b"GET", b"/a"), Request(b"HEAD", b"/a")]
UNSAFE = [Request(method, b"/a", (), b"{}") for method in (b"POST", b"PUT", b"PATCH", b"DELETE")]


@pytest.mark.parametrize("request_", SAFE, ids=request_name)
async def test_a_safe_request_lost_on_a_reused_connection_is_sent_again(request_: Request) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(OK + b"content-length: 0\r\n\r\n")
        if peer.number == 1:
            await peer.read_request()  # the server had already decided to close

    async with raw_server(script) as server, open_pool(server) as pool:
        await fetch(pool, request_)
        assert await fetch(pool, request_) == (200, b"")
        assert (server.connections, len(server.requests), pool.in_use) == (2, 3, 0)


@pytest.mark.parametrize("request_", UNSAFE, ids=request_name)
async def test_an_unsafe_request_is_never_sent_again(request_: Request) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(HELLO)
        await peer.read_request()

    async with raw_server(script) as server, open_pool(server) as pool:
        await fetch(pool)
        with pytest.raises(Unreachable, match="before it responded"):
            await fetch(pool, request_)
        assert (server.connections, len(server.requests), pool.in_use) == (1, 2, 0)


async def test_a_request_on_a_new_connection_is_not_sent_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()

    async with raw_server(script) as server, open_pool(server) as pool:
        with pytest.raises(Unreachable):
            await fetch(pool)
        assert len(server.requests) == 1


async def test_a_request_is_sent_again_only_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        if peer.number == 1:
            peer.write(HELLO)
            await peer.read_request()

    async with raw_server(script) as server, open_pool(server) as pool:
        await fetch(pool)
        with pytest.raises(Unreachable):
            await fetch(pool)
        assert (len(server.requests), pool.in_use) == (3, 0)


async def test_a_request_that_was_partly_answered_is_not_sent_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(HELLO)
        await peer.read_request()
        peer.write(b"H")

    async with raw_server(script) as server, open_pool(server) as pool:
        await fetch(pool)
        with pytest.raises(Unreachable, match="before its response was complete"):
            await fetch(pool)
        assert len(server.requests) == 2


async def test_a_timeout_is_not_followed_by_a_second_try() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(HELLO)
        await peer.read_request()
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server, read_timeout=0.05) as pool:
        await fetch(pool)
        with pytest.raises(UpstreamTimeout):
            await fetch(pool)
        assert len(server.requests) == 2


async def test_an_unsafe_request_avoids_a_connection_that_the_server_has_closed() -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(HELLO)
        if peer.number == 1:
            peer.writer.close()
            closed.set()
        else:
            await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server) as pool:
        await fetch(pool)
        await closed.wait()
        assert await fetch(pool, UNSAFE[0]) == (200, b"hello")
        assert (server.connections, len(server.requests)) == (2, 2)
