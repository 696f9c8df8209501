"""To an OpenID provider and back: the browser leaves for a login elsewhere and comes back to its own request."""

from dataclasses import replace

import structlog
from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.errors import ErrorCode, PageError
from gateway.oauth.parameters import MalformedParametersError, Parameters, read_form
from gateway.storage.sessions import Transaction
from gateway.web.smart.answers_of_people import AnswersOfPeople
from gateway.web.smart.authorize import Authorize
from gateway.web.smart.browser import Cookies, is_bound
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.providers import SignInError
from gateway.web.smart.requests import error_page, see_other

_log = structlog.get_logger(__name__)


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
            if index >= len(self._parts.providers):
                raise PageError("provider_unknown", "There is no such place to sign in.")
            asked = transaction.request
            fresh = "login" in asked.prompt or asked.max_age is not None
            departure = await self._parts.providers[index].departure(
                transaction.transaction_id, hint=asked.login_hint, fresh=fresh
            )
        except PageError as error:
            return error_page(error, self._parts.frame_ancestors)
        except SignInError as error:
            return self._failed(error)
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
            if parameters.get("error") is not None:
                return await self._declined(transaction, parameters)
            code = parameters.get("code")
            if code is None:
                raise PageError("login_failed", "The place where you signed in gave no usable answer.")
            user = await self._parts.providers[transaction.provider_index].arrival(
                code,
                transaction.provider_verifier,
                transaction.provider_nonce,
                parameters.get("iss"),
                self._parts.clock(),
            )
        except MalformedParametersError:
            return error_page(
                PageError("login_failed", "The answer of the place where you signed in cannot be read."),
                self._parts.frame_ancestors,
            )
        except PageError as error:
            return error_page(error, self._parts.frame_ancestors)
        except SignInError as error:
            return self._failed(error)
        spent = replace(transaction, provider_state="", provider_nonce="", provider_verifier="")
        return await self._people.signed_in(spent, user, request)

    async def _returning(self, parameters: Parameters, request: Request) -> Transaction:
        state = parameters.get("state") or ""
        transaction = await self._parts.remembered.transactions.get(state.partition(".")[0])
        bound = transaction is not None and is_bound(self._cookies.binding(request), transaction.browser)
        if transaction is None or not bound or not state or state != transaction.provider_state:
            raise PageError("login_foreign", "This login is over, or was begun in another browser. Please start again.")
        return transaction

    async def _declined(self, transaction: Transaction, parameters: Parameters) -> Response:
        _log.info("a login elsewhere was declined", error=(parameters.get("error") or "")[:40])
        await self._parts.remembered.transactions.take(transaction.transaction_id)
        error = transaction.request.denied(ErrorCode.ACCESS_DENIED, "The user did not sign in.")
        return self._authorize.redirect(error.redirect_uri, error.parameters())

    def _failed(self, error: SignInError) -> Response:
        _log.warning("a login elsewhere failed", detail=str(error)[:300])
        page_error = PageError("login_failed", "The place where you sign in does not answer as it should. Try again.")
        return error_page(page_error, self._parts.frame_ancestors, status=502)
