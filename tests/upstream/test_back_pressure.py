"""A slow reader holds the server back, so that memory stays constant whatever the size of a body."""

import asyncio

import pytest

from gateway.upstream.answer import HIGH_WATER
from tests.upstream.raw import GET, OK, Peer, pool_of, raw_server

SIZE = 64 << 20
BLOCK = 1 << 16
# What the kernel may hold at both ends of a loopback connection, and the server transport before `drain` waits.
KERNEL = 12 << 20


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_stream_holds_the_server_back_while_its_reader_pauses(framing: str) -> None:
    written = 0
    stalled = asyncio.Event()

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.request()
        chunked = framing == "chunked"
        peer.write(OK + (b"transfer-encoding: chunked" if chunked else b"content-length: %d" % SIZE) + b"\r\n\r\n")
        while written < SIZE:
            peer.write(b"%x\r\n%b\r\n" % (BLOCK, bytes(BLOCK)) if chunked else bytes(BLOCK))
            written += BLOCK
            if peer.writer.transport.get_write_buffer_size() > BLOCK:
                stalled.set()
            await peer.writer.drain()
        if chunked:
            peer.write(b"0\r\n\r\n")
        await peer.gone()

    async with raw_server(script) as server, pool_of(server) as pool:
        answer = await pool.send(GET)
        async with asyncio.timeout(20):
            await stalled.wait()
        assert answer.size <= HIGH_WATER + (1 << 18)
        assert written < KERNEL
        total = largest = 0
        async for piece in answer.stream():
            total += len(piece)
            largest = max(largest, answer.size)
            assert written <= total + KERNEL
        assert total == SIZE
        assert largest <= HIGH_WATER + (1 << 18)
        assert (pool.idle, pool.in_use) == (1, 0)
