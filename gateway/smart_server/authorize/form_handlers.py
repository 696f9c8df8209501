"""Handlers for the posted forms of an authorization request: login, patient, visit and consent.

Each form is limited to what its page offered.
"""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.languages.language import gettext_noop
from gateway.oauth.authorization import User
from gateway.oauth.errors import PageError, WayBack
from gateway.oauth.parameters import Parameters
from gateway.smart_server.authorize.authorization_flow import AuthorizationFlow, FormState, SubmittedConsent
from gateway.smart_server.authorize.consent_form import FormFields
from gateway.smart_server.authorize.form_token import (
    describe_change,
    is_form_token,
    picker_snapshot,
    read_snapshot,
)
from gateway.smart_server.authorize.login_session import LoginSessions
from gateway.smart_server.authorize.password_login import LoginProblem, PasswordLogin
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import read_page_form, see_other
from gateway.smart_server.page_language import gettext
from gateway.storage.transactions import Transaction


class FormHandlers:
    """One method for each form. They raise `PageError` if a form is not from our page."""

    def __init__(
        self,
        dependencies: Dependencies,
        flow: AuthorizationFlow,
        password_login: PasswordLogin,
        login_sessions: LoginSessions,
    ) -> None:
        self._transactions = dependencies.storage.transactions
        self._flow = flow
        self._password_login = password_login
        self._login_sessions = login_sessions

    async def submit_login(self, request: Request) -> Response:
        """User name and password, or cancel."""
        transaction, fields, _ = await self._read_form(request)
        if fields.get("decision") == "cancel":
            return await self._flow.authorization_response.deny(transaction)
        login = await self._password_login.check_password(fields, request)
        if isinstance(login, LoginProblem):
            form = FormState(login.text, username=(fields.get("username") or "")[:200])
            return login.apply_to(await self._flow.show_next_step(transaction, request, form))
        return await self.continue_as_user(transaction, login, request)

    async def continue_as_user(
        self,
        transaction: Transaction,
        user: User,
        request: Request,
        *,
        signed_in_at: float | None = None,
        provider_session: str | None = None,
    ) -> Response:
        """Start a session and continue the request as this user. The options are those of `start_session`."""
        response = see_other(self._flow.url(transaction))
        is_same_user = transaction.user is not None and transaction.user.subject == user.subject
        session = await self._login_sessions.start_session(
            user, request, response, signed_in_at=signed_in_at, provider_session=provider_session
        )
        await self._transactions.put(
            replace(
                # Choices of another user are dropped, and patients are loaded again as this user.
                transaction.without_choices(),
                user=user,
                session_id=session.session_id,
                signed_in_at=session.signed_in_at,
                signed_in_here=True,
                answers=transaction.answers if is_same_user else (),
                remember=transaction.remember and is_same_user,
                purpose_of_use=transaction.purpose_of_use if is_same_user else "",
                several_patients=False,
            )
        )
        return response

    async def switch_user(self, request: Request) -> Response:
        """Sign out whoever has signed in, and ask again: a workstation may be shared."""
        transaction, _, _ = await self._read_form(request)
        response = await self._continue(replace(transaction.without_user(), other_user=True))
        await self._login_sessions.sign_out(request, response)
        return response

    async def submit_patient(self, request: Request) -> Response:
        """A patient, who must be among those that the page offered."""
        transaction, fields, _ = await self._read_form(request)
        if fields.get("decision") == "cancel":
            return await self._flow.authorization_response.deny(transaction)
        if problem := _describe_picker_change(transaction, fields):
            return await self._flow.show_next_step(transaction, request, FormState(problem))
        patient_id = fields.get("patient")
        if patient_id is None:
            return await self._flow.show_next_step(transaction, request, FormState(gettext("Please choose a patient.")))
        if transaction.user is None or f"Patient/{patient_id}" not in transaction.offered:
            raise self._not_offered(transaction, gettext_noop("This patient was not among the choices."))
        return await self._continue(replace(transaction.with_context(patient=patient_id), offered=(), patient_name=""))

    async def submit_encounter(self, request: Request) -> Response:
        """A visit, which must be among those that the page offered, or no particular visit."""
        transaction, fields, _ = await self._read_form(request)
        if fields.get("decision") == "cancel":
            return await self._flow.authorization_response.deny(transaction)
        if problem := _describe_picker_change(transaction, fields):
            return await self._flow.show_next_step(transaction, request, FormState(problem))
        encounter_id = fields.get("encounter")
        is_offered = encounter_id is None or f"Encounter/{encounter_id}" in transaction.offered
        if transaction.user is None or not is_offered:
            raise self._not_offered(transaction, gettext_noop("This visit was not among the choices."))
        return await self._continue(
            replace(transaction.with_context(encounter=encounter_id), offered=(), encounter_settled=True)
        )

    async def submit_consent(self, request: Request) -> Response:
        """Consent, a refusal, or the wish to choose another patient."""
        transaction, fields, pairs = await self._read_form(request)
        decision = fields.get("decision")
        if decision not in {"allow", "another-patient"}:
            return await self._flow.authorization_response.deny(transaction)
        consent = SubmittedConsent(
            snapshot=read_snapshot(fields.get("csrf") or ""),
            fields=pairs,
            remember=fields.get("remember") is not None,
            purpose_of_use=fields.get("purpose") or "",
            another_patient=decision == "another-patient",
        )
        return await self._flow.submit_consent(transaction, request, consent)

    async def _read_form(self, request: Request) -> tuple[Transaction, Parameters, FormFields]:
        """The transaction and the fields of a form that this browser got from our page. Raises `PageError`."""
        transaction = await self._flow.load_transaction(request)
        fields, pairs = await read_page_form(request)
        if not is_form_token(fields.get("csrf"), transaction):
            raise PageError(
                "form_foreign",
                "This form did not come from our own page. Nothing was changed.",
                way_back=WayBack(self._flow.url(transaction), gettext_noop("Continue with the request")),
            )
        return transaction, fields, pairs

    def _not_offered(self, transaction: Transaction, message: str) -> PageError:
        return PageError(
            "choice_not_offered", message, way_back=WayBack(self._flow.url(transaction), gettext_noop("Choose again"))
        )

    async def _continue(self, transaction: Transaction) -> Response:
        await self._transactions.put(transaction)
        return see_other(self._flow.url(transaction))


def _describe_picker_change(transaction: Transaction, fields: Parameters) -> str:
    """What has changed in another tab since the picker was shown; empty if nothing has."""
    return describe_change(read_snapshot(fields.get("csrf") or ""), picker_snapshot(transaction))
