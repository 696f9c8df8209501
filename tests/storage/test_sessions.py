"""Sessions end when they are not used, and when the user signs out."""

import asyncio
from dataclasses import replace

import pytest

from gateway.oauth.authorization import Session
from gateway.storage.access_ends import AccessEnds
from gateway.storage.accounts.user_states import UserStates
from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import Store
from gateway.storage.sessions import Sessions
from gateway.storage.tokens.authorizations import Authorizations
from gateway.storage.tokens.refresh_tokens import RefreshTokens
from tests.storage.sample_authorizations import DOCTOR
from tests.storage.store_under_test import Clock

NOW = 1000.0


def make_session(session_id: str = "session-1", ends_at: float = NOW + 3600.0) -> Session:
    """A session of the doctor."""
    return Session(session_id, DOCTOR, 1.0, "csrf", ends_at)


def make_ends(store: Store, sessions: Sessions) -> AccessEnds:
    """What ends sessions."""
    return AccessEnds(Authorizations(store), RefreshTokens(store), sessions, UserStates(store))


class TestSessions:
    async def test_a_session_is_found_by_its_cookie_alone_until_it_ends(self, store: Store) -> None:
        sessions, session = Sessions(store, 60), make_session()
        await sessions.put("cookie", session, NOW)
        assert await sessions.get("cookie", NOW) == session
        assert await sessions.get("session-1", NOW) is None
        assert await sessions.is_alive("session-1")
        await make_ends(store, sessions).end_session("session-1")
        assert await sessions.get("cookie", NOW) is None
        assert not await sessions.is_alive("session-1")
        assert await sessions.find_for_sign_out("cookie") == session, "a sign-out can be repeated"
        await sessions.forget_cookie("cookie")
        assert await sessions.find_for_sign_out("cookie") is None

    async def test_a_look_prolongs_it_until_its_end(self) -> None:
        clock = Clock()
        sessions = Sessions(MemoryStore(clock), 60)
        await sessions.put("cookie", make_session(ends_at=clock.now + 170), clock.now)
        for _ in range(3):
            clock.now += 50
            assert await sessions.get("cookie", clock.now) is not None
        assert await sessions.is_alive("session-1")
        clock.now += 20
        assert await sessions.get("cookie", clock.now) is None
        assert not await sessions.is_alive("session-1")

    async def test_without_a_look_it_is_over_earlier(self) -> None:
        clock = Clock()
        sessions = Sessions(MemoryStore(clock), 60)
        await sessions.put("cookie", make_session(ends_at=clock.now + 170), clock.now)
        clock.now += 61
        assert await sessions.get("cookie", clock.now) is None
        assert not await sessions.is_alive("session-1")

    async def test_those_of_a_user_and_of_a_session_at_a_provider_are_found(self, store: Store) -> None:
        sessions = Sessions(store, 60)
        await sessions.put("one", make_session("one"), NOW)
        await sessions.put("two", replace(make_session("two"), provider_session="issuer\nsid"), NOW)
        await sessions.put("three", replace(make_session("three"), user=replace(DOCTOR, subject="other")), NOW)
        assert await sessions.find_ids_of_user("doctor") == {"one", "two"}
        assert await sessions.find_ids_of_provider_session("issuer\nsid") == {"two"}
        assert await sessions.find_ids_of_provider_session("issuer\nother") == frozenset()

    @pytest.mark.requirement("edge-62")
    async def test_a_sign_out_is_not_undone_by_a_look_at_the_same_time(self, store: Store) -> None:
        sessions = Sessions(store, 60)
        ends = make_ends(store, sessions)
        for number in range(20):
            session_id = f"session-{number}"
            await sessions.put("cookie", make_session(session_id), NOW)
            await asyncio.gather(*(sessions.get("cookie", NOW) for _ in range(3)), ends.end_session(session_id))
            assert await sessions.get("cookie", NOW) is None
            assert not await sessions.is_alive(session_id), number
