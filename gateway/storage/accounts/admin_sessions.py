"""Sessions of administrators at the admin port, and their logins at an OpenID provider."""

from dataclasses import dataclass

from gateway.oauth.authorization import User
from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode
from gateway.storage.tokens.opaque_tokens import digest

_LOGIN_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class AdminSession:
    """A browser in which an administrator signed in. Times are in seconds since the epoch.

    `name` is that of the account, and `account_digest` the digest of what its sign-in depends on; or `user` is the user
    of an OpenID provider. What they may do is looked up at each request. `csrf` is the token of forms.
    """

    session_id: str
    name: str
    csrf: str
    signed_in_at: float
    ends_at: float
    account_digest: str = ""
    user: User | None = None


@dataclass(frozen=True, slots=True)
class AdminLogin:
    """A browser that was sent to the provider: the digest of its cookie, and `nonce` and PKCE's `verifier`."""

    browser: str
    nonce: str
    verifier: str


class AdminSessionStore:
    """All sessions of administrators, by cookie."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, cookie: str, session: AdminSession, lifetime: float) -> None:
        """Start a session. `cookie` is the secret that only the browser has."""
        await self._store.put(_session_key(cookie), encode(session), lifetime)

    async def get(self, cookie: str, lifetime: float, now: float) -> AdminSession | None:
        """The session, which is prolonged to `lifetime` seconds from `now`, but not beyond its end."""
        data = await self._store.get(_session_key(cookie))
        session = decode(data, AdminSession)
        if data is None or session is None or now >= session.ends_at:
            return None
        # Only if it is still there, so that a simultaneous sign-out is not undone.
        is_there = await self._store.replace(_session_key(cookie), data, data, min(lifetime, session.ends_at - now))
        return session if is_there else None

    async def take(self, cookie: str) -> AdminSession | None:
        """End the session of a cookie, and return it."""
        return decode(await self._store.take(_session_key(cookie)), AdminSession)

    async def put_login(self, state: str, login: AdminLogin) -> None:
        """Store a login at the provider for 15 minutes."""
        await self._store.put(_login_key(state), encode(login), _LOGIN_SECONDS)

    async def take_login(self, state: str) -> AdminLogin | None:
        """The login. Of several callers, only one gets it."""
        return decode(await self._store.take(_login_key(state)), AdminLogin)


def _session_key(cookie: str) -> str:
    return store_keys.ADMIN_SESSION + digest(cookie)


def _login_key(state: str) -> str:
    return store_keys.ADMIN_LOGIN + digest(state)
