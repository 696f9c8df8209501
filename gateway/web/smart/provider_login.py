"""To an OpenID provider and back: the browser leaves for a login elsewhere and comes back to its own request."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.errors import ErrorCode, PageError
from gateway.oauth.parameters import MalformedParametersError, Parameters, read_form
from gateway.storage.sessions import Transaction
from gateway.web.smart.answers_of_people import AnswersOfPeople
from gateway.web.smart.browser import Cookies, is_bound
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.provider_errors import SignInError
from gateway.web.smart.provider_pages import ProviderPages
from gateway.web.smart.provider_visit import ProviderVisit
from gateway.web.smart.providers import Expected, Wishes
from gateway.web.smart.requests import see_other
from gateway.web.smart.standing import wants_login
from gateway.web.smart.walk import Walk

_OVER = "This login is over, or was begun in another browser. Please start again."


class ProviderLogin:
    """The endpoints of a login elsewhere, which raise `PageError`; `visit` are those for pages of our own."""

    def __init__(self, parts: SmartParts, cookies: Cookies, walk: Walk, people: AnswersOfPeople) -> None:
        self._parts = parts
        self._cookies = cookies
        self._walk = walk
        self._people = people
        self._pages = ProviderPages(parts)
        self.visit = ProviderVisit(parts, cookies, people, self._pages)

    async def leave(self, request: Request) -> Response:
        """GET: to the provider, with a state, a nonce and a challenge that only this request knows."""
        transaction = await self._walk.current(request)
        index = request.path_params["index"]
        provider = self._pages.provider(index)
        try:
            departure = await provider.departure(
                transaction.transaction_id, _wishes(transaction.request), self._parts.clock()
            )
        except SignInError as error:
            return self._pages.failed(error, self._walk.address(transaction), request)
        left = await self._parts.remembered.transactions.put(
            replace(
                transaction,
                provider_index=index,
                provider_state=departure.state,
                provider_nonce=departure.nonce,
                provider_verifier=departure.verifier,
            )
        )
        return see_other(self._walk.address(transaction) if left is None else departure.location)

    async def arrive(self, request: Request) -> Response:
        """GET: back from the provider; the state must be one that this browser left with."""
        try:
            parameters = read_form(request.scope["query_string"])
        except MalformedParametersError as error:
            message = "The answer of the place where you signed in cannot be read."
            raise PageError("login_failed", message) from error
        visited = await self.visit.arrive(parameters, request)
        return visited or await self._arrived(await self._returning(parameters, request), parameters, request)

    async def _arrived(self, transaction: Transaction, parameters: Parameters, request: Request) -> Response:
        # A state serves once, whatever comes of it (RFC 9700 4.7).
        spent = await self._parts.remembered.transactions.put(
            replace(transaction, provider_state="", provider_nonce="", provider_verifier="")
        )
        if spent is None:
            raise PageError("login_foreign", _OVER)
        since = _wishes(transaction.request).since(transaction.started_at)
        expected = Expected(transaction.provider_nonce, transaction.provider_verifier, since)
        try:
            signed_in = await self._pages.arrival(transaction.provider_index, request, parameters, expected)
        except SignInError as error:
            return self._pages.failed(error, self._walk.address(transaction), request)
        if signed_in is None:
            return await self._declined(spent)
        return await self._people.signed_in(spent, signed_in.user, request, at=signed_in.at)

    async def _returning(self, parameters: Parameters, request: Request) -> Transaction:
        state = parameters.get("state") or ""
        transaction = await self._parts.remembered.transactions.get(state.partition(".")[0])
        bound = transaction is not None and is_bound(self._cookies.binding(request), transaction.browser)
        if transaction is None or not bound or not state or state != transaction.provider_state:
            raise PageError("login_foreign", _OVER)
        return transaction

    async def _declined(self, transaction: Transaction) -> Response:
        """No login, which the app is told."""
        await self._parts.remembered.transactions.take(transaction.transaction_id)
        error = transaction.request.denied(ErrorCode.ACCESS_DENIED, "The user did not sign in.")
        return self._walk.ending.redirect(error.redirect_uri, error.parameters())


def _wishes(asked: AuthorizationRequest) -> Wishes:
    return Wishes(hint=asked.login_hint, anew=wants_login(asked), max_age=asked.max_age)
