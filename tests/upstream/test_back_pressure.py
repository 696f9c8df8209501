"""A slow reader slows the server down, so that memory use does not depend on the size of a body."""

import asyncio

import pytest

from gateway.upstream.response import HIGH_WATER_BYTES
from tests.upstream.raw_server import GET, OK, Peer, open_pool, raw_server

BODY_BYTES = 64 << 20
BLOCK_BYTES = 1 << 16
# What the kernel buffers at both ends of a loopback connection, and what the transport buffers before `drain` waits.
KERNEL_BUFFERS = 12 << 20


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_stream_holds_the_server_back_while_its_reader_pauses(framing: str) -> None:
    written = 0
    stalled = asyncio.Event()

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.read_request()
        chunked = framing == "chunked"
        peer.write(
            OK + (b"transfer-encoding: chunked" if chunked else b"content-length: %d" % BODY_BYTES) + b"\r\n\r\n"
        )
        while written < BODY_BYTES:
            peer.write(b"%x\r\n%b\r\n" % (BLOCK_BYTES, bytes(BLOCK_BYTES)) if chunked else bytes(BLOCK_BYTES))
            written += BLOCK_BYTES
            if peer.writer.transport.get_write_buffer_size() > BLOCK_BYTES:
                stalled.set()
            await peer.writer.drain()
        if chunked:
            peer.write(b"0\r\n\r\n")
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server) as pool:
        answer = await pool.send(GET)
        async with asyncio.timeout(20):
            await stalled.wait()
        assert answer.buffered_bytes <= HIGH_WATER_BYTES + (1 << 18)
        assert written < KERNEL_BUFFERS
        total = largest = 0
        async for piece in answer.stream():
            total += len(piece)
            largest = max(largest, answer.buffered_bytes)
            assert written <= total + KERNEL_BUFFERS
        assert total == BODY_BYTES
        assert largest <= HIGH_WATER_BYTES + (1 << 18)
        assert (pool.idle, pool.in_use) == (1, 0)
