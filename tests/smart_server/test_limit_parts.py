"""The parts of the limits: pauses between guesses, turns, and the words for a wait."""

import asyncio

import pytest

from gateway.smart_server.limits.guess_limits import Guess, GuessLimits, GuessRules
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError, describe_wait
from gateway.storage.accounts.known_places import KnownPlaces
from gateway.storage.attempts import Attempts
from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.turns import Turns
from tests.storage.store_under_test import Clock


class TestPauses:
    """The pauses between guesses from places that are not known."""

    async def test_they_double_up_to_five_minutes(self) -> None:
        clock = Clock()
        store = MemoryStore(clock)
        refused: list[Guess] = []
        rules = GuessRules(per_place=1, per_network=0, window_seconds=300.0)
        limits = GuessLimits(Attempts(store), KnownPlaces(store), rules, lambda: clock.now, refused.append)

        async def is_wrong() -> bool:
            return False

        async def guess(number: int) -> int:
            try:
                assert not await limits.check(Guess("user", "doctor", f"203.0.{number}.1"), is_wrong)
            except TooManyAttemptsError as error:
                return error.retry_after
            return 0

        assert [await guess(number) for number in range(3)] == [0, 0, 0]
        pauses = []
        for number in range(3, 14):
            pause = await guess(number)
            assert await guess(100) == pause, "what was not tried does not count"
            pauses.append(pause)
            clock.now += pause
            assert await guess(number) == 0
        assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
        assert len(refused) == 2 * len(pauses)
        assert len(limits._turns) == 0


async def test_turns_are_taken_one_at_a_time_by_name() -> None:
    turns, inside, most = Turns(), 0, 0

    async def enter(name: str) -> None:
        nonlocal inside, most
        async with turns.take(name):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(enter("a") for _ in range(5)))
    assert most == 1
    await asyncio.gather(*(enter(name) for name in "abab"))
    assert (most, len(turns)) == (2, 0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "a minute"), (60, "a minute"), (61, "2 minutes"), (300, "5 minutes"), (3600, "60 minutes"), (3601, "2 hours")],
)
def test_how_long_to_wait_is_said_in_words(seconds: int, words: str) -> None:
    assert describe_wait(seconds) == words
