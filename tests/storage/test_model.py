"""Stores against a plain model of what the door says, by random sequences of operations."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gateway.storage.memory_store import SHORTEST_LIFETIME, MemoryStore
from gateway.storage.store import Store, StoreAwayError
from tests.storage.subject import Clock, Subject

KEYS = st.sampled_from(["", "a", "b", "{a}"])
VALUES = st.sampled_from([b"", b"one", b"two", b"1", b"9"])
MEMBERS = st.sampled_from(["", "x", "y"])
SHORT_LIVES = st.none() | st.integers(0, 20).map(float)
LONG_LIVES = st.none() | st.integers(1000, 2000).map(float)
T = TypeVar("T")


class Model:
    """Two dicts of things and when they end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.values: dict[str, tuple[bytes, float]] = {}
        self.sets: dict[str, tuple[frozenset[str], float]] = {}

    def end(self, lifetime: float | None) -> float:
        return math.inf if lifetime is None else self._clock.now + max(SHORTEST_LIFETIME, lifetime)

    def forget(self) -> None:
        """What is over is not there."""
        self.values = {key: one for key, one in self.values.items() if one[1] > self._clock.now}
        self.sets = {key: one for key, one in self.sets.items() if one[1] > self._clock.now and one[0]}

    def value(self, key: str) -> bytes | None:
        return self.values[key][0] if key in self.values else None


class Machine(RuleBasedStateMachine):
    """Does the same to a store and to the model, and compares all answers and all that can be seen."""

    def __init__(self, run: Callable[[Awaitable[Any]], Any], store: Store, clock: Clock) -> None:
        super().__init__()
        self._run = run
        self._store = store
        self._clock = clock
        self._model = Model(clock)

    def told(self, answer: Awaitable[T]) -> T:
        answered: T = self._run(answer)
        return answered

    def passes(self, seconds: float) -> None:
        self._clock.now += seconds
        self._model.forget()

    def puts(self, key: str, value: bytes, life: float | None) -> None:
        self.told(self._store.put(key, value, life))
        self._model.values[key] = value, self._model.end(life)

    def puts_new(self, key: str, value: bytes, life: float | None) -> None:
        new = self._model.value(key) is None
        assert self.told(self._store.put_new(key, value, life)) == new
        if new:
            self._model.values[key] = value, self._model.end(life)

    def replaces(self, key: str, expected: bytes, value: bytes, life: float | None) -> None:
        same = self._model.value(key) == expected
        assert self.told(self._store.replace(key, expected, value, life)) == same
        if same:
            self._model.values[key] = value, self._model.end(life)

    def counts(self, key: str, life: float) -> None:
        value, end = self._model.values.get(key, (b"0", self._model.end(life)))
        if not value.isdigit():
            with pytest.raises(StoreAwayError):
                self.told(self._store.count(key, life))
            return
        number = int(value) + 1
        assert self.told(self._store.count(key, life)) == number
        self._model.values[key] = str(number).encode(), end

    def adds(self, key: str, member: str, life: float | None) -> None:
        self.told(self._store.add(key, member, life))
        members, end = self._model.sets.get(key, (frozenset(), 0.0))
        self._model.sets[key] = members | {member}, max(end, self._model.end(life))

    @rule(key=KEYS)
    def takes(self, key: str) -> None:
        assert self.told(self._store.take(key)) == self._model.value(key)
        self._model.values.pop(key, None)

    @rule(key=KEYS)
    def deletes(self, key: str) -> None:
        assert self.told(self._store.delete(key)) == (self._model.values.pop(key, None) is not None)

    @rule(key=KEYS, member=MEMBERS)
    def removes(self, key: str, member: str) -> None:
        self.told(self._store.remove(key, member))
        if key in self._model.sets:
            members, end = self._model.sets[key]
            self._model.sets[key] = members - {member}, end
            self._model.forget()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        for key in ("", "a", "b", "{a}"):
            assert self.told(self._store.get(key)) == self._model.value(key)
            assert self.told(self._store.members(key)) == self._model.sets.get(key, (frozenset(), 0.0))[0]


class MemoryMachine(Machine):
    """Lives are short, and time passes."""

    passing = rule(seconds=st.sampled_from([0.0, SHORTEST_LIFETIME, 1.0, 7.0]))(Machine.passes)
    putting = rule(key=KEYS, value=VALUES, life=SHORT_LIVES)(Machine.puts)
    putting_new = rule(key=KEYS, value=VALUES, life=SHORT_LIVES)(Machine.puts_new)
    replacing = rule(key=KEYS, expected=VALUES, value=VALUES, life=SHORT_LIVES)(Machine.replaces)
    counting = rule(key=KEYS, life=st.integers(0, 20).map(float))(Machine.counts)
    adding = rule(key=KEYS, member=MEMBERS, life=SHORT_LIVES)(Machine.adds)


class ServerMachine(Machine):
    """Lives outlast the test: the server's time does not pass when we say so."""

    putting = rule(key=KEYS, value=VALUES, life=LONG_LIVES)(Machine.puts)
    putting_new = rule(key=KEYS, value=VALUES, life=LONG_LIVES)(Machine.puts_new)
    replacing = rule(key=KEYS, expected=VALUES, value=VALUES, life=LONG_LIVES)(Machine.replaces)
    counting = rule(key=KEYS, life=st.integers(1000, 2000).map(float))(Machine.counts)
    adding = rule(key=KEYS, member=MEMBERS, life=LONG_LIVES)(Machine.adds)


def _hold(machine: Callable[[], Machine], budget: settings) -> None:
    run_state_machine_as_test(machine, settings=budget)  # type: ignore[arg-type]  # any factory will do, it says


def test_memory_does_as_the_model_does() -> None:
    with asyncio.Runner() as runner:

        def machine() -> Machine:
            clock = Clock()
            return MemoryMachine(runner.get_loop().run_until_complete, MemoryStore(clock), clock)

        _hold(machine, settings(max_examples=100, stateful_step_count=30, deadline=None))


def test_a_standalone_server_does_as_the_model_does(started: Callable[[str], Any]) -> None:
    with asyncio.Runner() as runner:
        run = runner.get_loop().run_until_complete
        subjects: list[Subject] = []

        def machine() -> Machine:
            subjects.append(Subject(started("a standalone server")))
            return ServerMachine(run, subjects[-1].open(), Clock())

        try:
            _hold(machine, settings(max_examples=20, stateful_step_count=20, deadline=None))
        finally:
            for subject in subjects:
                run(subject.close())
