"""The states of users: disabled until enabled, and a generation that each end replaces."""

import asyncio

from gateway.storage import store_keys
from gateway.storage.accounts.user_states import UserState, UserStates
from gateway.storage.backends.store import Store


async def test_a_user_of_whom_nothing_is_known_is_enabled(store: Store) -> None:
    assert await UserStates(store).get("doctor") == UserState()
    assert await UserStates(store).list_disabled() == {}


async def test_each_end_starts_a_generation_and_leaves_the_user_disabled(store: Store) -> None:
    states = UserStates(store)
    await states.start_generation("doctor")
    first = await states.get("doctor")
    await states.disable("doctor", "The doctor")
    await states.start_generation("doctor")
    last = await states.get("doctor")
    assert (last.disabled, last.name) == (True, "The doctor")
    assert len({"", first.generation, last.generation}) == 3
    assert await states.list_disabled() == {"doctor": last}
    assert await states.enable("doctor")
    assert not await states.enable("doctor")
    enabled = await states.get("doctor")
    assert not enabled.disabled
    assert enabled.generation not in {"", first.generation, last.generation}
    assert await states.list_disabled() == {}


async def test_of_an_end_and_a_disabling_at_once_none_undoes_the_other(store: Store) -> None:
    states = UserStates(store)
    for number in range(10):
        name = f"user-{number}"
        await asyncio.gather(*(states.start_generation(name) for _ in range(3)), states.disable(name, name))
        assert (await states.get(name)).disabled


async def test_a_state_that_cannot_be_read_lets_nobody_in(store: Store) -> None:
    await store.put(store_keys.USER_STATE + "doctor", b"{", None)
    assert (await UserStates(store).get("doctor")).disabled
