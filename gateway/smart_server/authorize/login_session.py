"""Starts the session of a user who has just signed in, with a password or at an OpenID provider."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization import LOCAL_PROVIDER, Session, User
from gateway.smart_server.cookies import Cookies
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import remote_address
from gateway.storage.tokens.opaque_tokens import new_id
from gateway.telemetry.server_event import EventKind


class LoginSessions:
    """Starts sessions."""

    def __init__(self, dependencies: Dependencies, cookies: Cookies) -> None:
        self._dependencies = dependencies
        self._cookies = cookies

    async def start_session(
        self,
        user: User,
        request: Request,
        response: Response,
        *,
        signed_in_at: float | None = None,
        provider_session: str | None = None,
    ) -> Session:
        """A new session, with its cookie on `response`. The browser's previous session ends (session fixation).

        `signed_in_at` is the time of a login at a provider, in seconds since the epoch; None means now.
        `provider_session` names the provider's session (`Session.provider_session`).
        """
        previous_secret = self._cookies.session_secret(request)
        if previous_secret is not None:
            await self.end_session_of(previous_secret)
        now = self._dependencies.clock()
        session = Session(
            session_id=new_id(),
            user=user,
            signed_in_at=now if signed_in_at is None else signed_in_at,
            csrf=new_id(),
            ends_at=now + self._dependencies.lifetimes.session_max_seconds,
            provider_session=provider_session,
        )
        await self._dependencies.storage.sessions.put(self._cookies.set_session(response), session, now)
        if user.provider == LOCAL_PROVIDER:
            browser = self._cookies.set_known_browser(request, response)
            await self._dependencies.limits.logins.remember_browser(user.subject, browser)
        self._dependencies.record_event(
            EventKind.SIGNED_IN, subject=user.subject, reason=user.provider, remote_address=remote_address(request)
        )
        return session

    async def sign_out(self, request: Request, response: Response) -> None:
        """End the session of the browser, and delete its cookie on `response`."""
        cookie = self._cookies.session_secret(request)
        session = None if cookie is None else await self._dependencies.storage.sessions.find_for_sign_out(cookie)
        if cookie is not None and session is not None:
            await self.end_session_of(cookie)
            self._dependencies.record_event(EventKind.SIGNED_OUT, subject=session.user.subject)
        self._cookies.delete_session(response)

    async def end_session_of(self, cookie: str) -> None:
        """End the session of a cookie, and what was granted for it.

        The cookie is forgotten last: if the store becomes unavailable before that, this can be repeated.
        """
        storage = self._dependencies.storage
        session = await storage.sessions.find_for_sign_out(cookie)
        if session is not None:
            await storage.ends.end_session(session.session_id)
        await storage.sessions.forget_cookie(cookie)
