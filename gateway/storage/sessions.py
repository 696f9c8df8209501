"""Sessions: browsers whose user has signed in."""

from dataclasses import dataclass

from gateway.oauth.authorization import Session
from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode
from gateway.storage.tokens.opaque_tokens import digest


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What a list of sessions shows. It opens nothing. Times are in seconds since the epoch."""

    session_id: str
    subject: str
    name: str
    provider: str
    signed_in_at: float
    ends_at: float


class Sessions:
    """All sessions by cookie; a second key per session id tells whether the session is still alive."""

    def __init__(self, store: Store, lifetime: float) -> None:
        """`lifetime` is in seconds, counted from the last use. `Session.ends_at` is never exceeded."""
        self._store = store
        self._lifetime = lifetime

    async def put(self, cookie: str, session: Session, now: float) -> None:
        """Start a session. `cookie` is the secret that only the browser has; `now` is in seconds since the epoch."""
        lifetime = min(self._lifetime, session.ends_at - now)
        await self.announce(_facts(session), session.provider_session, lifetime, now)
        await self._store.put(_session_key(cookie), encode(session), lifetime)

    async def announce(self, facts: SessionFacts, provider_session: str | None, lifetime: float, now: float) -> None:
        """Let a session be alive for `lifetime` seconds, be listed, and end with what its user or provider ends.

        `provider_session` is that of `Session`; `now` is in seconds since the epoch.
        """
        longest, session_id = facts.ends_at - now, facts.session_id
        await self._store.add_member(_user_key(facts.subject), session_id, longest)
        if provider_session is not None:
            await self._store.add_member(_provider_key(provider_session), session_id, longest)
        await self._store.put(_facts_key(session_id), encode(facts), longest)
        await self._store.put(_alive_key(session_id), b"", lifetime)

    async def get(self, cookie: str, now: float) -> Session | None:
        """The session, which is prolonged by that. `now` is in seconds since the epoch."""
        data = await self._store.get(_session_key(cookie))
        session = decode(data, Session)
        if data is None or session is None or now >= session.ends_at:
            return None
        lifetime = min(self._lifetime, session.ends_at - now)
        # Replace each key only if it is still there, so that a simultaneous sign-out is not undone.
        if not await self._store.replace(_session_key(cookie), data, data, lifetime):
            return None
        is_alive = await self._store.replace(_alive_key(session.session_id), b"", b"", lifetime)
        return session if is_alive else None

    async def find_for_sign_out(self, cookie: str) -> Session | None:
        """The session, even if it has ended: a sign-out that was interrupted can be repeated."""
        return decode(await self._store.get(_session_key(cookie)), Session)

    async def is_alive(self, session_id: str) -> bool:
        """Whether the session lasts, and with it the access that is limited to it (RF-2, edge case 62)."""
        return await self._store.get(_alive_key(session_id)) is not None

    async def describe(self, session_id: str) -> SessionFacts | None:
        """What a list shows of a session that lasts; None for any other."""
        is_alive = await self.is_alive(session_id)
        return decode(await self._store.get(_facts_key(session_id)), SessionFacts) if is_alive else None

    async def end(self, session_id: str) -> None:
        """End a session. `AccessEnds.end_session` also ends what was granted for it."""
        await self._store.delete(_alive_key(session_id))
        await self._store.delete(_facts_key(session_id))

    async def forget_cookie(self, cookie: str) -> None:
        """Remove what the cookie stands for, after its session was ended."""
        await self._store.delete(_session_key(cookie))

    async def find_ids_of_user(self, subject: str) -> frozenset[str]:
        """The ids of the user's sessions, some of which may have ended."""
        return await self._store.members(_user_key(subject))

    async def find_ids_of_provider_session(self, provider_session: str) -> frozenset[str]:
        """The ids of the sessions that began with one session at an OpenID provider (`Session.provider_session`)."""
        return await self._store.members(_provider_key(provider_session))


def _session_key(cookie: str) -> str:
    return store_keys.SESSION + digest(cookie)


def _alive_key(session_id: str) -> str:
    return store_keys.SESSION_ALIVE + session_id


def _facts_key(session_id: str) -> str:
    return store_keys.SESSION_FACTS + session_id


def _facts(session: Session) -> SessionFacts:
    user = session.user
    return SessionFacts(
        session.session_id, user.subject, user.name, user.provider, session.signed_in_at, session.ends_at
    )


def _user_key(subject: str) -> str:
    return store_keys.SESSIONS_OF_USER + subject


def _provider_key(provider_session: str) -> str:
    return store_keys.SESSIONS_OF_PROVIDER_SESSION + digest(provider_session)
