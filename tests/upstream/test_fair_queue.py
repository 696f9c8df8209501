"""The queue for connections to the FHIR server: whose turn it is, who is refused, and who leaves it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from gateway.upstream.caller import OWN, Caller, ClientKey, Waits
from gateway.upstream.connection_slots import ConnectionSlots
from gateway.upstream.exchange_types import CallerGone, PoolExhausted, Request, ShareExhausted
from tests.upstream.held_server import HeldServer, wait_for_queue
from tests.upstream.raw_server import fetch, open_pool, raw_server

GREEDY, POLITE, SHY = ("issuer", "greedy"), ("issuer", "polite"), ("issuer", "shy")


class Line:
    """Callers that wait for slots, and the order in which they got one."""

    def __init__(self, slots: ConnectionSlots) -> None:
        self.slots = slots
        self.served: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, client: ClientKey, *names: str, waits: Waits | None = None) -> None:
        """Callers come, one after the other, and take a slot or wait."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._take(client, name, waits))
            await asyncio.sleep(0)

    async def _take(self, client: ClientKey, name: str, waits: Waits | None) -> None:
        if not self.slots.take(client):
            await self.slots.acquire(client, waits)
        self.served.append(name)

    async def release(self, *clients: ClientKey) -> None:
        """Clients give a slot back, one after the other."""
        for client in clients:
            self.slots.release(client)
            await asyncio.sleep(0)

    async def refusal(self, name: str) -> BaseException | None:
        """How the waiting of a caller ended; None if it got a slot."""
        task = self.tasks[name]
        await asyncio.wait([task])
        return asyncio.CancelledError() if task.cancelled() else task.exception()


@contextlib.asynccontextmanager
async def a_line(total: int, places: int, per_client: int | None = None, seconds: float = 60) -> AsyncIterator[Line]:
    line = Line(ConnectionSlots(total, places, seconds, per_client))
    try:
        yield line
    finally:
        line.slots.close()
        await asyncio.gather(*line.tasks.values(), return_exceptions=True)


async def test_who_has_none_goes_before_who_has_some() -> None:
    async with a_line(total=2, places=10) as line:
        await line.come(GREEDY, "g1", "g2", "g3", "g4")
        await line.come(POLITE, "p1")
        await line.release(GREEDY, GREEDY)
        assert line.served == ["g1", "g2", "p1", "g3"]


async def test_equals_take_turns_however_many_requests_one_of_them_has() -> None:
    async with a_line(total=1, places=10) as line:
        await line.come(GREEDY, "g0", "g1", "g2", "g3")
        await line.come(POLITE, "p1", "p2")
        await line.come(SHY, "s1")
        for held in (GREEDY, GREEDY, POLITE, SHY, GREEDY, POLITE):
            await line.release(held)
        assert line.served == ["g0", "g1", "p1", "s1", "g2", "p2", "g3"]


async def test_one_client_leaves_slots_free_for_others() -> None:
    async with a_line(total=4, places=10, per_client=3) as line:
        await line.come(GREEDY, "g1", "g2", "g3", "g4")
        assert (line.slots.free, line.slots.waiting) == (1, 1)
        await line.come(POLITE, "p1")
        assert line.served == ["g1", "g2", "g3", "p1"]
        await line.release(POLITE)
        assert (line.slots.free, line.slots.waiting) == (1, 1)
        await line.release(GREEDY)
        assert line.served[-1] == "g4"


async def test_several_greedy_clients_leave_a_slot_free_together() -> None:
    async with a_line(total=32, places=200, per_client=24) as line:
        for client, name in ((GREEDY, "g"), (SHY, "s")):
            await line.come(client, *(f"{name}{number}" for number in range(60)))
        for _ in range(20):
            await line.release(GREEDY)
            await line.release(SHY)
            assert line.slots.free
        await line.come(POLITE, "p1")
        assert line.served[-1] == "p1"


async def test_the_gateway_itself_may_have_every_slot() -> None:
    async with a_line(total=2, places=10, per_client=1) as line:
        await line.come(OWN, "o1", "o2", "o3")
        assert line.served == ["o1", "o2"]
        await line.release(OWN)
        assert line.served == ["o1", "o2", "o3"]


async def test_a_full_queue_refuses_the_last_of_who_has_most_places() -> None:
    async with a_line(total=1, places=3) as line:
        await line.come(GREEDY, "g0", "g1", "g2", "g3")
        await line.come(POLITE, "p1")
        assert isinstance(await line.refusal("g3"), ShareExhausted)
        assert line.slots.waiting == 3
        await line.release(GREEDY, GREEDY, POLITE)
        assert line.served == ["g0", "g1", "p1", "g2"]


async def test_who_fills_the_queue_is_told_so_and_others_are_told_that_it_is_full() -> None:
    async with a_line(total=1, places=2) as line:
        await line.come(GREEDY, "g0", "g1", "g2", "g3")
        assert isinstance(await line.refusal("g3"), ShareExhausted)
        await line.come(POLITE, "p1")
        await line.come(SHY, "s1")
        assert isinstance(await line.refusal("g2"), ShareExhausted)
        assert type(await line.refusal("s1")) is PoolExhausted


async def test_many_clients_of_one_request_each_take_no_place_from_each_other() -> None:
    async with a_line(total=1, places=50) as line:
        await line.come(GREEDY, "first")
        for number in range(50):
            await line.come(("issuer", f"registered-{number}"), f"r{number}")
        await line.come(POLITE, "late")
        assert type(await line.refusal("late")) is PoolExhausted
        assert line.slots.waiting == 50


async def test_without_a_queue_everybody_is_refused_at_once() -> None:
    async with a_line(total=1, places=0) as line:
        await line.come(GREEDY, "g1")
        await line.come(POLITE, "p1")
        assert type(await line.refusal("p1")) is PoolExhausted


async def test_who_has_waited_too_long_is_told_whether_it_was_their_own_share() -> None:
    async with a_line(total=2, places=10, per_client=1, seconds=0.02) as line:
        await line.come(GREEDY, "g1", "g2")
        assert isinstance(await line.refusal("g2"), ShareExhausted)
        await line.come(POLITE, "p1")
        await line.come(SHY, "s1")
        assert type(await line.refusal("s1")) is PoolExhausted
        assert line.slots.waiting == 0


async def test_who_closes_the_connection_leaves_the_queue() -> None:
    async with a_line(total=1, places=10) as line:
        await line.come(GREEDY, "g1")
        waits = Waits()
        await line.come(POLITE, "p1", "p2", waits=waits)
        await line.come(SHY, "s1")
        waits.end()
        assert isinstance(await line.refusal("p1"), CallerGone)
        assert isinstance(await line.refusal("p2"), CallerGone)
        assert line.slots.waiting == 1
        await line.come(POLITE, "p3", waits=waits)
        assert isinstance(await line.refusal("p3"), CallerGone)
        await line.release(GREEDY)
        assert line.served == ["g1", "s1"]


async def test_a_caller_that_ends_in_the_moment_in_which_its_client_goes_leaves_no_place_behind() -> None:
    async with a_line(total=1, places=1) as line:
        waits = Waits()
        await line.come(GREEDY, "g1")
        await line.come(POLITE, "p1", waits=waits)
        waits.end()
        line.tasks["p1"].cancel()
        assert isinstance(await line.refusal("p1"), asyncio.CancelledError)
        assert line.slots.waiting == 0
        await line.come(SHY, "s1")
        await line.release(GREEDY)
        assert line.served == ["g1", "s1"]


async def test_a_slot_that_comes_just_as_the_client_goes_is_passed_on_once() -> None:
    async with a_line(total=1, places=10) as line:
        await line.come(GREEDY, "g1")
        waits = Waits()
        await line.come(POLITE, "p1", waits=waits)
        await line.come(SHY, "s1")
        waits.end()
        line.slots.release(GREEDY)
        assert isinstance(await line.refusal("p1"), CallerGone)
        await line.refusal("s1")
        assert line.served == ["g1", "s1"]
        await line.release(SHY)
        assert (line.slots.free, line.slots.waiting) == (1, 0)


async def test_a_slot_that_came_before_the_client_went_is_used() -> None:
    async with a_line(total=1, places=10) as line:
        await line.come(GREEDY, "g1")
        waits = Waits()
        await line.come(POLITE, "p1", waits=waits)
        line.slots.release(GREEDY)
        waits.end()
        assert await line.refusal("p1") is None
        assert line.slots.free == 0


async def test_a_pool_counts_each_connection_for_its_client() -> None:
    def request(client: ClientKey, name: str) -> Request:
        return Request(b"GET", b"/" + name.encode(), caller=Caller(client))

    gate = HeldServer()
    async with raw_server(gate) as server, open_pool(server, connections=2, per_client=1) as pool:
        tasks = [asyncio.create_task(fetch(pool, request(GREEDY, name))) for name in ("g1", "g2")]
        assert await gate.arrived.get() == b"/g1"
        await wait_for_queue(pool, 1)
        tasks.append(asyncio.create_task(fetch(pool, request(POLITE, "p1"))))
        assert await gate.arrived.get() == b"/p1"
        gate.open.release()
        gate.open.release()
        assert await gate.arrived.get() == b"/g2"
        gate.open.release()
        assert [status for status, _ in await asyncio.gather(*tasks)] == [200, 200, 200]


async def test_a_connection_that_cannot_be_opened_gives_the_share_back() -> None:
    async with open_pool("http://127.0.0.1:9", connections=2, per_client=1) as pool:
        for _ in range(3):
            with pytest.raises(Exception, match="No connection"):
                await pool.send(Request(b"GET", b"/", caller=Caller(GREEDY)))
        assert pool.in_use == 0
