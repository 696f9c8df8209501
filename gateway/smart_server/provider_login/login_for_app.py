"""Login at an OpenID provider for an app's authorization request: the redirect there, and the callback."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.languages.language import gettext_noop
from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.errors import ErrorCode, PageError
from gateway.oauth.parameters import MalformedParametersError, Parameters, read_form
from gateway.smart_server.authorize.authorization_flow import AuthorizationFlow
from gateway.smart_server.authorize.form_handlers import FormHandlers
from gateway.smart_server.authorize.request_state import requires_login
from gateway.smart_server.cookies import Cookies, is_bound
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_claims
from gateway.smart_server.http_messages import see_other
from gateway.smart_server.openid_provider.openid_client import ExpectedResponse, LoginOptions
from gateway.smart_server.openid_provider.provider_errors import ProviderLoginError
from gateway.smart_server.provider_login.login_callback import LoginCallback
from gateway.smart_server.provider_login.login_for_portal import LoginForPortal
from gateway.storage.transactions import Transaction


class LoginForApp:
    """The endpoints of such a login. They raise `PageError`.

    The callback serves logins for the portal too, which are passed on to `portal_login`.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        cookies: Cookies,
        flow: AuthorizationFlow,
        form_handlers: FormHandlers,
        portal_login: LoginForPortal,
    ) -> None:
        self._dependencies = dependencies
        self._transactions = dependencies.storage.transactions
        self._cookies = cookies
        self._flow = flow
        self._form_handlers = form_handlers
        self._portal_login = portal_login
        self._callback = LoginCallback(dependencies)

    async def redirect_to_provider(self, request: Request) -> Response:
        """GET: redirect to the provider, with a state, a nonce and a code challenge of this request."""
        transaction = await self._flow.load_transaction(request)
        index = request.path_params["index"]
        provider = self._callback.provider(index)
        options = _login_options(transaction.request)
        if transaction.other_user:
            # The provider would sign in whoever has its session, who said that it was somebody else.
            # `select_account` is not sent: Keycloak ignores it, and canaille asks for consent without end.
            options = LoginOptions(force_login=True, max_age=options.max_age)
        try:
            redirect = await provider.start_login(transaction.transaction_id, options, self._dependencies.clock())
        except ProviderLoginError as error:
            return self._callback.failure_page(error, self._flow.url(transaction), request)
        stored = await self._transactions.put(
            replace(
                transaction,
                provider_index=index,
                provider_state=redirect.state,
                provider_nonce=redirect.nonce,
                provider_verifier=redirect.verifier,
            )
        )
        return see_other(self._flow.url(transaction) if stored is None else redirect.location)

    async def handle_callback(self, request: Request) -> Response:
        """GET: the callback. Its state must belong to a login that this browser started."""
        try:
            parameters = read_form(request.scope["query_string"])
        except MalformedParametersError as error:
            raise PageError("login_failed", "The response of the sign-in service cannot be read.") from error
        portal_response = await self._portal_login.handle_callback(parameters, request)
        if portal_response is not None:
            return portal_response
        transaction = await self._load_transaction(parameters, request)
        return await self._finish_login(transaction, parameters, request)

    async def _load_transaction(self, parameters: Parameters, request: Request) -> Transaction:
        state = parameters.get("state") or ""
        transaction = await self._transactions.get(state.partition(".")[0])
        bound = transaction is not None and is_bound(self._cookies.binding(request), transaction.browser)
        if transaction is None or not bound or not state or state != transaction.provider_state:
            raise await self._login_over(state, request)
        self._dependencies.pages.use_language_of(request, transaction.request.ui_locales)
        note_claims(client_id=transaction.request.client_id)
        return transaction

    async def _finish_login(self, transaction: Transaction, parameters: Parameters, request: Request) -> Response:
        # A state can be used once, whether or not the login succeeds (RFC 9700 4.7).
        updated = await self._transactions.put(
            replace(transaction, provider_state="", provider_nonce="", provider_verifier="")
        )
        if updated is None:
            raise await self._login_over(transaction.transaction_id, request)
        oldest_login = _login_options(transaction.request).oldest_login(transaction.started_at)
        expected = ExpectedResponse(transaction.provider_nonce, transaction.provider_verifier, oldest_login)
        try:
            login = await self._callback.finish_login(transaction.provider_index, request, parameters, expected)
        except ProviderLoginError as error:
            return self._callback.failure_page(error, self._flow.url(transaction), request)
        if login is None:
            return await self._decline(updated)
        return await self._form_handlers.continue_as_user(
            updated,
            login.user,
            request,
            signed_in_at=login.signed_in_at,
            provider_session=login.provider_session,
        )

    async def _login_over(self, state: str, request: Request) -> PageError:
        """The page of a login that is not waiting for its response, with the way to its request as it is now."""
        return PageError(
            "login_foreign",
            "This login is over, or was started in another browser.",
            title=gettext_noop("This login is over"),
            advice=gettext_noop("Please continue from here, or start again in the app."),
            way_back=await self._flow.find_way_back(state.partition(".")[0], request),
        )

    async def _decline(self, transaction: Transaction) -> Response:
        """Redirect to the app after the user declined to sign in."""
        error = transaction.request.error(ErrorCode.ACCESS_DENIED, "The user did not sign in.")
        return await self._flow.authorization_response.send_error(transaction, error)


def _login_options(request: AuthorizationRequest) -> LoginOptions:
    return LoginOptions(hint=request.login_hint, force_login=requires_login(request), max_age=request.max_age)
