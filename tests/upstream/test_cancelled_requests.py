"""What a cancelled caller leaves in the pool."""

import asyncio

import pytest

from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.exchange_types import Request, Unreachable
from tests.upstream.held_server import HeldServer, numbered_request, wait_for_queue
from tests.upstream.raw_server import GET, HELLO, LIMIT, OK, Peer, fetch, open_pool, raw_server, respond_with


async def test_a_caller_cancelled_in_the_queue_leaves_no_trace() -> None:
    gate = HeldServer()
    async with raw_server(gate) as server, open_pool(server, connections=1) as pool:
        first = asyncio.create_task(fetch(pool, numbered_request(1)))
        await gate.arrived.get()
        gone = asyncio.create_task(fetch(pool, numbered_request(2)))
        await wait_for_queue(pool, 1)
        third = asyncio.create_task(fetch(pool, numbered_request(3)))
        await wait_for_queue(pool, 2)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert pool.waiting == 1
        gate.open.release()
        gate.open.release()
        assert [await first, await third] == [(200, b"hello")] * 2
        assert await gate.arrived.get() == b"/3"


async def test_a_caller_cancelled_just_as_its_turn_comes_passes_the_place_on() -> None:
    async with (
        raw_server(respond_with(OK + b"content-length: 99999\r\n\r\n")) as server,
        open_pool(server, connections=1) as pool,
    ):
        holder = await pool.send(GET)
        gone = asyncio.create_task(pool.send(GET))
        await wait_for_queue(pool, 1)
        other = asyncio.create_task(pool.send(GET))
        await wait_for_queue(pool, 2)
        await holder.aclose()  # the place now belongs to `gone`, which has not yet run
        gone.cancel()
        answer = await other
        assert gone.cancelled()
        assert (pool.in_use, pool.waiting) == (1, 0)
        await answer.aclose()


async def test_a_caller_cancelled_while_connecting_gives_its_place_back() -> None:
    async with raw_server(respond_with(HELLO)) as server, open_pool(server, connections=1) as pool:
        for turns in range(12):
            task = asyncio.create_task(fetch(pool))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert pool.in_use == 0
            assert await fetch(pool) == (200, b"hello")


async def test_a_caller_cancelled_while_awaiting_the_head_closes_the_connection() -> None:
    gate = HeldServer()
    async with raw_server(gate) as server, open_pool(server, connections=1) as pool:
        task = asyncio.create_task(fetch(pool, numbered_request(1)))
        await gate.arrived.get()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (pool.in_use, pool.idle) == (0, 0)
        gate.open.release()  # spent by the first connection, whose client has gone
        gate.open.release()
        assert await fetch(pool, numbered_request(2)) == (200, b"hello")
        assert server.connections == 2


@pytest.mark.parametrize("how", ["read", "stream"])
async def test_a_caller_cancelled_within_the_body_closes_the_connection(how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(OK + b"content-length: 100000\r\n\r\nhalf" if peer.number == 1 else HELLO)
        await peer.wait_until_closed()

    async def consume(pool: ConnectionPool, started: asyncio.Event) -> None:
        answer = await pool.send(GET)
        started.set()
        if how == "read":
            await answer.read(LIMIT)
        else:
            async for _ in answer.stream():
                pass

    async with raw_server(script) as server, open_pool(server, connections=1) as pool:
        started = asyncio.Event()
        task = asyncio.create_task(consume(pool, started))
        await started.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (pool.in_use, pool.idle) == (0, 0)
        assert await fetch(pool) == (200, b"hello")


async def test_a_caller_cancelled_in_the_moment_its_answer_arrives_takes_nobody_elses() -> None:
    """For any number of loop iterations between response and cancellation, the next caller gets its own response."""

    async def script(peer: Peer) -> None:
        while True:
            path = (await peer.read_request()).split(b" ")[1]
            peer.write(OK + b"content-length: %d\r\n\r\n%b" % (len(path), path))

    async with raw_server(script) as server, open_pool(server, connections=1) as pool:
        await fetch(pool)
        for turns in range(20):
            task = asyncio.create_task(fetch(pool, numbered_request(turns)))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            assert await fetch(pool, Request(b"GET", b"/next")) == (200, b"/next")
            await asyncio.gather(task, return_exceptions=True)
        assert pool.in_use == 0


async def test_a_stream_left_half_way_closes_the_connection() -> None:
    async with (
        raw_server(respond_with(OK + b"content-length: 100000\r\n\r\nhalf")) as server,
        open_pool(server) as pool,
    ):
        answer = await pool.send(GET)
        stream = answer.stream()
        assert await anext(stream) == b"half"
        await answer.aclose()
        assert (pool.in_use, pool.idle) == (0, 0)
        with pytest.raises(Unreachable):
            await anext(stream)
