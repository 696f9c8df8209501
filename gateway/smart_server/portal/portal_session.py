"""The session and the forms of the portal's pages, which share one form token per session."""

from starlette.requests import Request

from gateway.languages.language import gettext_noop
from gateway.oauth.authorization import Session
from gateway.oauth.errors import PageError, WayBack
from gateway.oauth.parameters import Parameters
from gateway.smart_server.cookies import Cookies
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import read_page_form

_LANDING_PAGES = frozenset({"apps", "manage"})


class PortalSessions:
    """Reads the session of a request to the portal."""

    def __init__(self, dependencies: Dependencies, cookies: Cookies) -> None:
        self._issuer = dependencies.issuer
        self._sessions = dependencies.storage.sessions
        self._cookies = cookies

    async def current_session(self, request: Request) -> Session | None:
        """The session of the browser, if a user is signed in."""
        return await self._cookies.current_session(request, self._sessions)

    async def read_form(self, request: Request) -> tuple[Session, Parameters]:
        """The session and the fields of a form that was posted from our page. Raises `PageError`."""
        session = await self.current_session(request)
        fields, _ = await read_page_form(request)
        return require_own_form(session, fields, self._issuer), fields


def require_own_form(session: Session | None, fields: Parameters, issuer: str) -> Session:
    """The session, if the form was posted from a page of that session. Raises `PageError`."""
    if session is None:
        raise PageError(
            "form_foreign",
            "Nobody is signed in here any more, and nothing was changed.",
            title=gettext_noop("You are signed out"),
            way_back=WayBack(sign_in_url(issuer, "apps"), gettext_noop("Sign in")),
        )
    if fields.get("csrf") != session.csrf:
        raise PageError(
            "form_foreign",
            "This form did not come from our own page, or is an old one. Nothing was changed.",
            way_back=WayBack(f"{issuer}/apps", gettext_noop("Back to the apps")),
        )
    return session


def landing_page(target: str | None) -> str:
    """The page to show after login: one of our own pages, never a URL from the request."""
    return target if target is not None and target in _LANDING_PAGES else "apps"


def sign_in_url(issuer: str, target: str) -> str:
    """The sign-in page that leads to the landing page `target`."""
    return f"{issuer}/sign-in?to={target}"
