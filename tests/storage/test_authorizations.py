"""Authorizations: each is opened once, and none is opened after its end (edge case 46)."""

import asyncio

from gateway.oauth.authorization import User
from gateway.oauth.launch_context import LaunchContext
from gateway.storage.access_ends import AccessEnds
from gateway.storage.accounts.user_states import UserStates
from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import Store
from gateway.storage.batches import run_in_batches
from gateway.storage.sessions import Sessions
from gateway.storage.tokens.authorizations import Authorizations
from gateway.storage.tokens.refresh_tokens import RefreshTokens
from tests.storage.sample_authorizations import LIFE, make_authorization
from tests.storage.store_under_test import Clock


async def test_a_grant_opens_once_and_never_after_its_end(store: Store) -> None:
    authorizations, opened, other = Authorizations(store), make_authorization(), make_authorization()
    assert await authorizations.open(opened, LIFE)
    assert not await authorizations.open(opened, LIFE)
    assert await authorizations.get(opened.authorization_id) == opened
    await authorizations.end(opened.authorization_id)
    assert await authorizations.get(opened.authorization_id) is None
    assert not await authorizations.open(opened, LIFE)
    assert not await authorizations.prolong(opened, LIFE)
    # The second use of a code may come before the first exchange has opened the authorization.
    await authorizations.end(other.authorization_id)
    assert not await authorizations.open(other, LIFE)


async def test_of_an_exchange_and_an_end_at_once_the_end_wins(store: Store) -> None:
    authorizations = Authorizations(store)
    for _ in range(10):
        authorization = make_authorization()
        await asyncio.gather(
            authorizations.open(authorization, LIFE), authorizations.end(authorization.authorization_id)
        )
        assert await authorizations.get(authorization.authorization_id) is None
        assert not await authorizations.prolong(authorization, LIFE)


async def test_the_grants_of_a_user_are_listed_the_latest_first_without_the_ended_ones(store: Store) -> None:
    authorizations = Authorizations(store)
    old, new, ended = (make_authorization(granted_at=at) for at in (1.0, 2.0, 3.0))
    foreign = make_authorization(user=User("nurse", "Nina Nurse"))
    for authorization in (old, new, ended, foreign):
        await authorizations.open(authorization, LIFE)
    await authorizations.end(ended.authorization_id)
    assert await authorizations.list(subject="doctor") == (new, old)
    assert await authorizations.list(subject="nurse") == (foreign,)
    assert await authorizations.list(subject="nobody") == ()


async def test_grants_are_found_by_user_app_and_patient_together(store: Store) -> None:
    authorizations = Authorizations(store)
    one, other_app = make_authorization(), make_authorization(client_id="other")
    other_patient = make_authorization(context=LaunchContext(patient="pat-b"))
    backend = make_authorization(user=None, context=LaunchContext())
    for authorization in (one, other_app, other_patient, backend):
        await authorizations.open(authorization, LIFE)

    async def found(**criteria: str) -> set[str]:
        return {authorization.authorization_id for authorization in await authorizations.list(**criteria)}

    ids = [authorization.authorization_id for authorization in (one, other_app, other_patient, backend)]
    assert await found(client_id="app") == {ids[0], ids[2], ids[3]}
    assert await found(patient="pat-a") == {ids[0], ids[1]}
    assert await found(subject="doctor", client_id="app", patient="pat-a") == {ids[0]}


async def test_what_has_only_a_code_is_found_and_ended_too(store: Store) -> None:
    authorizations, authorization = Authorizations(store), make_authorization()
    await authorizations.announce(authorization, "session-1", LIFE)
    assert await authorizations.list(subject="doctor") == (), "it is not open yet"
    (found,) = await authorizations.find_ids(client_id="app")
    assert await authorizations.find_ids_of_session("session-1") == {found}
    await authorizations.end(found)
    assert not await authorizations.open(authorization, LIFE, session_id="session-1")


async def test_once_it_is_open_only_online_access_ends_with_its_session(store: Store) -> None:
    authorizations = Authorizations(store)
    offline, online = make_authorization(), make_authorization(session_id="session-1")
    for authorization in (offline, online):
        await authorizations.announce(authorization, "session-1", LIFE)
        assert await authorizations.open(authorization, LIFE, session_id="session-1")
    assert await authorizations.find_ids_of_session("session-1") == {online.authorization_id}


async def test_the_indexes_do_not_grow_for_ever() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    authorizations = Authorizations(store)
    for _ in range(1000):
        await authorizations.open(make_authorization(), LIFE)
        clock.now += LIFE
    assert len(await authorizations.find_ids(client_id="app")) <= 2
    assert len(store) <= 12


async def test_hundreds_of_grants_are_listed_and_ended(store: Store) -> None:
    authorizations = Authorizations(store)
    ends = AccessEnds(authorizations, RefreshTokens(store), Sessions(store, LIFE), UserStates(store))
    granted = [make_authorization() for _ in range(300)]
    await run_in_batches(lambda authorization: authorizations.open(authorization, LIFE), granted)
    assert len(await authorizations.list(subject="doctor")) == 300
    await ends.end_user("doctor")
    assert await authorizations.list(subject="doctor") == ()
