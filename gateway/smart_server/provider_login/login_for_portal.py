"""Login at an OpenID provider for the portal, without an app: the redirect there, and the callback."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.languages.language import gettext_noop
from gateway.oauth.errors import PageError, WayBack
from gateway.oauth.parameters import Parameters
from gateway.smart_server.authorize.login_session import LoginSessions
from gateway.smart_server.cookies import Cookies, is_bound
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import remote_address, see_other
from gateway.smart_server.limits.request_limits import LimitedRequest
from gateway.smart_server.openid_provider.openid_client import ExpectedResponse, LoginOptions
from gateway.smart_server.openid_provider.provider_errors import ProviderLoginError
from gateway.smart_server.portal.portal_session import landing_page, sign_in_url
from gateway.smart_server.provider_login.login_callback import LoginCallback
from gateway.storage.portal_logins import PortalLogin, PortalLogins
from gateway.storage.tokens.opaque_tokens import digest, new_id


class LoginForPortal:
    """The endpoints of such a login. It is bound to the browser by a cookie, against login CSRF (RFC 9700)."""

    def __init__(self, dependencies: Dependencies, cookies: Cookies, login_sessions: LoginSessions) -> None:
        self._dependencies = dependencies
        self._cookies = cookies
        self._login_sessions = login_sessions
        self._callback = LoginCallback(dependencies)
        self._logins = PortalLogins(dependencies.storage.store)

    async def redirect_to_provider(self, request: Request) -> Response:
        """GET: redirect to the provider. Raises `PageError` and `TooManyAttemptsError`.

        A browser without our cookie has not seen the sign-in page yet, and is redirected there.
        """
        target = landing_page(request.query_params.get("to"))
        binding = self._cookies.binding(request)
        if binding is None:
            return see_other(self._sign_in_url(target))
        await self._dependencies.limits.requests.count(LimitedRequest.AUTHORIZATION, remote_address(request))
        index = request.path_params["index"]
        provider = self._callback.provider(index)
        try:
            redirect = await provider.start_login(new_id(), LoginOptions(), self._dependencies.clock())
        except ProviderLoginError as error:
            return self._callback.failure_page(error, self._sign_in_url(target), request)
        login = PortalLogin(digest(binding), target, index, redirect.nonce, redirect.verifier)
        await self._logins.put(redirect.state, login)
        return see_other(redirect.location)

    async def handle_callback(self, parameters: Parameters, request: Request) -> Response | None:
        """The callback, or None if its state belongs to no login for the portal. Raises `PageError`."""
        login = await self._logins.take(parameters.get("state") or "")
        if login is None:
            return None
        if not is_bound(self._cookies.binding(request), login.browser):
            raise PageError(
                "login_foreign",
                "This login was started in another browser.",
                title=gettext_noop("This login is over"),
                way_back=WayBack(self._sign_in_url(login.target), gettext_noop("Sign in")),
            )
        expected = ExpectedResponse(login.nonce, login.verifier)
        try:
            provider_login = await self._callback.finish_login(login.provider_index, request, parameters, expected)
        except ProviderLoginError as error:
            return self._callback.failure_page(error, self._sign_in_url(login.target), request)
        if provider_login is None:
            return see_other(self._sign_in_url(login.target))
        response = see_other(f"{self._dependencies.issuer}/{login.target}")
        await self._login_sessions.start_session(
            provider_login.user,
            request,
            response,
            signed_in_at=provider_login.signed_in_at,
            provider_session=provider_login.provider_session,
        )
        return response

    def _sign_in_url(self, target: str) -> str:
        return sign_in_url(self._dependencies.issuer, target)
