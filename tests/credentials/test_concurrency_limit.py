"""How many checks run, wait and are refused."""

import asyncio

import pytest

from gateway.credentials.concurrency_limit import ConcurrencyLimit
from gateway.credentials.token_refused import TokenRefused
from gateway.policy.reasons import Reason


async def test_so_many_inside_so_many_waiting_and_the_next_is_turned_away() -> None:
    lane, goes_on, inside = ConcurrencyLimit(max_running=2, max_waiting=1), asyncio.Event(), 0
    most = 0

    async def check() -> None:
        nonlocal inside, most
        async with lane:
            inside += 1
            most = max(most, inside)
            await goes_on.wait()
            inside -= 1

    tasks = [asyncio.create_task(check()) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TokenRefused) as caught:
        await check()
    assert caught.value.reason == Reason.TOKEN_CHECK_UNAVAILABLE
    goes_on.set()
    await asyncio.gather(*tasks)
    assert most == 2
    await check()


async def test_one_who_stops_waiting_leaves_its_place() -> None:
    lane = ConcurrencyLimit(max_running=1, max_waiting=1)

    async def wait() -> None:
        async with lane:
            raise AssertionError("the lane is taken")

    async with lane:
        for _ in range(3):
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    async with lane:
        pass


async def test_one_whose_check_fails_leaves_its_place() -> None:
    lane = ConcurrencyLimit(max_running=1, max_waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with lane:
                raise ZeroDivisionError
    async with lane:
        pass
