"""The steps of an authorization request: login, patient, visit, consent, and the response to the app.

Start with `AuthorizationFlow.show_next_step`: it determines how far a request has come, and shows the next step. Only
the transaction carries state from one step to the next, and every step is checked again before the end.
"""

import logging
from collections.abc import Awaitable
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.asgi.refusal import RequestRefused
from gateway.languages.language import gettext_noop
from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.client.client import Client
from gateway.oauth.errors import ErrorCode, PageError, RedirectError, WayBack
from gateway.oauth.granted_scopes import (
    OFFLINE_ACCESS,
    can_remember_consent,
    gives_access,
    needs_encounter,
    needs_patient,
)
from gateway.pages.security_headers import form_action_source
from gateway.pages.views import ConsentView, View
from gateway.scopes.format_scopes import format_scope, format_scopes
from gateway.scopes.model import Scope
from gateway.scopes.parse_scopes import ScopeError, parse_scope
from gateway.smart_server.authorize.answered_page import already_answered, request_over
from gateway.smart_server.authorize.authorization_response import AuthorizationResponse
from gateway.smart_server.authorize.consent_form import (
    FormFields,
    consent_view,
    has_empty_choice,
    read_choices,
    read_consent,
)
from gateway.smart_server.authorize.consent_subject import consent_subject
from gateway.smart_server.authorize.form_token import (
    PageSnapshot,
    consent_snapshot,
    describe_change,
    picker_snapshot,
)
from gateway.smart_server.authorize.login_and_picker_pages import encounter_view, login_view, patient_view
from gateway.smart_server.authorize.request_state import ReadyForConsent, RequestState
from gateway.smart_server.cookies import Cookies, is_bound
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_claims
from gateway.smart_server.http_messages import html_response, see_other
from gateway.smart_server.page_language import gettext
from gateway.smart_server.patients.rejected_search import is_rejected, rejected_search
from gateway.storage.consents import Consent
from gateway.storage.transactions import Transaction

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FormState:
    """What a page shows again after its form was posted: the problem, and what the user typed."""

    problem: str = ""
    name: str = ""
    username: str = ""


_NEW_FORM = FormState()
_MAX_PAGE_BYTES = 200_000
_NOTHING_TICKED = gettext_noop(
    "You answered “Only some” and ticked nothing there. Please tick something, or answer “No”."
)
_SIGNED_OUT = gettext_noop("You are no longer signed in. Please sign in to continue.")


@dataclass(frozen=True, slots=True)
class SubmittedConsent:
    """A posted consent form. `snapshot` is what its page showed."""

    snapshot: PageSnapshot
    fields: FormFields
    remember: bool
    purpose_of_use: str
    another_patient: bool


class AuthorizationFlow:
    """The steps between an authorization request and its response."""

    def __init__(self, dependencies: Dependencies, cookies: Cookies) -> None:
        self._dependencies = dependencies
        self._cookies = cookies
        self._transactions = dependencies.storage.transactions
        self._request_state = RequestState(dependencies, cookies)
        self.authorization_response = AuthorizationResponse(dependencies)

    async def load_transaction(self, request: Request) -> Transaction:
        """The transaction in the URL, if this browser started it. Raises `PageError`."""
        transaction = await self._transactions.get(request.path_params["transaction"])
        if transaction is None:
            raise await self._no_longer_open(request)
        if not is_bound(self._cookies.binding(request), transaction.browser):
            raise request_over()
        note_claims(client_id=transaction.request.client_id)
        self._dependencies.pages.use_language_of(request, transaction.request.ui_locales)
        return transaction

    async def find_way_back(self, transaction_id: str, request: Request) -> WayBack | None:
        """The link to a request of this browser, whether it is waiting or over."""
        known = await self._transactions.get(transaction_id) or await self._transactions.get_answered(transaction_id)
        if known is None or not is_bound(self._cookies.binding(request), known.browser):
            return None
        return WayBack(
            f"{self._dependencies.issuer}/authorize/{transaction_id}", gettext_noop("Continue with the request")
        )

    async def _no_longer_open(self, request: Request) -> PageError:
        """What the page says of a request that is not waiting for this browser: how it ended, if it was this one's."""
        answered = await self._transactions.get_answered(request.path_params["transaction"])
        if answered is None or not is_bound(self._cookies.binding(request), answered.browser):
            return request_over()
        note_claims(client_id=answered.client_id)
        client = await self._dependencies.clients.find_any(answered.client_id)
        name = answered.client_id if client is None else client.name
        return already_answered(answered, name, is_look=request.method != "POST")

    async def show_next_step(self, transaction: Transaction, request: Request, form: FormState = _NEW_FORM) -> Response:
        """The next step of a request: a page to fill in, or the response to the app."""
        return await self._redirect_errors(transaction, self._next_step(transaction, request, form))

    async def submit_consent(self, transaction: Transaction, request: Request, consent: SubmittedConsent) -> Response:
        """The response to the app for a posted consent, or the page of the step that comes first."""
        return await self._redirect_errors(transaction, self._handle_consent(transaction, request, consent))

    async def _redirect_errors(self, transaction: Transaction, step: Awaitable[Response]) -> Response:
        """The response of the step. An error ends the request and is sent to the app."""
        try:
            return await step
        except RedirectError as redirect_error:
            error = redirect_error
        except RequestRefused as refused:
            if is_rejected(refused) and "none" not in transaction.request.prompt:
                raise rejected_search(refused, self.url(transaction)) from refused
            _log.warning("the FHIR server does not respond to a picker", extra={"reason": refused.deny.reason.value})
            description = "The FHIR server does not respond at the moment."
            error = transaction.request.error(ErrorCode.TEMPORARILY_UNAVAILABLE, description)
        return await self.authorization_response.send_error(transaction, error)

    async def _next_step(self, transaction: Transaction, request: Request, form: FormState) -> Response:
        ready = await self._prepare_consent(transaction, request, form)
        if not isinstance(ready, ReadyForConsent):
            return ready
        if await self._request_state.needs_no_consent(ready):
            return await self.authorization_response.issue_code(
                ready.transaction, ready.client, ready.user, ready.offered
            )
        return await self._consent_page(ready, form.problem)

    async def _handle_consent(self, transaction: Transaction, request: Request, consent: SubmittedConsent) -> Response:
        """Every step is checked again: a consent that is posted early skips no check (G-2, edge case 30).

        A consent does not cover what another tab has changed since its page was shown.
        """
        transaction = await self._request_state.with_current_user(transaction, request)
        if transaction.user is None:
            problem = gettext(_SIGNED_OUT)
        else:
            problem = describe_change(consent.snapshot, picker_snapshot(transaction))
        ready = await self._prepare_consent(transaction, request, FormState(problem))
        if not isinstance(ready, ReadyForConsent):
            return ready
        subject = consent_subject(ready.transaction, ready.client, ready.offered, ready.beside)
        problem = describe_change(consent.snapshot, consent_snapshot(ready.transaction, subject))
        if problem:
            return await self._consent_page(replace(ready, transaction=_keep_choices(ready, consent)), problem)
        if consent.another_patient:
            return await self._return_to_picker(_keep_choices(ready, consent))
        if has_empty_choice(ready.offered, consent.fields):
            return await self._consent_page(
                replace(ready, transaction=_keep_choices(ready, consent)), gettext(_NOTHING_TICKED)
            )
        return await self._grant_consent(ready, consent)

    async def _return_to_picker(self, transaction: Transaction) -> Response:
        if not transaction.can_change_patient:
            raise PageError(
                "choice_not_offered",
                "The patient of this request cannot be changed.",
                way_back=WayBack(self.url(transaction), gettext_noop("Continue with the request")),
            )
        await self._transactions.put(transaction.without_choices())
        return see_other(self.url(transaction))

    async def _grant_consent(self, ready: ReadyForConsent, consent: SubmittedConsent) -> Response:
        request, client, user = ready.transaction.request, ready.client, ready.user
        scopes = read_consent(ready.offered, consent.fields, self._dependencies.scope_limits.max_scopes)
        if not gives_access(scopes):
            raise request.error(ErrorCode.ACCESS_DENIED, "The user agreed to nothing.")
        purpose = ready.beside.choose_purpose(consent.purpose_of_use)
        response = await self.authorization_response.issue_code(ready.transaction, client, user, scopes, purpose)
        # A purpose holds for one grant. The next time, the user is asked again.
        if consent.remember and not purpose and can_remember_consent(client, request.redirect_uri):
            remembered_scope = format_scopes(scope for scope in scopes if scope != OFFLINE_ACCESS)
            await self._dependencies.storage.consents.put(
                user.subject,
                client.client_id,
                ready.transaction.context.patient,
                Consent(remembered_scope, self._dependencies.clock(), user.generation),
            )
        return response

    async def _prepare_consent(
        self, transaction: Transaction, request: Request, form: FormState
    ) -> ReadyForConsent | Response:
        """The request with everything that consent depends on, or the page of the first missing step."""
        client = await self._request_state.load_client(transaction)
        transaction = await self._request_state.with_current_user(transaction, request)
        user = transaction.user
        if user is None:
            _require_interaction(transaction.request, ErrorCode.LOGIN_REQUIRED)
            view = login_view(self._dependencies, transaction, client, self.url, form.problem, form.username)
            return await self._show_page(transaction, view)
        offered = self._request_state.grantable_scopes(transaction, client)
        transaction = await self._request_state.with_patient(transaction, offered)
        if needs_patient(offered) and transaction.context.patient is None:
            return await self._patient_page(transaction, client, form)
        if needs_encounter(offered) and not transaction.encounter_settled and not transaction.launched:
            encounter_page, encounters = await encounter_view(
                self._dependencies, transaction, client, self.url, form.problem
            )
            if encounters:
                _require_interaction(transaction.request, ErrorCode.INTERACTION_REQUIRED)
                return await self._show_page(replace(transaction, offered=encounters), encounter_page)
            transaction = replace(transaction, encounter_settled=True)
        beside = self._request_state.offer_beside(client, user, offered)
        return ReadyForConsent(transaction, client, user, offered, beside)

    async def _patient_page(self, transaction: Transaction, client: Client, form: FormState) -> Response:
        _require_interaction(transaction.request, ErrorCode.INTERACTION_REQUIRED)
        view, patients = await patient_view(self._dependencies, transaction, client, self.url, form.name, form.problem)
        has_several = transaction.several_patients or view.has_more or len(patients) > 1
        return await self._show_page(replace(transaction, offered=patients, several_patients=has_several), view)

    async def _consent_page(self, ready: ReadyForConsent, problem: str) -> Response:
        _require_interaction(ready.transaction.request, ErrorCode.CONSENT_REQUIRED)
        transaction = replace(ready.transaction, offered=_format_each(ready.offered))
        view = consent_view(transaction, ready.client, ready.offered, self.url, problem, ready.beside)
        return await self._show_page(transaction, view)

    async def _show_page(self, transaction: Transaction, view: View) -> Response:
        if await self._transactions.put(transaction) is None:
            # Another tab has changed the request meanwhile: show its current step.
            return see_other(self.url(transaction))
        logo = view.subject.app.logo if isinstance(view, ConsentView) else ""
        response = html_response(
            view,
            pages=self._dependencies.pages,
            form_targets=(form_action_source(transaction.request.redirect_uri),),
            logos=(logo,) if logo else (),
        )
        if len(response.body) > _MAX_PAGE_BYTES:
            # Long values are shown as they are, or not granted at all.
            raise transaction.request.error(ErrorCode.INVALID_SCOPE, "The scopes are too long to be shown on one page.")
        return response

    def url(self, transaction: Transaction, step: str = "") -> str:
        """The URL of a request, or of the form of one of its steps."""
        return f"{self._dependencies.issuer}/authorize/{transaction.transaction_id}{step}"


def _require_interaction(request: AuthorizationRequest, code: ErrorCode) -> None:
    if "none" in request.prompt:
        raise request.error(code, "The request needs the user to act, and prompt=none forbids that.")


def _keep_choices(ready: ReadyForConsent, consent: SubmittedConsent) -> Transaction:
    """The transaction with what this user ticked, if the rows that the page showed are known."""
    transaction = ready.transaction
    for offered in (_parse_each(transaction.offered), ready.offered):
        subject = consent_subject(transaction, ready.client, offered, ready.beside)
        if consent.snapshot.agrees_with(consent_snapshot(transaction, subject), "user", "offer"):
            choices = read_choices(offered, consent.fields)
            purpose = ready.beside.choose_purpose(consent.purpose_of_use)
            return replace(transaction, answers=choices, remember=consent.remember, purpose_of_use=purpose)
    return transaction


def _format_each(scopes: tuple[Scope, ...]) -> tuple[str, ...]:
    return tuple(format_scope(scope) for scope in scopes)


def _parse_each(texts: tuple[str, ...]) -> tuple[Scope, ...]:
    """The scopes of the texts; none if they are not scopes, but references to patients or visits."""
    try:
        return tuple(parse_scope(text) for text in texts)
    except ScopeError:
        return ()
