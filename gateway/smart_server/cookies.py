"""The cookies of a browser: they bind authorization requests to it, identify its session, and tell that it is known."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization import Session
from gateway.smart_server.accounts.local_users import LocalUsers
from gateway.storage.accounts.known_places import KNOWN_PLACE_SECONDS
from gateway.storage.sessions import Sessions
from gateway.storage.tokens.opaque_tokens import digest

_BINDING = "smart-browser"
_SESSION = "smart-session"
_KNOWN_BROWSER = "smart-known-browser"
# A secret as it is made here, of 32 random bytes.
_SECRET = re.compile(r"[A-Za-z0-9_\-]{43}")


@dataclass(frozen=True, slots=True)
class Cookies:
    """Reads and sets the cookies.

    `is_embedded`: pages may be in a frame of another site, where browsers do not send cookies with `SameSite=Lax`.
    `clock` returns seconds since the epoch.
    """

    uses_https: bool
    is_embedded: bool
    users: LocalUsers
    clock: Callable[[], float]

    def binding(self, request: Request) -> str | None:
        """The secret that binds authorization requests to this browser."""
        return request.cookies.get(self._cookie_name(_BINDING))

    def session_secret(self, request: Request) -> str | None:
        """The secret of the signed-in session."""
        return request.cookies.get(self._cookie_name(_SESSION))

    async def current_session(self, request: Request, sessions: Sessions) -> Session | None:
        """The session of this browser, with the user as of now. Reading it prolongs the session."""
        cookie = self.session_secret(request)
        session = None if cookie is None else await sessions.get(cookie, self.clock())
        user = None if session is None else await self.users.reload(session.user)
        return None if session is None or user is None else replace(session, user=user)

    def set_binding(self, response: Response) -> str:
        """Set a new binding cookie; returns its secret."""
        return self._set(response, _BINDING)

    def set_session(self, response: Response) -> str:
        """Set a new session cookie; returns its secret. A new secret at each login prevents session fixation."""
        return self._set(response, _SESSION)

    def known_browser(self, request: Request) -> str | None:
        """The secret by which a browser is known in which somebody has signed in (`KnownPlaces`)."""
        value = request.cookies.get(self._cookie_name(_KNOWN_BROWSER), "")
        return value if _SECRET.fullmatch(value) else None

    def set_known_browser(self, request: Request, response: Response) -> str:
        """Set that cookie anew, and keep its secret: several users may share the browser."""
        return self._set(response, _KNOWN_BROWSER, self.known_browser(request), lifetime=KNOWN_PLACE_SECONDS)

    def delete_session(self, response: Response) -> None:
        """Delete the session cookie."""
        response.delete_cookie(
            self._cookie_name(_SESSION), path="/", secure=self.uses_https, httponly=True, samesite=self._same_site
        )

    @property
    def _same_site(self) -> Literal["none", "lax"]:
        return "none" if self.uses_https and self.is_embedded else "lax"

    def _set(self, response: Response, name: str, value: str | None = None, *, lifetime: int | None = None) -> str:
        """Set a cookie, to a new secret without a value. It lives as long as the browser runs without a lifetime."""
        value = value or secrets.token_urlsafe(32)
        response.set_cookie(
            self._cookie_name(name),
            value,
            max_age=lifetime,
            path="/",
            secure=self.uses_https,
            httponly=True,
            samesite=self._same_site,
        )
        return value

    def _cookie_name(self, name: str) -> str:
        """With `__Host-`, which needs https, other hosts of the domain cannot set the cookie (RFC 6265bis 4.1.3)."""
        return f"__Host-{name}" if self.uses_https else name


def is_bound(binding: str | None, expected: str) -> bool:
    """Whether the binding is that of the browser with the digest `expected`."""
    return binding is not None and secrets.compare_digest(digest(binding), expected)
