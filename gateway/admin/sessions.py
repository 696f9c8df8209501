"""The sessions of administrators in their browsers: a cookie that no other site sends along, and the token of forms."""

import hmac
import re
import secrets
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.accounts import AdminAccounts, AdminIdentity
from gateway.admin.administrator import Administrator
from gateway.settings.serving.admin import Admin
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_administrator
from gateway.storage.accounts.admin_sessions import AdminSession, AdminSessionStore
from gateway.storage.sessions import SessionFacts
from gateway.storage.tokens.opaque_tokens import new_id
from gateway.telemetry.server_event import EventKind

_SESSION = "smart-admin"
# A secret as it is made here, of 32 random bytes.
_SECRET = re.compile(r"[A-Za-z0-9_\-]{43}")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An administrator in a browser. `csrf` must come with each change that the browser asks for."""

    administrator: Administrator
    csrf: str
    session_id: str

    def is_own_form(self, csrf: str | None) -> bool:
        """Whether a form, or the header of a request, came from a page of this session."""
        return csrf is not None and hmac.compare_digest(csrf.encode("utf-8", "replace"), self.csrf.encode())


class AdminSessions:
    """Starts, reads and ends sessions. Every method may raise `StoreUnavailableError`."""

    def __init__(self, settings: Admin, dependencies: Dependencies, accounts: AdminAccounts) -> None:
        self._settings = settings
        self._dependencies = dependencies
        self._accounts = accounts
        self._store = AdminSessionStore(dependencies.storage.store)

    async def current(self, request: Request) -> SignedIn | None:
        """Who is signed in in this browser, with the role as of now. Reading it prolongs the session.

        Every event of this request names them.
        """
        cookie, now = self._secret(request), self._dependencies.clock()
        session = None if cookie is None else await self._store.get(cookie, self._settings.session_seconds, now)
        if session is None or not await self._is_alive(session):
            return None
        administrator = await self._accounts.of_session(session)
        if administrator is None:
            return None
        note_administrator(administrator.name)
        return SignedIn(administrator, session.csrf, session.session_id)

    async def start(self, identity: AdminIdentity, request: Request, response: Response) -> SignedIn:
        """A new session, with its cookie on `response`. The one that the browser had ends (session fixation)."""
        await self._end_current(request)
        now, user, administrator = self._dependencies.clock(), identity.user, identity.administrator
        session = AdminSession(
            session_id=new_id(),
            name=administrator.name,
            csrf=new_id(),
            signed_in_at=now,
            ends_at=now + self._settings.session_max_seconds,
            account_digest=identity.account_digest,
            user=user,
        )
        if user is not None:
            facts = SessionFacts(session.session_id, user.subject, user.name, user.provider, now, session.ends_at)
            lifetime = float(self._settings.session_max_seconds)
            await self._dependencies.storage.sessions.announce(facts, identity.provider_session, lifetime, now)
        cookie = self._set_cookie(response)
        await self._store.put(cookie, session, min(self._settings.session_seconds, session.ends_at - now))
        note_administrator(administrator.name)
        reason = administrator.origin.value if user is None else user.provider
        self._dependencies.record_event(EventKind.ADMIN_SIGNED_IN, administrator=administrator.name, reason=reason)
        return SignedIn(administrator, session.csrf, session.session_id)

    async def end(self, request: Request, response: Response) -> None:
        """Sign out: end the session of the browser, and delete its cookie on `response`."""
        session = await self._end_current(request)
        if session is not None:
            self._dependencies.record_event(EventKind.ADMIN_SIGNED_OUT, administrator=session.name)
        response.delete_cookie(
            self._cookie_name, path="/", secure=self._settings.uses_https, httponly=True, samesite="strict"
        )

    async def _end_current(self, request: Request) -> AdminSession | None:
        cookie = self._secret(request)
        session = None if cookie is None else await self._store.take(cookie)
        if session is not None and session.user is not None:
            await self._dependencies.storage.sessions.end(session.session_id)
        return session

    async def _is_alive(self, session: AdminSession) -> bool:
        """A session of a provider's user ends with what ends all sessions of that user."""
        return session.user is None or await self._dependencies.storage.sessions.is_alive(session.session_id)

    def _secret(self, request: Request) -> str | None:
        value = request.cookies.get(self._cookie_name, "")
        return value if _SECRET.fullmatch(value) else None

    def _set_cookie(self, response: Response) -> str:
        value = secrets.token_urlsafe(32)
        response.set_cookie(
            self._cookie_name, value, path="/", secure=self._settings.uses_https, httponly=True, samesite="strict"
        )
        return value

    @property
    def _cookie_name(self) -> str:
        """With `__Host-`, which needs https, other hosts of the domain cannot set the cookie (RFC 6265bis 4.1.3)."""
        return f"__Host-{_SESSION}" if self._settings.uses_https else _SESSION
