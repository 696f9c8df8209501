"""`/sign-in` and `/sign-out`: login to the portal, without an app."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.pages.views import LoginView, MessageView, PageLink, ProviderLink
from gateway.smart_server.authorize.login_session import LoginSessions
from gateway.smart_server.authorize.password_login import LoginProblem, PasswordLogin
from gateway.smart_server.cookies import Cookies, is_bound
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_refusal
from gateway.smart_server.http_messages import html_response, read_page_form, see_other
from gateway.smart_server.page_language import gettext
from gateway.smart_server.portal.portal_session import landing_page, require_own_form, sign_in_url
from gateway.storage.tokens.opaque_tokens import digest


class PortalLoginEndpoint:
    """The login page of the portal. Its form is bound to the browser by a cookie, against login CSRF (RFC 9700)."""

    def __init__(
        self,
        dependencies: Dependencies,
        cookies: Cookies,
        password_login: PasswordLogin,
        login_sessions: LoginSessions,
    ) -> None:
        self._dependencies = dependencies
        self._cookies = cookies
        self._password_login = password_login
        self._login_sessions = login_sessions

    async def sign_in(self, request: Request) -> Response:
        """GET: the form. POST: the posted form. Raises `PageError`."""
        target = landing_page(request.query_params.get("to"))
        if request.method != "POST":
            session = await self._cookies.current_session(request, self._dependencies.storage.sessions)
            return self._login_page(request, target, "", user_name="" if session is None else session.user.name)
        fields, _ = await read_page_form(request)
        binding = self._cookies.binding(request)
        if binding is None or not is_bound(binding, fields.get("csrf") or ""):
            note_refusal("form_foreign")
            return self._login_page(request, target, gettext("Please try again."))
        user = await self._password_login.check_password(fields, request)
        if isinstance(user, LoginProblem):
            return user.apply_to(self._login_page(request, target, user.text, username=fields.get("username") or ""))
        response = see_other(f"{self._dependencies.issuer}/{target}")
        await self._login_sessions.start_session(user, request, response)
        return response

    def _login_page(
        self, request: Request, target: str, problem: str, *, username: str = "", user_name: str = ""
    ) -> Response:
        """The token of the form is the digest of the browser's cookie, which no other site knows."""
        cookie_response = Response()
        binding = self._cookies.binding(request) or self._cookies.set_binding(cookie_response)
        users = self._dependencies.users
        view = LoginView(
            action=sign_in_url(self._dependencies.issuer, target),
            csrf=digest(binding),
            username=username,
            problem=problem,
            providers=self._provider_links(target),
            has_password_form=users.has_configured_users or not self._dependencies.providers,
            hint=users.sign_in_hint,
            user_name=user_name,
            next_page=f"{self._dependencies.issuer}/{target}",
        )
        response = html_response(view, pages=self._dependencies.pages)
        response.raw_headers += [header for header in cookie_response.raw_headers if header[0] == b"set-cookie"]
        return response

    def _provider_links(self, target: str) -> tuple[ProviderLink, ...]:
        issuer = self._dependencies.issuer
        return tuple(
            ProviderLink(f"{issuer}/sign-in/provider/{index}?to={target}", provider.name)
            for index, provider in enumerate(self._dependencies.providers)
        )

    async def sign_out(self, request: Request) -> Response:
        """POST: end the session, and all access that lasts as long as it (edge case 62). Raises `PageError`."""
        cookie = self._cookies.session_secret(request)
        session = None if cookie is None else await self._dependencies.storage.sessions.find_for_sign_out(cookie)
        fields, _ = await read_page_form(request)
        require_own_form(session, fields, self._dependencies.issuer)
        view = MessageView(
            title=gettext("Signed out"),
            message=gettext("You are signed out."),
            links=(PageLink(f"{self._dependencies.issuer}/apps", gettext("Sign in again")),),
        )
        response = html_response(view, pages=self._dependencies.pages)
        await self._login_sessions.sign_out(request, response)
        return response
