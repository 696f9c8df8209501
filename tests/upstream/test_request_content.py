"""A body that is sent in pieces: framed as HTTP/1.1 says, held back by the server, never taken for whole too early.

The servers here are slow or silent for a moment, which is what is tested.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from gateway.upstream.exchange_types import (
    MalformedResponse,
    Request,
    RequestContent,
    Unreachable,
    UpstreamError,
    UpstreamTimeout,
)
from tests.upstream.raw_server import GET, HELLO, LIMIT, OK, Peer, fetch, open_pool, raw_server

REFUSED = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n"
BLOCK = bytes(1 << 16)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def many_blocks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield BLOCK


def post(chunks: AsyncIterator[bytes], length: int | None = None) -> Request:
    return Request(
        b"POST", b"/fhir/Binary", ((b"content-type", b"text/plain"),), content=RequestContent(chunks, length)
    )


FRAMINGS: dict[str, tuple[Iterable[bytes], int | None, bytes]] = {
    "of a known length": ((b"abc", b"", b"de"), 5, b"content-length: 5\r\n\r\nabcde"),
    "in chunks": ((b"abc", b"", b"de"), None, b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
    "of nothing": ((), 0, b"content-length: 0\r\n\r\n"),
}


@pytest.mark.parametrize(("parts", "length", "expected"), FRAMINGS.values(), ids=FRAMINGS)
async def test_a_body(parts: Iterable[bytes], length: int | None, expected: bytes) -> None:
    async def script(peer: Peer) -> None:
        received = b""
        while not received.endswith(expected):
            received += await peer.reader.readexactly(1)
        peer.write(HELLO)
        await peer.read_request()
        peer.write(HELLO)
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server) as pool:
        assert await fetch(pool, post(pieces(*parts), length)) == (200, b"hello")
        # The connection is used again.
        assert await fetch(pool) == (200, b"hello")
        assert server.connections == 1


async def test_a_slow_server_holds_the_body_back() -> None:
    asked = 0
    goes_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal asked
        for _ in range(1024):
            asked += len(BLOCK)
            yield BLOCK

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await goes_on.wait()
        await peer.reader.readexactly(1024 * len(BLOCK))
        peer.write(HELLO)
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server) as pool:
        sending = asyncio.create_task(fetch(pool, post(body(), 1024 * len(BLOCK))))
        before = -1
        while before != asked:
            before = asked
            # The loop passes many times while the kernel takes what it can.
            await asyncio.wait([sending], timeout=0.05)
        assert 0 < asked < 16 << 20
        goes_on.set()
        assert await sending == (200, b"hello")


async def test_a_server_that_takes_nothing_is_given_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with raw_server(script) as server, open_pool(server, read_timeout=0.2) as pool:
        with pytest.raises(UpstreamTimeout):
            await pool.send(post(many_blocks(4096), 4096 * len(BLOCK)))


async def test_a_client_that_is_slow_is_no_fault_of_the_server() -> None:
    """While there is nothing to send, the server's silence does not count; then it does."""

    async def slow() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0.5)
        yield b"b"

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(HELLO)
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server, read_timeout=0.2, total_timeout=0.3) as pool:
        assert await fetch(pool, post(slow(), 2)) == (200, b"hello")


async def test_silence_behind_the_body_is_a_timeout() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server, read_timeout=0.2) as pool:
        with pytest.raises(UpstreamTimeout):
            await pool.send(post(pieces(b"abc"), 3))


async def test_an_early_refusal_ends_the_body() -> None:
    asked = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield BLOCK

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.write(REFUSED)
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server) as pool:
        assert await fetch(pool, post(endless())) == (413, b"")
        # What was left of the body would be read as the next request.
        assert pool.idle == 0
        assert await fetch(pool) == (413, b"")
        assert server.connections == 2


async def test_a_success_before_the_body_is_complete_is_none() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield BLOCK

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.write(OK + b"content-length: 2\r\n\r\nok")
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server) as pool:
        with pytest.raises(MalformedResponse):
            await pool.send(post(endless()))
        assert pool.idle == 0


async def test_a_body_that_breaks_off_closes_the_connection() -> None:
    received, was_closed = b"", asyncio.Event()

    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise ZeroDivisionError

    async def script(peer: Peer) -> None:
        nonlocal received
        await peer.reader.readuntil(b"\r\n\r\n")
        while piece := await peer.reader.read(100):
            received += piece
        was_closed.set()

    async with raw_server(script) as server:
        async with open_pool(server) as pool:
            with pytest.raises(ZeroDivisionError):
                await pool.send(post(broken()))
            assert (pool.idle, pool.in_use) == (0, 0)
        await was_closed.wait()
        assert b"0\r\n\r\n" not in received


async def test_a_server_that_goes_away_ends_the_body() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield BLOCK

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.reset()

    async with raw_server(script) as server, open_pool(server) as pool:
        with pytest.raises(Unreachable):
            await pool.send(post(endless()))


async def test_such_a_request_is_never_repeated() -> None:
    """The reused connection is closed by the server, which for a GET would be tried again."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(HELLO)
        await peer.reader.readuntil(b"\r\n\r\n")

    async with raw_server(script) as server, open_pool(server) as pool:
        response = await pool.send(GET)
        assert await response.read(LIMIT) == b"hello"
        with pytest.raises(UpstreamError):
            await pool.send(post(pieces(b"abc"), 3))
        assert server.connections == 1
