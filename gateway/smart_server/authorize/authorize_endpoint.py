"""`/authorize`: checks and stores an app's authorization request, and shows its steps to the user."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization_request import AuthorizationRequest, read_authorization_request, unusable_request
from gateway.oauth.errors import ErrorCode, RedirectError
from gateway.oauth.parameters import MalformedParametersError, read_form
from gateway.smart_server.authorize.authorization_flow import AuthorizationFlow, FormState
from gateway.smart_server.authorize.request_state import requires_login
from gateway.smart_server.cookies import Cookies, is_bound
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_claims
from gateway.smart_server.http_messages import (
    FORM_MEDIA_TYPE,
    MAX_BODY_BYTES,
    BodyTooLargeError,
    media_type,
    read_body,
    remote_address,
    see_other,
)
from gateway.smart_server.limits.request_limits import LimitedRequest
from gateway.storage.launches import Launch
from gateway.storage.record_encoding import encode
from gateway.storage.tokens.opaque_tokens import digest, new_id
from gateway.storage.transactions import Transaction


class AuthorizeEndpoint:
    """The authorization endpoint, and the URL of each request.

    Its methods raise `PageError` and `TooManyAttemptsError`.
    """

    def __init__(self, dependencies: Dependencies, cookies: Cookies, flow: AuthorizationFlow) -> None:
        self._dependencies = dependencies
        self._cookies = cookies
        self._flow = flow

    async def start_request(self, request: Request) -> Response:
        """GET or POST: check and store the app's request, and redirect to its URL."""
        await self._dependencies.limits.requests.count(LimitedRequest.AUTHORIZATION, remote_address(request))
        try:
            authorization_request = await self._read_request(request)
            return await self._store_request(authorization_request, request)
        except RedirectError as error:
            return self._flow.authorization_response.redirect_to_app(error.redirect_uri, error.parameters())

    async def _read_request(self, request: Request) -> AuthorizationRequest:
        bodies = []
        try:
            if request.method == "POST":
                if media_type(request) != FORM_MEDIA_TYPE:
                    raise unusable_request(
                        "form_malformed", "The app's request must be sent as application/x-www-form-urlencoded."
                    )
                bodies.append(await read_body(request))
            if len(request.scope["query_string"]) > MAX_BODY_BYTES:
                raise BodyTooLargeError
            parameters = read_form(request.scope["query_string"], *bodies)
        except (MalformedParametersError, BodyTooLargeError) as error:
            raise unusable_request("request_malformed", "The app's request cannot be read, or is too long.") from error
        client_id = parameters.get("client_id")
        note_claims(client_id=client_id, audience=parameters.get("aud"))
        client = None if client_id is None else await self._dependencies.clients.find_enabled(client_id)
        return read_authorization_request(
            parameters, client, self._dependencies.fhir_base_url, self._dependencies.scope_limits
        )

    async def _store_request(self, authorization_request: AuthorizationRequest, request: Request) -> Response:
        transaction = Transaction(
            transaction_id=new_id(),
            request=authorization_request,
            browser="",
            csrf=new_id(),
            started_at=self._dependencies.clock(),
        )
        await self._dependencies.limits.requests.count(
            LimitedRequest.WAITING_BYTES, remote_address(request), amount=len(encode(transaction))
        )
        if authorization_request.launch is not None:
            transaction = await self._use_launch(transaction, authorization_request.launch, request)
        response = see_other(self._flow.url(transaction))
        binding = self._cookies.binding(request) or self._cookies.set_binding(response)
        await self._dependencies.storage.transactions.put(replace(transaction, browser=digest(binding)))
        return response

    async def _use_launch(self, transaction: Transaction, launch_token: str, request: Request) -> Transaction:
        """The transaction with the context of its EHR launch, which can be used once (E-4, E-9, edge cases 29-31)."""
        authorization_request = transaction.request
        launches = self._dependencies.storage.launches
        launch = await launches.take(launch_token)
        if launch is None or launch.client_id != authorization_request.client_id:
            raise authorization_request.error(
                ErrorCode.INVALID_REQUEST, "The launch is unknown, expired, already used, or of another app."
            )
        is_vouched_here = launch.vouched and is_bound(
            self._cookies.binding(request), await launches.get_browser(launch_token)
        )
        transaction = replace(transaction, request=replace(authorization_request, launch=None))
        return _with_launch(transaction, launch, is_vouched_here=is_vouched_here)

    async def show_step(self, request: Request) -> Response:
        """GET of a request: its next step."""
        return await self._flow.show_next_step(await self._flow.load_transaction(request), request)

    async def return_to_request(self, request: Request) -> Response:
        """GET of a form's address: redirect to the request, which shows its next step."""
        return see_other(self._flow.url(await self._flow.load_transaction(request)))

    async def search_patients(self, request: Request) -> Response:
        """GET of the patient picker with a name to search for."""
        name = request.query_params.get("name", "").strip()[:100]
        return await self._flow.show_next_step(
            await self._flow.load_transaction(request), request, FormState(name=name)
        )


def _with_launch(transaction: Transaction, launch: Launch, *, is_vouched_here: bool) -> Transaction:
    # An app that requires a login gets one, whoever vouches. A vouched user needs no login only in the browser
    # that was redirected to the app by us: the app knows the launch token, and must not consent as that user.
    vouched_user = launch.user if is_vouched_here and not requires_login(transaction.request) else None
    return replace(
        transaction,
        context=launch.context,
        launched=True,
        patient_of_launch=launch.context.patient is not None,
        launched_for=launch.user.subject if launch.user is not None else None,
        user=vouched_user,
        signed_in_at=launch.launched_at if vouched_user is not None else None,
        signed_in_here=vouched_user is not None,
        patient_name="",
    )
