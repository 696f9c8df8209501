"""To an OpenID provider and back: the browser leaves for a login elsewhere and comes back to its own request."""

from dataclasses import replace

import structlog
from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.errors import ErrorCode, PageError
from gateway.oauth.parameters import MalformedParametersError, Parameters, read_form
from gateway.storage.sessions import Transaction
from gateway.telemetry.event import EventKind
from gateway.web.html.views import MessageView
from gateway.web.smart.answers_of_people import AnswersOfPeople
from gateway.web.smart.authorize import Authorize
from gateway.web.smart.browser import Cookies, is_bound
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.provider_errors import SignInError, SignInReason
from gateway.web.smart.providers import Expected, SignInProvider, Wishes
from gateway.web.smart.requests import error_page, page, remote_of, see_other

_log = structlog.get_logger(__name__)
# What a person decided there, or what only a person could (OpenID Connect Core 3.1.2.6); the rest is trouble.
_DECISIONS = frozenset(
    {"access_denied", "login_required", "interaction_required", "consent_required", "account_selection_required"}
)
_MESSAGES = {
    SignInReason.UNAVAILABLE: "The place where you sign in does not answer as it should. Please try again in a minute.",
    SignInReason.REFUSED: "The place where you signed in did not complete the login. Please try again.",
    SignInReason.NOT_BELIEVED: "The answer of the place where you signed in cannot be trusted, and was not used.",
    SignInReason.NOT_FRESH: "The app asks for a new login, and the place where you signed in did not ask you anew.",
}


class ProviderLogin:
    """The two endpoints of a login elsewhere."""

    def __init__(self, parts: SmartParts, cookies: Cookies, authorize: Authorize, people: AnswersOfPeople) -> None:
        self._parts = parts
        self._cookies = cookies
        self._authorize = authorize
        self._people = people

    async def leave(self, request: Request) -> Response:
        """GET: to the provider, with a state, a nonce and a challenge that only this request knows."""
        try:
            transaction = await self._authorize.current(request)
            index = request.path_params["index"]
            provider = self._provider(index)
        except PageError as error:
            return error_page(error, self._parts.frame_ancestors)
        try:
            departure = await provider.departure(
                transaction.transaction_id, _wishes(transaction.request), self._parts.clock()
            )
        except SignInError as error:
            return self._failed(error, transaction, request)
        await self._parts.remembered.transactions.put(
            replace(
                transaction,
                provider_index=index,
                provider_state=departure.state,
                provider_nonce=departure.nonce,
                provider_verifier=departure.verifier,
            )
        )
        return see_other(departure.location)

    async def arrive(self, request: Request) -> Response:
        """GET: back from the provider; the state must be the one of a request that this browser has under way."""
        try:
            parameters = read_form(request.scope["query_string"])
            transaction = await self._returning(parameters, request)
            provider = self._provider(transaction.provider_index)
        except MalformedParametersError:
            message = "The answer of the place where you signed in cannot be read."
            return error_page(PageError("login_failed", message), self._parts.frame_ancestors)
        except PageError as error:
            return error_page(error, self._parts.frame_ancestors)
        # A state serves once, whatever comes of it (RFC 9700 4.7).
        spent = replace(transaction, provider_state="", provider_nonce="", provider_verifier="")
        await self._parts.remembered.transactions.put(spent)
        now = self._parts.clock()
        try:
            await provider.check_sender(parameters.get("iss"), now)
            if "error" in parameters.values or "error" in parameters.repeated:
                return await self._declined(spent, parameters)
            since = _wishes(transaction.request).since(transaction.started_at)
            expected = Expected(transaction.provider_nonce, transaction.provider_verifier, since)
            signed_in = await provider.arrival(_code(parameters), expected, now)
        except SignInError as error:
            return self._failed(error, spent, request)
        return await self._people.signed_in(spent, signed_in.user, request, at=signed_in.at)

    def _provider(self, index: int) -> SignInProvider:
        """By its place in the configuration, which may have changed while somebody was there. Raises `PageError`."""
        if index >= len(self._parts.providers):
            raise PageError("provider_unknown", "There is no such place to sign in.")
        return self._parts.providers[index]

    async def _returning(self, parameters: Parameters, request: Request) -> Transaction:
        state = parameters.get("state") or ""
        transaction = await self._parts.remembered.transactions.get(state.partition(".")[0])
        bound = transaction is not None and is_bound(self._cookies.binding(request), transaction.browser)
        if transaction is None or not bound or not state or state != transaction.provider_state:
            raise PageError("login_foreign", "This login is over, or was begun in another browser. Please start again.")
        return transaction

    async def _declined(self, transaction: Transaction, parameters: Parameters) -> Response:
        """No login: told to the app where a person said so. Raises `SignInError` for anything else."""
        told = parameters.get("error")
        if told not in _DECISIONS:
            story = f"{told!r}: {parameters.get('error_description')!r}"
            raise SignInError(SignInReason.REFUSED, f"the provider sent the browser back with {story}")
        _log.info("a login elsewhere was declined", error=told)
        await self._parts.remembered.transactions.take(transaction.transaction_id)
        error = transaction.request.denied(ErrorCode.ACCESS_DENIED, "The user did not sign in.")
        return self._authorize.redirect(error.redirect_uri, error.parameters())

    def _failed(self, error: SignInError, transaction: Transaction, request: Request) -> Response:
        _log.warning("a login elsewhere failed", reason=error.reason.value, detail=error.detail)
        self._parts.tell(EventKind.SIGN_IN_FAILED, reason=error.reason.value, remote_address=remote_of(request))
        view = MessageView(
            title="You are not signed in",
            message=_MESSAGES[error.reason],
            reason=error.reason.value,
            link=self._authorize.address(transaction),
            link_text="Back to sign-in",
        )
        return page(view, frame_ancestors=self._parts.frame_ancestors, status=502)


def _wishes(asked: AuthorizationRequest) -> Wishes:
    anew = bool({"login", "select_account"} & asked.prompt) or asked.max_age == 0
    return Wishes(hint=asked.login_hint, anew=anew, max_age=asked.max_age)


def _code(parameters: Parameters) -> str:
    """Raises `SignInError` for an answer without one, or with several."""
    code = parameters.get("code")
    if code is None:
        raise SignInError(SignInReason.NOT_BELIEVED, "the answer has no code, or more than one")
    return code
