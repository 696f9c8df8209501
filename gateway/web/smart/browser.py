"""The two cookies of a browser: one that ties a request to it, one for who has signed in."""

import secrets
from dataclasses import dataclass, replace
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization import Session
from gateway.storage.handles import digest
from gateway.storage.sessions import Sessions
from gateway.web.smart.users import Users

_BINDING = "smart-browser"
_SESSION = "smart-session"


@dataclass(frozen=True, slots=True)
class Cookies:
    """How cookies are set. `embedded`: pages are shown in another site's frame, to which lax cookies are not sent."""

    secure: bool
    embedded: bool
    users: Users

    def binding(self, request: Request) -> str | None:
        """The secret that ties requests to this browser."""
        return request.cookies.get(self._name(_BINDING))

    def session(self, request: Request) -> str | None:
        """The secret of the session."""
        return request.cookies.get(self._name(_SESSION))

    async def signed_in(self, request: Request, sessions: Sessions) -> Session | None:
        """Who is signed in at this browser, if anybody is; the look prolongs the session."""
        cookie = self.session(request)
        session = None if cookie is None else await sessions.get(cookie)
        user = None if session is None else await self.users.current(session.user)
        return None if session is None or user is None else replace(session, user=user)

    def bind(self, response: Response) -> str:
        """Give the browser a new binding; the secret."""
        return self._set(response, _BINDING)

    def sign_in(self, response: Response) -> str:
        """Give the browser a new session secret, so that none from before the login is ever used on (fixation)."""
        return self._set(response, _SESSION)

    def sign_out(self, response: Response) -> None:
        """Take the session secret away."""
        response.delete_cookie(
            self._name(_SESSION), path="/", secure=self.secure, httponly=True, samesite=self._same_site
        )

    @property
    def _same_site(self) -> Literal["none", "lax"]:
        return "none" if self.secure and self.embedded else "lax"

    def _set(self, response: Response, name: str) -> str:
        value = secrets.token_urlsafe(32)
        response.set_cookie(
            self._name(name),
            value,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite=self._same_site,
        )
        return value

    def _name(self, name: str) -> str:
        """`__Host-` keeps other hosts of the domain from setting it (RFC 6265bis 4.1.3); it needs https."""
        return f"__Host-{name}" if self.secure else name


def is_bound(binding: str | None, expected: str) -> bool:
    """Whether the browser is the one that began."""
    return binding is not None and secrets.compare_digest(digest(binding), expected)
