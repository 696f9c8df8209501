"""`/authorize`: an app's request is checked, remembered, and shown to the person in the browser that brought it."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization_request import AuthorizationRequest, read_authorization_request
from gateway.oauth.errors import ErrorCode, PageError, RedirectError
from gateway.oauth.parameters import MalformedParametersError, read_form
from gateway.storage.handles import digest, new_id
from gateway.storage.launches import Launch
from gateway.storage.sessions import Transaction
from gateway.web.smart.browser import Cookies, is_bound
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.requests import (
    FORM,
    MAX_FORM,
    BodyTooLargeError,
    media_type,
    read_body,
    see_other,
)
from gateway.web.smart.standing import wants_login
from gateway.web.smart.walk import Again, Walk


class Authorize:
    """The authorization endpoint, and the address of each request that is under way. They raise `PageError`."""

    def __init__(self, parts: SmartParts, cookies: Cookies, walk: Walk) -> None:
        self._parts = parts
        self._cookies = cookies
        self._walk = walk

    async def begin(self, request: Request) -> Response:
        """GET or POST: check the request and remember it, then go on where the browser shows that it is the same."""
        try:
            asked = await self._read(request)
            return await self._remember(asked, request)
        except RedirectError as error:
            return self._walk.ending.redirect(error.redirect_uri, error.parameters())

    async def _read(self, request: Request) -> AuthorizationRequest:
        bodies = []
        try:
            if request.method == "POST":
                if media_type(request) != FORM:
                    raise PageError("form_malformed", f"The app's request must be sent as {FORM}.")
                bodies.append(await read_body(request))
            if len(request.scope["query_string"]) > MAX_FORM:
                raise BodyTooLargeError
            parameters = read_form(request.scope["query_string"], *bodies)
        except (MalformedParametersError, BodyTooLargeError) as error:
            raise PageError("request_malformed", "The app's request cannot be read, or is too long.") from error
        client_id = parameters.get("client_id")
        client = None if client_id is None else await self._parts.clients.find(client_id)
        return read_authorization_request(parameters, client, self._parts.base)

    async def _remember(self, asked: AuthorizationRequest, request: Request) -> Response:
        transaction = Transaction(
            transaction_id=new_id(),
            request=asked,
            browser="",
            csrf=new_id(),
            started_at=self._parts.clock(),
        )
        if asked.launch is not None:
            transaction = await self._launched(transaction, asked.launch, request)
        response = see_other(self._walk.address(transaction))
        binding = self._cookies.binding(request) or self._cookies.bind(response)
        await self._parts.remembered.transactions.put(replace(transaction, browser=digest(binding)))
        return response

    async def _launched(self, transaction: Transaction, handle: str, request: Request) -> Transaction:
        """The request with the context of its EHR launch, which is used up by this (E-4, E-9, edge cases 29-31)."""
        asked = transaction.request
        launch = await self._parts.remembered.launches.take(handle)
        if launch is None or launch.client_id != asked.client_id:
            raise asked.denied(ErrorCode.INVALID_REQUEST, "The launch is unknown, over, used before or another app's.")
        vouched = launch.vouched and is_bound(
            self._cookies.binding(request), await self._parts.remembered.launches.browser_of(handle)
        )
        return self._with_launch(replace(transaction, request=replace(asked, launch=None)), launch, vouched)

    def _with_launch(self, transaction: Transaction, launch: Launch, vouched_here: bool) -> Transaction:
        # An app that wants a login gets one, whoever vouches. Anywhere but in the browser that came past us on
        # its way to the app a login is needed as well: the app knows the handle, and must not agree as its user.
        vouched = launch.user if vouched_here and not wants_login(transaction.request) else None
        return replace(
            transaction,
            context=launch.context,
            launched=True,
            patient_of_launch=launch.context.patient is not None,
            launched_for=launch.user.subject if launch.user is not None else None,
            user=vouched,
            signed_in_at=launch.launched_at if vouched is not None else None,
            signed_in_here=vouched is not None,
            patient_name="",
        )

    async def show(self, request: Request) -> Response:
        """GET of a request under way: its next step."""
        return await self._walk.go_on(await self._walk.current(request), request)

    async def search(self, request: Request) -> Response:
        """GET of the patient picker with a name to search by."""
        name = request.query_params.get("name", "").strip()[:100]
        return await self._walk.go_on(await self._walk.current(request), request, Again(name=name))
