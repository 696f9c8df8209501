"""Places, the queue, what is sent twice, and what a cancelled caller leaves behind."""

import asyncio

import pytest

from gateway.upstream.exchange import PoolExhausted, Request, TimedOut, Unreachable
from gateway.upstream.pool import ConnectionPool
from tests.upstream.raw import GET, HELLO, LIMIT, OK, Peer, answers, fetch, pool_of, raw_server

SAFE = [Request(b"GET", b"/a"), Request(b"HEAD", b"/a")]
UNSAFE = [Request(method, b"/a", (), b"{}") for method in (b"POST", b"PUT", b"PATCH", b"DELETE")]


def name_of(request: Request) -> str:
    return request.method.decode()


def target(number: int) -> Request:
    return Request(b"GET", b"/%d" % number)


class Gate:
    """A server that answers a request only when it is told to."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self.open = asyncio.Semaphore(0)

    async def __call__(self, peer: Peer) -> None:
        while True:
            request = await peer.request()
            self.arrived.put_nowait(request.split(b" ")[1])
            await self.open.acquire()
            peer.write(HELLO)


async def settled(pool: ConnectionPool, waiting: int) -> None:
    """Let the loop turn until so many requests wait."""
    for _ in range(1000):
        if pool.waiting == waiting:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{pool.waiting} requests wait, not {waiting}")


async def test_sixteen_callers_share_four_connections() -> None:
    async with raw_server(answers(HELLO)) as server, pool_of(server, connections=4) as pool:
        results = await asyncio.gather(*(fetch(pool, target(number)) for number in range(160)))
        assert results == [(200, b"hello")] * 160
        assert (server.connections, pool.opened_total, pool.idle) == (4, 4, 4)
        assert len(server.requests) == 160


async def test_the_connection_used_last_is_used_next() -> None:
    seen: list[int] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            seen.append(peer.number)
            peer.write(HELLO)

    async with raw_server(script) as server, pool_of(server, connections=4) as pool:
        await asyncio.gather(*(fetch(pool) for _ in range(3)))
        assert pool.idle == 3
        seen.clear()
        for _ in range(5):
            await fetch(pool)
        assert len(set(seen)) == 1


async def test_the_queue_is_first_come_first_served() -> None:
    gate = Gate()
    async with raw_server(gate) as server, pool_of(server, connections=1) as pool:
        tasks = []
        for number in range(10):
            tasks.append(asyncio.create_task(fetch(pool, target(number))))
            await settled(pool, number)
        for number in range(10):
            assert await gate.arrived.get() == b"/%d" % number
            assert (pool.in_use, pool.waiting) == (1, 9 - number)
            gate.open.release()
        assert await asyncio.gather(*tasks) == [(200, b"hello")] * 10
        assert server.connections == 1


async def test_a_latecomer_does_not_overtake_the_queue() -> None:
    gate = Gate()
    async with raw_server(gate) as server, pool_of(server, connections=1) as pool:

        async def twice(first: int, second: int) -> None:
            await fetch(pool, target(first))
            await fetch(pool, target(second))

        greedy = asyncio.create_task(twice(0, 3))
        await settled(pool, 0)
        assert await gate.arrived.get() == b"/0"
        patient = asyncio.create_task(fetch(pool, target(1)))
        await settled(pool, 1)
        gate.open.release()
        gate.open.release()
        gate.open.release()
        await asyncio.gather(greedy, patient)
        assert [await gate.arrived.get() for _ in range(2)] == [b"/1", b"/3"]


async def test_a_full_queue_refuses_at_once() -> None:
    gate = Gate()
    async with raw_server(gate) as server, pool_of(server, connections=1, queue=1) as pool:
        first = asyncio.create_task(fetch(pool))
        await gate.arrived.get()
        second = asyncio.create_task(fetch(pool))
        await settled(pool, 1)
        with pytest.raises(PoolExhausted, match="All 1 connections"):
            await fetch(pool)
        gate.open.release()
        gate.open.release()
        assert [await first, await second] == [(200, b"hello")] * 2


async def test_waiting_too_long_is_refused_and_harms_nobody() -> None:
    gate = Gate()
    async with raw_server(gate) as server, pool_of(server, connections=1, queue_timeout=0.02) as pool:
        first = asyncio.create_task(fetch(pool))
        await gate.arrived.get()
        with pytest.raises(PoolExhausted, match=r"within 0\.02 seconds"):
            await fetch(pool)
        assert pool.waiting == 0
        gate.open.release()
        assert await first == (200, b"hello")
        gate.open.release()
        assert await fetch(pool) == (200, b"hello")


@pytest.mark.parametrize("request_", SAFE, ids=name_of)
async def test_a_safe_request_lost_on_a_reused_connection_is_sent_again(request_: Request) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(OK + b"content-length: 0\r\n\r\n")
        if peer.number == 1:
            await peer.request()  # the server had already decided to close

    async with raw_server(script) as server, pool_of(server) as pool:
        await fetch(pool, request_)
        assert await fetch(pool, request_) == (200, b"")
        assert (server.connections, len(server.requests), pool.in_use) == (2, 3, 0)


@pytest.mark.parametrize("request_", UNSAFE, ids=name_of)
async def test_an_unsafe_request_is_never_sent_again(request_: Request) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(HELLO)
        await peer.request()

    async with raw_server(script) as server, pool_of(server) as pool:
        await fetch(pool)
        with pytest.raises(Unreachable, match="before it answered"):
            await fetch(pool, request_)
        assert (server.connections, len(server.requests), pool.in_use) == (1, 2, 0)


async def test_a_request_on_a_new_connection_is_not_sent_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async with raw_server(script) as server, pool_of(server) as pool:
        with pytest.raises(Unreachable):
            await fetch(pool)
        assert len(server.requests) == 1


async def test_a_request_is_sent_again_only_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            peer.write(HELLO)
            await peer.request()

    async with raw_server(script) as server, pool_of(server) as pool:
        await fetch(pool)
        with pytest.raises(Unreachable):
            await fetch(pool)
        assert (len(server.requests), pool.in_use) == (3, 0)


async def test_a_request_that_was_partly_answered_is_not_sent_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(HELLO)
        await peer.request()
        peer.write(b"H")

    async with raw_server(script) as server, pool_of(server) as pool:
        await fetch(pool)
        with pytest.raises(Unreachable, match="before its answer was whole"):
            await fetch(pool)
        assert len(server.requests) == 2


async def test_a_timeout_is_not_followed_by_a_second_try() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(HELLO)
        await peer.request()
        await peer.gone()

    async with raw_server(script) as server, pool_of(server, read_timeout=0.05) as pool:
        await fetch(pool)
        with pytest.raises(TimedOut):
            await fetch(pool)
        assert len(server.requests) == 2


async def test_an_unsafe_request_avoids_a_connection_that_the_server_has_closed() -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(HELLO)
        if peer.number == 1:
            peer.writer.close()
            closed.set()
        else:
            await peer.gone()

    async with raw_server(script) as server, pool_of(server) as pool:
        await fetch(pool)
        await closed.wait()
        assert await fetch(pool, UNSAFE[0]) == (200, b"hello")
        assert (server.connections, len(server.requests)) == (2, 2)


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(HELLO)
        await peer.gone()
        gone.set()

    async with raw_server(script) as server, pool_of(server, idle_timeout=0.2) as pool:
        await fetch(pool)
        assert pool.idle == 1
        async with asyncio.timeout(5):
            await gone.wait()
        assert pool.idle == 0


async def test_a_caller_cancelled_in_the_queue_leaves_no_trace() -> None:
    gate = Gate()
    async with raw_server(gate) as server, pool_of(server, connections=1) as pool:
        first = asyncio.create_task(fetch(pool, target(1)))
        await gate.arrived.get()
        gone = asyncio.create_task(fetch(pool, target(2)))
        await settled(pool, 1)
        third = asyncio.create_task(fetch(pool, target(3)))
        await settled(pool, 2)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert pool.waiting == 1
        gate.open.release()
        gate.open.release()
        assert [await first, await third] == [(200, b"hello")] * 2
        assert await gate.arrived.get() == b"/3"


async def test_a_caller_cancelled_just_as_its_turn_comes_passes_the_place_on() -> None:
    async with (
        raw_server(answers(OK + b"content-length: 99999\r\n\r\n")) as server,
        pool_of(server, connections=1) as pool,
    ):
        holder = await pool.send(GET)
        gone = asyncio.create_task(pool.send(GET))
        await settled(pool, 1)
        other = asyncio.create_task(pool.send(GET))
        await settled(pool, 2)
        await holder.aclose()  # the place now belongs to `gone`, which has not yet run
        gone.cancel()
        answer = await other
        assert gone.cancelled()
        assert (pool.in_use, pool.waiting) == (1, 0)
        await answer.aclose()


async def test_a_caller_cancelled_while_connecting_gives_its_place_back() -> None:
    async with raw_server(answers(HELLO)) as server, pool_of(server, connections=1) as pool:
        for turns in range(12):
            task = asyncio.create_task(fetch(pool))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert pool.in_use == 0
            assert await fetch(pool) == (200, b"hello")


async def test_a_caller_cancelled_while_awaiting_the_head_closes_the_connection() -> None:
    gate = Gate()
    async with raw_server(gate) as server, pool_of(server, connections=1) as pool:
        task = asyncio.create_task(fetch(pool, target(1)))
        await gate.arrived.get()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (pool.in_use, pool.idle) == (0, 0)
        gate.open.release()  # spent by the first connection, whose client has gone
        gate.open.release()
        assert await fetch(pool, target(2)) == (200, b"hello")
        assert server.connections == 2


@pytest.mark.parametrize("how", ["read", "stream"])
async def test_a_caller_cancelled_within_the_body_closes_the_connection(how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(OK + b"content-length: 100000\r\n\r\nhalf" if peer.number == 1 else HELLO)
        await peer.gone()

    async def consume(pool: ConnectionPool, started: asyncio.Event) -> None:
        answer = await pool.send(GET)
        started.set()
        if how == "read":
            await answer.read(LIMIT)
        else:
            async for _ in answer.stream():
                pass

    async with raw_server(script) as server, pool_of(server, connections=1) as pool:
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
    """For every number of loop turns between the answer and the cancellation: the next caller gets its own answer."""

    async def script(peer: Peer) -> None:
        while True:
            path = (await peer.request()).split(b" ")[1]
            peer.write(OK + b"content-length: %d\r\n\r\n%b" % (len(path), path))

    async with raw_server(script) as server, pool_of(server, connections=1) as pool:
        await fetch(pool)
        for turns in range(20):
            task = asyncio.create_task(fetch(pool, target(turns)))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            assert await fetch(pool, Request(b"GET", b"/next")) == (200, b"/next")
            await asyncio.gather(task, return_exceptions=True)
        assert pool.in_use == 0


async def test_a_stream_left_half_way_closes_the_connection() -> None:
    async with raw_server(answers(OK + b"content-length: 100000\r\n\r\nhalf")) as server, pool_of(server) as pool:
        answer = await pool.send(GET)
        stream = answer.stream()
        assert await anext(stream) == b"half"
        await answer.aclose()
        assert (pool.in_use, pool.idle) == (0, 0)
        with pytest.raises(Unreachable):
            await anext(stream)


async def test_no_connection_within_the_time_for_connecting() -> None:
    """A TLS handshake that the server never answers."""

    async def script(peer: Peer) -> None:
        await peer.gone()

    async with raw_server(script) as server:
        base_url = server.base_url.replace("http:", "https:")
        async with pool_of(base_url, connect_timeout=0.05) as pool:
            with pytest.raises(TimedOut, match=r"No connection .* within 0\.05 seconds"):
                await fetch(pool)
            assert pool.in_use == 0


async def test_closing_lets_requests_under_way_end_and_refuses_new_ones() -> None:
    gate = Gate()
    async with raw_server(gate) as server, pool_of(server, connections=1) as pool:
        under_way = asyncio.create_task(fetch(pool))
        await gate.arrived.get()
        queued = asyncio.create_task(fetch(pool))
        await settled(pool, 1)
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
    gate = Gate()
    async with raw_server(gate) as server, pool_of(server) as pool:
        task = asyncio.create_task(fetch(pool))
        await gate.arrived.get()
        await pool.aclose(grace=0.02)
        with pytest.raises(Unreachable, match="closed by the gateway"):
            await task


async def test_a_request_that_cannot_be_sent_takes_no_place() -> None:
    async with raw_server(answers(HELLO)) as server, pool_of(server) as pool:
        with pytest.raises(ValueError, match="not a request target"):
            await fetch(pool, Request(b"GET", b"http://elsewhere/"))
        assert (pool.in_use, server.connections) == (0, 0)
