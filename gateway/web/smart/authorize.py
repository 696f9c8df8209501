"""`/authorize`: a request is checked, remembered, and walked through login, patient, visit and consent to its end.

Read `Authorize.begin` and then `Authorize.go_on`: the second looks at how far a request is and shows the next step.
"""

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization import Authorization, Code, Session, User
from gateway.oauth.authorization_request import AuthorizationRequest, read_authorization_request
from gateway.oauth.client import Client
from gateway.oauth.errors import ErrorCode, PageError, RedirectError
from gateway.oauth.granting import (
    OFFLINE,
    ONLINE,
    can_be_remembered,
    grantable,
    needs_encounter,
    needs_patient,
    settled,
)
from gateway.oauth.parameters import MalformedParametersError, read_form
from gateway.oauth.redirect_uri import with_parameters
from gateway.scopes.algebra import covers_any
from gateway.scopes.model import ExtensionScope, IdentityScope, ResourceScope, Scope
from gateway.scopes.parse import parse_scopes
from gateway.scopes.unparse import unparse, unparse_scope
from gateway.storage.handles import Kind, digest, new_handle, new_id
from gateway.storage.launches import Launch
from gateway.storage.sessions import Transaction
from gateway.storage.store import StoreAwayError
from gateway.telemetry.event import EventKind
from gateway.web.answer import Refused
from gateway.web.html.policy import form_target
from gateway.web.html.views import View
from gateway.web.smart.browser import Cookies, is_bound
from gateway.web.smart.consent import chosen_scopes, consent_view
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.requests import (
    FORM,
    MAX_FORM,
    BodyTooLargeError,
    error_page,
    media_type,
    page,
    read_body,
    see_other,
)
from gateway.web.smart.steps import encounter_view, login_view, patient_view

_log = structlog.get_logger(__name__)
# A page that a person has open; the clock of a session's sign-in may be a moment behind the request's.
_SAME_MOMENT = 1.0
_LOGIN = frozenset({"login", "select_account"})
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A request that needs nothing any more but consent to `offered`."""

    transaction: Transaction
    client: Client
    user: User
    offered: tuple[Scope, ...]


class Authorize:
    """The authorization endpoint and what lies between it and the answer to the app."""

    def __init__(self, parts: SmartParts, cookies: Cookies) -> None:
        self._parts = parts
        self._cookies = cookies

    # The endpoint.

    async def begin(self, request: Request) -> Response:
        """GET or POST: check the request and remember it, then go on where the browser shows that it is the same."""
        try:
            asked = await self._read(request)
            return await self._remember(asked, request)
        except PageError as error:
            return error_page(error, self._parts.frame_ancestors)
        except RedirectError as error:
            return self.redirect(error.redirect_uri, error.parameters())

    async def _read(self, request: Request) -> AuthorizationRequest:
        bodies = []
        try:
            if request.method == "POST":
                if media_type(request) != FORM:
                    raise PageError("form_malformed", f"The app's request must be sent as {FORM}.")
                bodies.append(await read_body(request))
            if len(request.url.query) > MAX_FORM:
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
            transaction = await self._launched(transaction, asked.launch)
        response = see_other(self.address(transaction))
        binding = self._cookies.binding(request) or self._cookies.bind(response)
        await self._parts.remembered.transactions.put(replace(transaction, browser=digest(binding)))
        return response

    async def _launched(self, transaction: Transaction, handle: str) -> Transaction:
        """The request with the context of its EHR launch, which is used up by this (E-4, E-9, edge cases 29-31)."""
        asked = transaction.request
        launch = await self._parts.remembered.launches.take(handle)
        if launch is None or launch.client_id != asked.client_id:
            raise asked.denied(ErrorCode.INVALID_REQUEST, "The launch is unknown, over, used before or another app's.")
        return self._with_launch(replace(transaction, request=replace(asked, launch=None)), launch)

    def _with_launch(self, transaction: Transaction, launch: Launch) -> Transaction:
        # An app that wants a login gets one, whoever vouches.
        vouched = launch.user if launch.vouched and not _LOGIN & transaction.request.prompt else None
        return replace(
            transaction,
            context=launch.context,
            launched=True,
            launched_for=launch.user.subject if launch.user is not None else None,
            user=vouched,
            signed_in_at=launch.launched_at if vouched is not None else None,
            signed_in_here=vouched is not None,
            patient_name="",
        )

    # The steps.

    async def show(self, request: Request) -> Response:
        """GET of a request under way: its next step."""
        try:
            return await self.go_on(await self.current(request), request)
        except PageError as error:
            return error_page(error, self._parts.frame_ancestors)

    async def search(self, request: Request) -> Response:
        """GET of the patient picker with a name to search by."""
        try:
            name = request.query_params.get("name", "").strip()[:100]
            return await self.go_on(await self.current(request), request, name=name)
        except PageError as error:
            return error_page(error, self._parts.frame_ancestors)

    async def current(self, request: Request) -> Transaction:
        """The request under way that the address names, in the browser that began it. Raises `PageError`."""
        transaction = await self._parts.remembered.transactions.get(request.path_params["transaction"])
        if transaction is None or not is_bound(self._cookies.binding(request), transaction.browser):
            raise PageError(
                "request_over",
                "This request for access is over, or was begun in another browser. Go back to the app and start again.",
            )
        return transaction

    async def go_on(self, transaction: Transaction, request: Request, *, problem: str = "", name: str = "") -> Response:
        """The next step of a request: a page to fill in, or the answer to the app."""
        return await self._told(transaction, self._step(transaction, request, problem, name))

    async def agree(self, transaction: Transaction, request: Request, pairs: Pairs, *, remember: bool) -> Response:
        """The answer to the app for what the person ticked, if the consent page is really where the request is."""
        return await self._told(transaction, self._agreed(transaction, request, pairs, remember))

    async def _told(self, transaction: Transaction, answer: Awaitable[Response]) -> Response:
        """The answer, or what the app is told where the request ends without a code; either way it is over then."""
        try:
            return await answer
        except RedirectError as error:
            await self._parts.remembered.transactions.take(transaction.transaction_id)
            return self.redirect(error.redirect_uri, error.parameters())
        except Refused as refused:
            _log.warning("the FHIR server does not answer a picker", reason=refused.deny.reason.value)
            asked = transaction.request
            await self._parts.remembered.transactions.take(transaction.transaction_id)
            away = asked.denied(ErrorCode.TEMPORARILY_UNAVAILABLE, "The FHIR server does not answer at the moment.")
            return self.redirect(away.redirect_uri, away.parameters())

    async def _step(self, transaction: Transaction, request: Request, problem: str, name: str) -> Response:
        ready = await self._ready(transaction, request, problem, name)
        if not isinstance(ready, _Ready):
            return ready
        if await self._agreed_before(ready):
            return await self._finish(ready, ready.offered)
        return await self._ask(ready, problem)

    async def _agreed(self, transaction: Transaction, request: Request, pairs: Pairs, remember: bool) -> Response:
        """Every step is looked at again: a consent that is posted early skips none of their checks (G-2, edge 30)."""
        ready = await self._ready(transaction, request, "", "")
        if not isinstance(ready, _Ready):
            return ready
        if transaction.offered != _texts(ready.offered):
            return await self._ask(ready, "What the app can be given has changed. Please look again.")
        chosen = chosen_scopes(ready.offered, pairs)
        if not _means_anything(chosen):
            raise transaction.request.denied(ErrorCode.ACCESS_DENIED, "The user agreed to nothing.")
        response = await self._finish(ready, chosen)
        if remember and can_be_remembered(ready.client, transaction.request.redirect_uri):
            user, patient = ready.user.subject, ready.transaction.context.patient
            scope = unparse(one for one in chosen if one != OFFLINE)
            await self._parts.remembered.consents.put(user, ready.client.client_id, patient, scope)
        return response

    async def _ready(self, transaction: Transaction, request: Request, problem: str, name: str) -> "_Ready | Response":
        """The request with all that consent is about settled, or the page of the first step that is not."""
        asked = transaction.request
        client = await self._client(transaction)
        transaction = await self._signed_in(transaction, request)
        user = transaction.user
        if user is None:
            self._interact(asked, ErrorCode.LOGIN_REQUIRED)
            return await self._show(transaction, login_view(self._parts, transaction, client, self.address, problem))
        offered = self._offered(transaction, client)
        transaction = await self._with_patient(transaction, offered)
        if needs_patient(offered) and transaction.context.patient is None:
            self._interact(asked, ErrorCode.INTERACTION_REQUIRED)
            view, people = await patient_view(self._parts, transaction, client, self.address, name, problem)
            return await self._show(replace(transaction, offered=people), view)
        if needs_encounter(offered) and not transaction.encounter_settled and not transaction.launched:
            view_of_visits, visits = await encounter_view(self._parts, transaction, client, self.address, problem)
            if visits:
                self._interact(asked, ErrorCode.INTERACTION_REQUIRED)
                return await self._show(replace(transaction, offered=visits), view_of_visits)
            transaction = replace(transaction, encounter_settled=True)
        return _Ready(transaction, client, user, offered)

    async def _ask(self, ready: "_Ready", problem: str) -> Response:
        """The consent page."""
        transaction = replace(ready.transaction, offered=_texts(ready.offered))
        self._interact(transaction.request, ErrorCode.CONSENT_REQUIRED)
        view = consent_view(transaction, ready.client, ready.offered, self.address, problem)
        return await self._show(transaction, view)

    async def _client(self, transaction: Transaction) -> Client:
        """The client as it is now: one that was disabled meanwhile gets nothing."""
        client = await self._parts.clients.find(transaction.request.client_id)
        if client is None or transaction.request.redirect_uri not in client.redirect_uris:
            raise PageError("client_unknown", "The app that asked is not registered here any more.")
        return client

    async def _signed_in(self, transaction: Transaction, request: Request) -> Transaction:
        """With the user of the browser's session, unless the app wants a fresh login (A-21)."""
        if transaction.user is None:
            session = await self._session(request)
            if session is not None and self._is_fresh(session, transaction):
                transaction = replace(
                    transaction,
                    user=session.user,
                    session_id=session.session_id,
                    signed_in_at=session.signed_in_at,
                )
        user = transaction.user
        if user is not None and transaction.launched_for not in {None, user.subject}:
            raise transaction.request.denied(
                ErrorCode.INVALID_REQUEST, "The launch was made for another user than the one who is signed in."
            )
        return transaction

    async def _session(self, request: Request) -> Session | None:
        cookie = self._cookies.session(request)
        return None if cookie is None else await self._parts.remembered.sessions.get(cookie)

    def _is_fresh(self, session: Session, transaction: Transaction) -> bool:
        asked = transaction.request
        if _LOGIN & asked.prompt:
            return session.signed_in_at >= transaction.started_at - _SAME_MOMENT and transaction.signed_in_here
        if asked.max_age is not None:
            return transaction.started_at - session.signed_in_at <= asked.max_age
        return True

    def _interact(self, asked: AuthorizationRequest, code: ErrorCode) -> None:
        if "none" in asked.prompt:
            raise asked.denied(code, "The user would have to be asked, which prompt=none forbids.")

    def _offered(self, transaction: Transaction, client: Client) -> tuple[Scope, ...]:
        """The most that can be granted (SC-33). Raises `RedirectError` where that is nothing (edge case 101)."""
        assert transaction.user is not None
        asked = parse_scopes(transaction.request.scope).scopes
        offered = grantable(asked, client, self._parts.limits_of(transaction.user))
        if not transaction.launched:
            # Without a launch there is no EHR session that it could last as long as (E-8): our own session it is.
            offered = tuple(one for one in offered if one != ONLINE or OFFLINE not in offered)
        if not _means_anything(offered):
            raise transaction.request.denied(ErrorCode.INVALID_SCOPE, "None of the scopes can be granted.")
        return offered

    async def _with_patient(self, transaction: Transaction, offered: tuple[Scope, ...]) -> Transaction:
        """With the user's own record where the user is a patient, and with the name of whoever is in context.

        Whoever brought the patient into the context, the user must be allowed to see it (G-2).
        """
        user = transaction.user
        assert user is not None
        if transaction.context.patient is None and needs_patient(offered) and user.patient is not None:
            transaction = transaction.with_context(patient=user.patient)
        patient = transaction.context.patient
        if patient is None or transaction.patient_name:
            return transaction
        found = await self._parts.directory.patient(user, patient)
        if found is None:
            raise transaction.request.denied(
                ErrorCode.ACCESS_DENIED, "The patient of this request cannot be seen by the user."
            )
        return replace(transaction, patient_name=found.name, patient_detail=found.detail)

    async def _agreed_before(self, ready: "_Ready") -> bool:
        """Whether nobody needs to be asked: by the operator's word, or the user's own (edge case 26)."""
        asked, client = ready.transaction.request, ready.client
        if "consent" in asked.prompt:
            return False
        if client.skip_consent:
            return True
        if not can_be_remembered(client, asked.redirect_uri):
            return False
        patient = ready.transaction.context.patient
        known = await self._parts.remembered.consents.get(ready.user.subject, client.client_id, patient)
        scopes = parse_scopes(known).scopes
        return bool(scopes) and all(covers_any(scopes, one) for one in ready.offered)

    async def _show(self, transaction: Transaction, view: View) -> Response:
        await self._parts.remembered.transactions.put(transaction)
        logo = getattr(view, "app_logo", "")
        return page(
            view,
            frame_ancestors=self._parts.frame_ancestors,
            form_targets=(form_target(transaction.request.redirect_uri),),
            logos=(logo,) if logo else (),
        )

    # The end.

    async def _finish(self, ready: "_Ready", agreed: tuple[Scope, ...]) -> Response:
        """Put a code for what was agreed, and go back to the app with it (A-12)."""
        transaction, client, user = ready.transaction, ready.client, ready.user
        asked = transaction.request
        scopes = settled(agreed, client, user, transaction.context)
        if not scopes:
            raise asked.denied(ErrorCode.ACCESS_DENIED, "Nothing was granted.")
        if await self._parts.remembered.transactions.take(transaction.transaction_id) is None:
            raise PageError("request_over", "This request for access has been answered already.")
        authorization = Authorization(
            authorization_id=new_id(),
            client_id=client.client_id,
            scope=unparse(scopes),
            audience=asked.audience,
            granted_at=self._parts.clock(),
            user=user,
            context=transaction.context,
            signed_in_at=transaction.signed_in_at,
            nonce=asked.nonce,
            session_id=await self._session_of(transaction, user) if ONLINE in scopes else None,
            patient_name=transaction.patient_name,
        )
        code = new_handle(Kind.CODE)
        meaning = Code(authorization, asked.redirect_uri, asked.code_challenge)
        await self._parts.remembered.codes.put(code, meaning, self._parts.spans.code)
        self._parts.tell(
            EventKind.GRANTED,
            client_id=client.client_id,
            subject=user.subject,
            patient=authorization.context.patient,
            scope=authorization.scope,
            authorization_id=authorization.authorization_id,
        )
        state = [("state", asked.state)] if asked.state is not None else []
        return self.redirect(asked.redirect_uri, [("code", code), *state])

    async def _session_of(self, transaction: Transaction, user: User) -> str:
        """What online access lasts as long as (RF-2).

        Of a user that a launcher vouched for no browser is signed in here: the launch counts as the one use of a
        session that nobody can prolong.
        """
        if transaction.session_id is not None:
            return transaction.session_id
        session = Session(new_id(), user, self._parts.clock(), new_id())
        await self._parts.remembered.sessions.put(new_id(), session)
        return session.session_id

    async def deny(self, transaction: Transaction) -> Response:
        """The person said no (S-6)."""
        subject = transaction.user.subject if transaction.user is not None else None
        self._parts.tell(EventKind.DENIED, client_id=transaction.request.client_id, subject=subject)
        await self._parts.remembered.transactions.take(transaction.transaction_id)
        error = transaction.request.denied(ErrorCode.ACCESS_DENIED, "The user did not agree.")
        return self.redirect(error.redirect_uri, error.parameters())

    def redirect(self, redirect_uri: str, pairs: list[tuple[str, str]]) -> Response:
        """Back to the app, saying who answers (RFC 9207)."""
        return see_other(with_parameters(redirect_uri, [*pairs, ("iss", self._parts.issuer)]))

    def address(self, transaction: Transaction, step: str = "") -> str:
        """The address of a request under way, or of the form of one of its steps."""
        return f"{self._parts.issuer}/authorize/{transaction.transaction_id}{step}"


def _means_anything(scopes: tuple[Scope, ...]) -> bool:
    """Whether they open anything: a launch or refresh scope alone says only how."""
    return any(isinstance(one, ResourceScope | IdentityScope | ExtensionScope) for one in scopes)


def _texts(scopes: tuple[Scope, ...]) -> tuple[str, ...]:
    return tuple(unparse_scope(one) for one in scopes)


def unavailable(_: Request, error: Exception) -> Response:
    """The store is away: a page that says so; never a way on (authorization.md "Tokens and state")."""
    assert isinstance(error, StoreAwayError)
    _log.error("the store does not answer", detail=str(error)[:200])
    details: dict[str, Any] = {"retry-after": "5"}
    response = error_page(
        PageError("store_unavailable", "Sign-in is not available at the moment. Please try again in a minute."),
        (),
        status=503,
    )
    response.headers.update(details)
    return response
