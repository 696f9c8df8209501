"""App state in every kind of store: nothing is lost, limits hold, and what changed meanwhile is not overwritten."""

import asyncio
import itertools
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage import store_keys
from gateway.storage.app_states import (
    AppStateFullError,
    AppStateLimits,
    AppStates,
    StoredAppState,
    new_id,
)
from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import Store
from tests.storage.store_under_test import StoreUnderTest

SYSTEM, SUBJECT = "https://app.example", "https://gateway.example/fhir/Patient/A"
LIMITS = AppStateLimits(max_resources=3, max_total_bytes=2000)
_randoms = itertools.count(1)


def new_state(code: str = "c", *, subject: str = SUBJECT, system: str = SYSTEM, text: str = "x") -> StoredAppState:
    state_id = new_id(system, subject, f"{next(_randoms):016x}")
    return StoredAppState(state_id, 1, system, code, subject, msgspec.Raw(msgspec.json.encode({"text": text})))


def content(text: str) -> bytes:
    return msgspec.json.encode({"text": text})


def by_id(states: Iterable[StoredAppState]) -> dict[str, StoredAppState]:
    return {state.state_id: state for state in states}


class TestAppStates:
    async def test_what_was_created_is_found_by_its_address_and_by_its_id(self, store: Store) -> None:
        states = AppStates(store, LIMITS)
        first, second, other = new_state(), new_state(text="y"), new_state("d")
        for state in (first, second, other):
            await states.create(state)
        assert await states.find(SYSTEM, "c", SUBJECT) == (first, second)
        assert await states.find(SYSTEM, "d", SUBJECT) == (other,)
        assert await states.find(SYSTEM, "c", "") == ()
        assert await states.find("https://other.example", "c", SUBJECT) == ()
        assert await states.get(second.state_id) == second

    @pytest.mark.parametrize("state_id", ["", "x", "0" * 32, "0" * 32 + "-" + "0" * 16, "../" + "0" * 30])
    async def test_what_has_no_such_id_is_not_there(self, store: Store, state_id: str) -> None:
        states = AppStates(store, LIMITS)
        assert await states.get(state_id) is None
        assert await states.update(state_id, 1, lambda _: b"{}") is None
        assert not await states.delete(state_id, 1)

    async def test_an_update_needs_the_current_version_and_makes_the_next(self, store: Store) -> None:
        states, state = AppStates(store, LIMITS), new_state()
        await states.create(state)
        updated = await states.update(state.state_id, 1, lambda version: content(f"version {version}"))
        assert updated is not None
        assert (updated.version, bytes(updated.content)) == (2, content("version 2"))
        assert await states.get(state.state_id) == updated
        assert await states.update(state.state_id, 1, lambda _: content("lost")) is None
        assert await states.get(state.state_id) == updated

    async def test_what_is_deleted_in_its_current_version_does_not_come_back(self, store: Store) -> None:
        states, state, other = AppStates(store, LIMITS), new_state(), new_state()
        await states.create(state)
        await states.create(other)
        assert not await states.delete(state.state_id, 2)
        assert await states.delete(state.state_id, 1)
        assert not await states.delete(state.state_id, 1)
        assert await states.update(state.state_id, 1, lambda _: b"{}") is None
        assert await states.find(SYSTEM, "c", SUBJECT) == (other,)

    async def test_after_the_last_one_is_deleted_there_is_room_again(self, store: Store) -> None:
        states, state, later = AppStates(store, LIMITS), new_state(), new_state()
        await states.create(state)
        assert await states.delete(state.state_id, 1)
        await states.create(later)
        assert await states.find(SYSTEM, "c", SUBJECT) == (later,)

    async def test_a_limit_refuses_what_adds_and_permits_what_takes_away(self, store: Store) -> None:
        generous, states = AppStates(store, AppStateLimits(10, 10_000)), AppStates(store, LIMITS)
        stored = [new_state(text="x" * 800) for _ in range(4)]
        for state in stored:
            await generous.create(state)
        with pytest.raises(AppStateFullError):
            await states.create(new_state())
        with pytest.raises(AppStateFullError):
            await states.update(stored[0].state_id, 1, lambda _: content("x" * 900))
        assert await states.update(stored[0].state_id, 1, lambda _: content("x")) is not None
        assert await states.delete(stored[1].state_id, 1)
        await AppStates(store, LIMITS).create(new_state(subject=""))

    async def test_of_many_who_create_at_once_the_limit_lets_in_as_many_as_it_says(
        self, subject: StoreUnderTest
    ) -> None:
        workers = [AppStates(subject.open(), LIMITS) for _ in range(2)]
        new = [new_state() for _ in range(12)]
        results = await asyncio.gather(
            *(workers[index % 2].create(state) for index, state in enumerate(new)), return_exceptions=True
        )
        created = [state for state, result in zip(new, results, strict=True) if result is None]
        assert len(created) == LIMITS.max_resources
        assert all(result is None or isinstance(result, AppStateFullError) for result in results)
        assert by_id(await workers[0].find(SYSTEM, "c", SUBJECT)) == by_id(created)

    async def test_of_many_who_update_one_version_at_once_one_succeeds(self, subject: StoreUnderTest) -> None:
        workers, state = [AppStates(subject.open(), LIMITS) for _ in range(2)], new_state()
        await workers[0].create(state)
        for version in range(1, 6):
            results = await asyncio.gather(
                *(
                    workers[index % 2].update(state.state_id, version, lambda _, text=index: content(f"{text}"))  # type: ignore[misc]
                    for index in range(10)
                )
            )
            succeeded = [result for result in results if result is not None]
            assert len(succeeded) == 1
            assert await workers[0].get(state.state_id) == succeeded[0]

    async def test_changes_of_neighbours_at_once_all_succeed(self, subject: StoreUnderTest) -> None:
        workers = [AppStates(subject.open(), LIMITS) for _ in range(2)]
        neighbours = [new_state(f"{index}") for index in range(3)]
        for state in neighbours:
            await workers[0].create(state)
        updated = await asyncio.gather(
            *(
                workers[index % 2].update(state.state_id, 1, lambda _: content("new"))
                for index, state in enumerate(neighbours)
            )
        )
        assert [state.version for state in updated if state is not None] == [2, 2, 2]

    @pytest.mark.requirement("AS-10")
    async def test_state_is_kept_as_long_as_the_setting_says_from_the_last_change(
        self, subject: StoreUnderTest
    ) -> None:
        store = subject.open()
        kept, passing = AppStates(store, LIMITS), AppStates(store, AppStateLimits(3, 2000, lifetime=100.0))
        lasting, going = new_state(), new_state(subject="")
        await kept.create(lasting)
        await passing.create(going)
        assert await subject.remaining_lifetime("value", _key(lasting)) is None
        assert 10 < (await subject.remaining_lifetime("value", _key(going)) or 0) <= 100


def _key(state: StoredAppState) -> str:
    return store_keys.APP_STATE + state.state_id.partition("-")[0]


CREATE, UPDATE, DELETE = "create", "update", "delete"
ACTIONS = st.lists(
    st.tuples(st.sampled_from([CREATE, UPDATE, DELETE]), st.integers(0, 5), st.integers(1, 3), st.integers(0, 1200)),
    max_size=40,
)


@given(ACTIONS)
def test_the_store_is_a_dictionary_of_versions(actions: list[tuple[str, int, int, int]]) -> None:
    """The oracle: a dictionary of what was written last, and the sum of what it holds."""

    async def run() -> None:
        states, model = AppStates(MemoryStore(), LIMITS), dict[str, StoredAppState]()
        known: list[str] = []
        for action, index, version, length in actions:
            state_id = known[index % len(known)] if known else "none"
            current = model.get(state_id)
            is_current = current is not None and current.version == version
            if action == CREATE:
                state = new_state(text="x" * length)
                fits = len(model) < LIMITS.max_resources and _size([*model.values(), state]) <= LIMITS.max_total_bytes
                try:
                    await states.create(state)
                    assert fits
                    model[state.state_id] = state
                    known.append(state.state_id)
                except AppStateFullError:
                    assert not fits
            elif action == DELETE:
                assert await states.delete(state_id, version) is is_current
                if is_current:
                    del model[state_id]
            else:
                try:
                    updated = await states.update(state_id, version, lambda _, text="y" * length: content(text))  # type: ignore[misc]
                    assert (updated is not None) is is_current
                    if updated is not None:
                        model[state_id] = updated
                        assert updated.version == version + 1
                except AppStateFullError:
                    assert is_current
            assert by_id(await states.find(SYSTEM, "c", SUBJECT)) == model
            assert _size(list(model.values())) <= LIMITS.max_total_bytes

    asyncio.run(run())


def _size(states: list[StoredAppState]) -> int:
    return len(msgspec.json.encode(tuple(states)))
