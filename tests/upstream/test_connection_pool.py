"""The slots of the pool, the queue, idle connections and closing the pool."""

import asyncio

import pytest

from gateway.upstream.exchange_types import PoolExhausted, Request, Unreachable, UpstreamTimeout
from tests.upstream.held_server import HeldServer, numbered_request, wait_for_queue
from tests.upstream.raw_server import HELLO, Peer, fetch, open_pool, raw_server, respond_with


async def test_sixteen_callers_share_four_connections() -> None:
    async with raw_server(respond_with(HELLO)) as server, open_pool(server, connections=4) as pool:
        results = await asyncio.gather(*(fetch(pool, numbered_request(number)) for number in range(160)))
        assert results == [(200, b"hello")] * 160
        assert (server.connections, pool.opened_total, pool.idle) == (4, 4, 4)
        assert len(server.requests) == 160


async def test_the_connection_used_last_is_used_next() -> None:
    connections: list[int] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            connections.append(peer.number)
            peer.write(HELLO)

    async with raw_server(script) as server, open_pool(server, connections=4) as pool:
        await asyncio.gather(*(fetch(pool) for _ in range(3)))
        assert pool.idle == 3
        connections.clear()
        for _ in range(5):
            await fetch(pool)
        assert len(set(connections)) == 1


async def test_the_queue_is_first_come_first_served() -> None:
    gate = HeldServer()
    async with raw_server(gate) as server, open_pool(server, connections=1) as pool:
        tasks = []
        for number in range(10):
            tasks.append(asyncio.create_task(fetch(pool, numbered_request(number))))
            await wait_for_queue(pool, number)
        for number in range(10):
            assert await gate.arrived.get() == b"/%d" % number
            assert (pool.in_use, pool.waiting) == (1, 9 - number)
            gate.open.release()
        assert await asyncio.gather(*tasks) == [(200, b"hello")] * 10
        assert server.connections == 1


async def test_a_latecomer_does_not_overtake_the_queue() -> None:
    gate = HeldServer()
    async with raw_server(gate) as server, open_pool(server, connections=1) as pool:

        async def twice(first: int, second: int) -> None:
            await fetch(pool, numbered_request(first))
            await fetch(pool, numbered_request(second))

        greedy = asyncio.create_task(twice(0, 3))
        await wait_for_queue(pool, 0)
        assert await gate.arrived.get() == b"/0"
        patient = asyncio.create_task(fetch(pool, numbered_request(1)))
        await wait_for_queue(pool, 1)
        gate.open.release()
        gate.open.release()
        gate.open.release()
        await asyncio.gather(greedy, patient)
        assert [await gate.arrived.get() for _ in range(2)] == [b"/1", b"/3"]


async def test_a_full_queue_refuses_at_once() -> None:
    gate = HeldServer()
    async with raw_server(gate) as server, open_pool(server, connections=1, queue=1) as pool:
        first = asyncio.create_task(fetch(pool))
        await gate.arrived.get()
        second = asyncio.create_task(fetch(pool))
        await wait_for_queue(pool, 1)
        with pytest.raises(PoolExhausted, match="All 1 connections"):
            await fetch(pool)
        gate.open.release()
        gate.open.release()
        assert [await first, await second] == [(200, b"hello")] * 2


async def test_waiting_too_long_is_refused_and_harms_nobody() -> None:
    gate = HeldServer()
    async with raw_server(gate) as server, open_pool(server, connections=1, queue_timeout=0.02) as pool:
        first = asyncio.create_task(fetch(pool))
        await gate.arrived.get()
        with pytest.raises(PoolExhausted, match=r"within 0\.02 seconds"):
            await fetch(pool)
        assert pool.waiting == 0
        gate.open.release()
        assert await first == (200, b"hello")
        gate.open.release()
        assert await fetch(pool) == (200, b"hello")


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(HELLO)
        await peer.wait_until_closed()
        gone.set()

    async with raw_server(script) as server, open_pool(server, idle_timeout=0.2) as pool:
        await fetch(pool)
        assert pool.idle == 1
        async with asyncio.timeout(5):
            await gone.wait()
        assert pool.idle == 0


async def test_no_connection_within_the_time_for_connecting() -> None:
    """The server never responds to the TLS handshake."""

    async def script(peer: Peer) -> None:
        await peer.wait_until_closed()

    async with raw_server(script) as server:
        base_url = server.base_url.replace("http:", "https:")
        async with open_pool(base_url, connect_timeout=0.05) as pool:
            with pytest.raises(UpstreamTimeout, match=r"No connection .* within 0\.05 seconds"):
                await fetch(pool)
            assert pool.in_use == 0


async def test_closing_lets_requests_under_way_end_and_refuses_new_ones() -> None:
    gate = HeldServer()
    async with raw_server(gate) as server, open_pool(server, connections=1) as pool:
        under_way = asyncio.create_task(fetch(pool))
        await gate.arrived.get()
        queued = asyncio.create_task(fetch(pool))
        await wait_for_queue(pool, 1)
        closing = asyncio.create_task(pool.aclose())
        with pytest.raises(Unreachable, match="have been closed"):
            await queued
        with pytest.raises(Unreachable, match="have been closed"):
            await fetch(pool)
        gate.open.release()
        assert await under_way == (200, b"hello")
        await closing
        assert (pool.in_use, pool.idle) == (0, 0)


async def test_closing_breaks_off_what_outlasts_the_grace() -> None:
    gate = HeldServer()
    async with raw_server(gate) as server, open_pool(server) as pool:
        task = asyncio.create_task(fetch(pool))
        await gate.arrived.get()
        await pool.aclose(grace=0.02)
        with pytest.raises(Unreachable, match="closed by the gateway"):
            await task


async def test_a_request_that_cannot_be_sent_takes_no_place() -> None:
    async with raw_server(respond_with(HELLO)) as server, open_pool(server) as pool:
        with pytest.raises(ValueError, match="not a request target"):
            await fetch(pool, Request(b"GET", b"http://elsewhere/"))
        assert (pool.in_use, server.connections) == (0, 0)
