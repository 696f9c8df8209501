"""The door of the admin port: from where requests may come, and what every one of them leaves in the audit log."""

import hmac
import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.admin.sessions import AdminSessions, SignedIn
from gateway.asgi.types import ASGIApplication, Receive, Scope, Send
from gateway.settings.serving.admin import Admin
from gateway.settings.setting_types import is_loopback
from gateway.smart_server.error_responses import Endpoint, recorded
from gateway.smart_server.events.request_events import RequestEvents
from gateway.storage.tokens.opaque_tokens import digest
from gateway.telemetry.server_event import EventKind

_SIGN_IN_FORM = "smart-admin-form"


class AdminDoor:
    """What the pages and the API have in common."""

    def __init__(self, settings: Admin, events: RequestEvents, sessions: AdminSessions) -> None:
        self._settings = settings
        self._events = events
        self._sessions = sessions

    def recorded(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint, each refusal of which is one event."""
        return recorded(endpoint, EventKind.ADMIN_REFUSED, self._events)

    async def signed_in(self, request: Request) -> SignedIn | None:
        """Who is signed in in this browser. Every event of the request names them from now on."""
        return await self._sessions.current(request)

    def is_own_form(self, signed_in: SignedIn, csrf: str | None) -> bool:
        """Whether a form came from a page of this session."""
        return signed_in.is_own_form(csrf)

    def sign_in_token(self, request: Request, response: Response) -> str:
        """The token of the sign-in form, for a browser that has a cookie, or gets one now (RFC 9700, login CSRF)."""
        secret = request.cookies.get(self._form_cookie)
        if secret is None:
            secret = secrets.token_urlsafe(32)
            response.set_cookie(
                self._form_cookie, secret, path="/", secure=self._settings.uses_https, httponly=True, samesite="strict"
            )
        return digest(secret)

    def is_own_sign_in(self, request: Request, csrf: str | None) -> bool:
        """Whether a sign-in form came from a page of this browser."""
        secret = request.cookies.get(self._form_cookie)
        return (
            secret is not None
            and csrf is not None
            and hmac.compare_digest(digest(secret).encode(), csrf.encode("utf-8", "replace"))
        )

    @property
    def _form_cookie(self) -> str:
        return f"__Host-{_SIGN_IN_FORM}" if self._settings.uses_https else _SIGN_IN_FORM


class HostCheck:
    """Lets requests pass whose `Host` is that of the admin port: a page of another name must not reach it.

    Otherwise the owner of a name could let it resolve to this machine, and read with the cookies of that name (DNS
    rebinding).
    """

    def __init__(self, application: ASGIApplication, settings: Admin) -> None:
        self._application = application
        self._is_own = _own_hosts(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421 (RFC 9110 15.5.20)."""
        if scope["type"] == "http":
            hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or not self._is_own(hosts[0]):
                refusal = PlainTextResponse("This is not the host of the admin port (admin.base_url).\n", 421)
                await refusal(scope, receive, send)
                return
        await self._application(scope, receive, send)


def _own_hosts(settings: Admin) -> Callable[[str], bool]:
    """Whether a `Host` is that of `base_url`, with any way to write its port; or a name of this machine without one."""
    if settings.base_url is None:
        return _names_this_machine
    parts = urlsplit(settings.base_url)
    default_port = 443 if parts.scheme == "https" else 80
    name = parts.netloc.rpartition(":")[0] if parts.port is not None else parts.netloc
    accepted = {f"{name}:{parts.port or default_port}"}
    if parts.port in {None, default_port}:
        accepted.add(name)
    return accepted.__contains__


def _names_this_machine(host: str) -> bool:
    try:
        return is_loopback(f"http://{host}")
    except ValueError:
        return False
