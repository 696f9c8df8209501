"""Callers under one name go through one after the other, and nothing is left of them."""

import asyncio

import pytest

from gateway.storage.turns import Turns

pytestmark = pytest.mark.asyncio


async def test_callers_go_through_one_at_a_time_in_the_order_in_which_they_came() -> None:
    turns, events = Turns(), list[str]()

    async def go(name: str, caller: str) -> None:
        async with turns.take(name):
            events.append(f"{caller} begins")
            await asyncio.sleep(0)
            events.append(f"{caller} ends")

    await asyncio.gather(go("x", "first"), go("x", "second"), go("y", "other"))
    order = [event for event in events if not event.startswith("other")]
    assert order == ["first begins", "first ends", "second begins", "second ends"]
    assert events.index("other begins") < events.index("first ends")
    assert len(turns) == 0


async def test_who_fails_or_is_cancelled_holds_nobody_up() -> None:
    turns = Turns()

    async def fail() -> None:
        async with turns.take("x"):
            raise ValueError

    async def wait() -> None:
        async with turns.take("x"):
            pass

    async with turns.take("x"):
        cancelled, waiting = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        assert len(turns) == 1
    await waiting
    with pytest.raises(ValueError):
        await fail()
    async with asyncio.timeout(5), turns.take("x"):
        pass
    assert len(turns) == 0


async def test_who_is_cancelled_in_the_moment_of_the_turn_passes_it_on() -> None:
    turns, entered = Turns(), list[str]()

    async def enter(caller: str) -> None:
        async with turns.take("x"):
            entered.append(caller)

    async with turns.take("x"):
        cancelled, waiting = asyncio.create_task(enter("cancelled")), asyncio.create_task(enter("waiting"))
        await asyncio.sleep(0)
    # The turn is given away, and the task has not gone on yet.
    cancelled.cancel()
    async with asyncio.timeout(5):
        await waiting
    assert (entered, len(turns)) == (["waiting"], 0)
