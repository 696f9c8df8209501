"""Whatever callers do, the queue for connections keeps its promises: by random sequences of what can happen."""

import asyncio
import random

import pytest

from gateway.upstream.caller import ClientKey, Waits
from gateway.upstream.connection_slots import ConnectionSlots
from gateway.upstream.exchange_types import UpstreamError

_CLIENTS: list[ClientKey] = [("issuer", name) for name in "abcde"]


class _Crowd:
    """Callers that come, are served, are cancelled and go, in an order that a seed decides."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.total, self.places = self.random.randint(1, 6), self.random.randint(0, 8)
        self.per_client = self.random.randint(1, self.total)
        self.slots = ConnectionSlots(self.total, self.places, 60.0, self.per_client)
        self.held: list[ClientKey] = []
        self.waiting: dict[asyncio.Task[None], tuple[ClientKey, Waits, int]] = {}
        self.number = 0
        self.served_of: dict[ClientKey, int] = {}

    async def _take(self, client: ClientKey, waits: Waits, number: int) -> None:
        if not self.slots.take(client):
            await self.slots.acquire(client, waits)
        # Within a client, who came first is served first.
        assert self.served_of.get(client, -1) < number
        self.served_of[client] = number
        self.held.append(client)

    async def step(self) -> None:
        """Something happens, and everybody notices."""
        match self.random.choice(("come", "come", "release", "cancel", "go")):
            case "come":
                client, waits = self.random.choice(_CLIENTS), Waits()
                self.number += 1
                task = asyncio.create_task(self._take(client, waits, self.number))
                self.waiting[task] = (client, waits, self.number)
            case "release" if self.held:
                self.slots.release(self.held.pop(self.random.randrange(len(self.held))))
            case "cancel" if self.waiting:
                self.random.choice(list(self.waiting)).cancel()
            case "go" if self.waiting:
                self.random.choice(list(self.waiting.values()))[1].end()
        if self.random.random() < 0.6:
            await self.settle()

    async def settle(self) -> None:
        """Let everybody notice what has happened."""
        for _ in range(4):
            await asyncio.sleep(0)
        for task in [task for task in self.waiting if task.done()]:
            del self.waiting[task]
            if not task.cancelled():
                error = task.exception()
                assert error is None or isinstance(error, UpstreamError), error

    def check(self) -> None:
        """What holds whenever everybody has noticed."""
        slots = self.slots
        assert slots.free == self.total - len(self.held)
        assert slots.waiting == len(self.waiting) <= self.places
        for client in _CLIENTS:
            assert self.held.count(client) <= self.per_client
        if slots.free:
            # A slot is free only for others than those that wait.
            rest = self.total - self.per_client
            for client, _, _ in self.waiting.values():
                assert self.held.count(client) * rest >= self.per_client * slots.free


@pytest.mark.parametrize("seed", range(60))
async def test_whatever_happens_the_slots_are_shared_as_they_should(seed: int) -> None:
    crowd = _Crowd(seed)
    for _ in range(80):
        await crowd.step()
        await crowd.settle()
        crowd.check()
    # Everybody who still waits is served in the end.
    while crowd.held or crowd.waiting:
        assert crowd.held, "somebody waits for nothing"
        crowd.slots.release(crowd.held.pop())
        await crowd.settle()
    assert (crowd.slots.free, crowd.slots.waiting) == (crowd.total, 0)
    assert not crowd.slots._held
    assert not crowd.slots._queues
