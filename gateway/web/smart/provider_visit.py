"""To an OpenID provider and back for a page of our own, where no app waits: the app gallery, the list of grants."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.errors import PageError
from gateway.oauth.parameters import Parameters
from gateway.storage.handles import digest, new_id
from gateway.storage.visits import Visit, Visits
from gateway.web.smart.answers_of_people import AnswersOfPeople
from gateway.web.smart.browser import Cookies, is_bound
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.places import landing
from gateway.web.smart.provider_errors import SignInError
from gateway.web.smart.provider_pages import ProviderPages
from gateway.web.smart.providers import Expected, Wishes
from gateway.web.smart.requests import see_other


class ProviderVisit:
    """A login for a page of ours, bound to the browser by a cookie, against login CSRF (RFC 9700).

    Both ways raise `PageError`.
    """

    def __init__(self, parts: SmartParts, cookies: Cookies, people: AnswersOfPeople, pages: ProviderPages) -> None:
        self._parts = parts
        self._cookies = cookies
        self._people = people
        self._pages = pages
        self._visits = Visits(parts.remembered.store)

    async def leave(self, request: Request) -> Response:
        """GET: to the provider. A browser without our cookie has not seen the sign-in page yet, and is shown it."""
        target = landing(request.query_params.get("to"))
        binding = self._cookies.binding(request)
        if binding is None:
            return see_other(self._sign_in(target))
        index = request.path_params["index"]
        try:
            departure = await self._pages.provider(index).departure(new_id(), Wishes(), self._parts.clock())
        except SignInError as error:
            return self._pages.failed(error, self._sign_in(target), request)
        visit = Visit(digest(binding), target, index, departure.nonce, departure.verifier)
        await self._visits.put(departure.state, visit)
        return see_other(departure.location)

    async def arrive(self, parameters: Parameters, request: Request) -> Response | None:
        """Back from the provider; None where the state is none of a visit. Raises `PageError`."""
        visit = await self._visits.take(parameters.get("state") or "")
        if visit is None:
            return None
        if not is_bound(self._cookies.binding(request), visit.browser):
            raise PageError("login_foreign", "This login was begun in another browser. Please start again.")
        expected = Expected(visit.nonce, visit.verifier)
        try:
            signed_in = await self._pages.arrival(visit.provider_index, request, parameters, expected)
        except SignInError as error:
            return self._pages.failed(error, self._sign_in(visit.target), request)
        if signed_in is None:
            return see_other(self._sign_in(visit.target))
        response = see_other(f"{self._parts.issuer}/{visit.target}")
        await self._people.begin_session(signed_in.user, request, response, at=signed_in.at)
        return response

    def _sign_in(self, target: str) -> str:
        return f"{self._parts.issuer}/sign-in?to={target}"
