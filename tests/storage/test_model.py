"""Random sequences of operations on stores, compared with a simple model of `Store`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gateway.storage.backends.memory_store import MIN_LIFETIME_SECONDS, MemoryStore
from gateway.storage.backends.store import Store, StoreUnavailableError
from tests.storage.store_under_test import Clock, StoreUnderTest

KEYS = st.sampled_from(["", "a", "b", "{a}"])
VALUES = st.sampled_from([b"", b"one", b"two", b"1", b"9"])
MEMBERS = st.sampled_from(["", "x", "y"])
SHORT_LIVES = st.none() | st.integers(0, 20).map(float)
LONG_LIVES = st.none() | st.integers(1000, 2000).map(float)
T = TypeVar("T")


class StoreModel:
    """Two dictionaries: of values, and of sets, whose members have an expiry each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.values: dict[str, tuple[bytes, float]] = {}
        self.sets: dict[str, dict[str, float]] = {}

    def expiry(self, lifetime: float | None) -> float:
        return math.inf if lifetime is None else self._clock.now + max(MIN_LIFETIME_SECONDS, lifetime)

    def drop_expired(self) -> None:
        """Remove expired entries."""
        self.values = {key: entry for key, entry in self.values.items() if entry[1] > self._clock.now}
        self.sets = {
            key: {member: expiry for member, expiry in members.items() if expiry > self._clock.now}
            for key, members in self.sets.items()
        }

    def get(self, key: str) -> bytes | None:
        return self.values[key][0] if key in self.values else None


class StoreMachine(RuleBasedStateMachine):
    """Applies each operation to a store and to the model, and compares results and content."""

    def __init__(self, run: Callable[[Awaitable[Any]], Any], store: Store, clock: Clock) -> None:
        super().__init__()
        self._run = run
        self._store = store
        self._clock = clock
        self._model = StoreModel(clock)

    def run(self, answer: Awaitable[T]) -> T:
        answered: T = self._run(answer)
        return answered

    def passes(self, seconds: float) -> None:
        self._clock.now += seconds
        self._model.drop_expired()

    def puts(self, key: str, value: bytes, life: float | None) -> None:
        self.run(self._store.put(key, value, life))
        self._model.values[key] = value, self._model.expiry(life)

    def puts_new(self, key: str, value: bytes, life: float | None) -> None:
        new = self._model.get(key) is None
        assert self.run(self._store.put_new(key, value, life)) == new
        if new:
            self._model.values[key] = value, self._model.expiry(life)

    def replaces(self, key: str, expected: bytes, value: bytes, life: float | None) -> None:
        same = self._model.get(key) == expected
        assert self.run(self._store.replace(key, expected, value, life)) == same
        if same:
            self._model.values[key] = value, self._model.expiry(life)

    def counts(self, key: str, life: float) -> None:
        value, end = self._model.values.get(key, (b"0", self._model.expiry(life)))
        if not value.isdigit():
            with pytest.raises(StoreUnavailableError):
                self.run(self._store.increment(key, life))
            return
        number = int(value) + 1
        assert self.run(self._store.increment(key, life)) == number
        self._model.values[key] = str(number).encode(), end

    def adds(self, key: str, member: str, life: float | None) -> None:
        self.run(self._store.add_member(key, member, life))
        members = self._model.sets.setdefault(key, {})
        members[member] = max(members.get(member, 0.0), self._model.expiry(life))

    @rule(key=KEYS)
    def takes(self, key: str) -> None:
        assert self.run(self._store.take(key)) == self._model.get(key)
        self._model.values.pop(key, None)

    @rule(key=KEYS)
    def deletes(self, key: str) -> None:
        assert self.run(self._store.delete(key)) == (self._model.values.pop(key, None) is not None)

    @rule(key=KEYS, member=MEMBERS)
    def removes(self, key: str, member: str) -> None:
        self.run(self._store.remove_member(key, member))
        self._model.sets.get(key, {}).pop(member, None)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        for key in ("", "a", "b", "{a}"):
            assert self.run(self._store.get(key)) == self._model.get(key)
            assert self.run(self._store.members(key)) == self._model.sets.get(key, {}).keys()


class MemoryMachine(StoreMachine):
    """Lifetimes are short, and the clock is advanced."""

    passing = rule(seconds=st.sampled_from([0.0, MIN_LIFETIME_SECONDS, 1.0, 7.0]))(StoreMachine.passes)
    putting = rule(key=KEYS, value=VALUES, life=SHORT_LIVES)(StoreMachine.puts)
    putting_new = rule(key=KEYS, value=VALUES, life=SHORT_LIVES)(StoreMachine.puts_new)
    replacing = rule(key=KEYS, expected=VALUES, value=VALUES, life=SHORT_LIVES)(StoreMachine.replaces)
    counting = rule(key=KEYS, life=st.integers(0, 20).map(float))(StoreMachine.counts)
    adding = rule(key=KEYS, member=MEMBERS, life=SHORT_LIVES)(StoreMachine.adds)


class ServerMachine(StoreMachine):
    """Lifetimes are longer than the test, because the clock of a server cannot be advanced."""

    putting = rule(key=KEYS, value=VALUES, life=LONG_LIVES)(StoreMachine.puts)
    putting_new = rule(key=KEYS, value=VALUES, life=LONG_LIVES)(StoreMachine.puts_new)
    replacing = rule(key=KEYS, expected=VALUES, value=VALUES, life=LONG_LIVES)(StoreMachine.replaces)
    counting = rule(key=KEYS, life=st.integers(1000, 2000).map(float))(StoreMachine.counts)
    adding = rule(key=KEYS, member=MEMBERS, life=LONG_LIVES)(StoreMachine.adds)


def _run_machine(machine: Callable[[], StoreMachine], budget: settings) -> None:
    run_state_machine_as_test(machine, settings=budget)  # type: ignore[arg-type]  # any factory is accepted


def test_memory_does_as_the_model_does() -> None:
    with asyncio.Runner() as runner:

        def machine() -> StoreMachine:
            clock = Clock()
            return MemoryMachine(runner.get_loop().run_until_complete, MemoryStore(clock), clock)

        _run_machine(machine, settings(max_examples=100, stateful_step_count=30, deadline=None))


def test_a_standalone_server_does_as_the_model_does(started: Callable[[str], Any]) -> None:
    with asyncio.Runner() as runner:
        run = runner.get_loop().run_until_complete
        subjects: list[StoreUnderTest] = []

        def machine() -> StoreMachine:
            subjects.append(StoreUnderTest(started("a standalone server")))
            return ServerMachine(run, subjects[-1].open(), Clock())

        try:
            _run_machine(machine, settings(max_examples=20, stateful_step_count=20, deadline=None))
        finally:
            for subject in subjects:
                run(subject.close())
