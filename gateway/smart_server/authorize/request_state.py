"""What currently holds for an authorization request: its client, its user, its patient, and what can be granted.

All of it is checked again before every step: it may have changed since a page was shown.
"""

from dataclasses import dataclass, replace

from starlette.requests import Request

from gateway.oauth.authorization import Session, User
from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.client.client import Client
from gateway.oauth.client.redirect_uri import is_registered
from gateway.oauth.errors import ErrorCode, PageError
from gateway.oauth.granted_scopes import (
    OFFLINE_ACCESS,
    ONLINE_ACCESS,
    can_remember_consent,
    changes_app_state,
    gives_access,
    grantable_scopes,
    needs_patient,
)
from gateway.oauth.purpose_of_use import purposes_for
from gateway.scopes.algebra import TooManyScopesError, covers_all
from gateway.scopes.model import ResourceScope, Scope
from gateway.scopes.parse_scopes import parse_granted_scopes, parse_scopes
from gateway.smart_server.authorize.consent_subject import NOTHING_BESIDE, OfferBeside
from gateway.smart_server.cookies import Cookies
from gateway.smart_server.dependencies import Dependencies
from gateway.storage.transactions import Transaction

# In seconds: the clock of the session's sign-in may differ slightly from the clock of the request.
_CLOCK_TOLERANCE = 1.0
_LOGIN_PROMPTS = frozenset({"login", "select_account"})


@dataclass(frozen=True, slots=True)
class ReadyForConsent:
    """A request that needs nothing but consent to `offered`, and what the page offers beside."""

    transaction: Transaction
    client: Client
    user: User
    offered: tuple[Scope, ...]
    beside: OfferBeside = NOTHING_BESIDE


class RequestState:
    """What currently holds for a request. Methods raise `RedirectError` or `PageError` if it cannot continue."""

    def __init__(self, dependencies: Dependencies, cookies: Cookies) -> None:
        self._dependencies = dependencies
        self._cookies = cookies

    async def load_client(self, transaction: Transaction) -> Client:
        """The client as it is now. A client that was disabled meanwhile gets nothing."""
        client = await self._dependencies.clients.find_enabled(transaction.request.client_id)
        if client is None or not is_registered(transaction.request.redirect_uri, client.redirect_uris):
            raise PageError(
                "client_unknown", "This app is no longer registered here, and gets no access. You can close this page."
            )
        return client

    async def with_current_user(self, transaction: Transaction, request: Request) -> Transaction:
        """The transaction with the user of the browser's session, unless the app requires a fresh login (A-21).

        The user of a request stays its user as long as that session lasts in this browser. After a sign-out, the next
        person must sign in, and is offered nothing of what the previous user could see or chose.
        """
        if transaction.user is not None and transaction.session_id is None:
            # A launcher vouched for the user, who may have been disabled since.
            if await self._dependencies.users.reload(transaction.user) != transaction.user:
                transaction = transaction.without_user()
        else:
            session = await self._cookies.current_session(request, self._dependencies.storage.sessions)
            transaction = self._with_session(transaction, session)
        user = transaction.user
        if user is not None and transaction.launched_for not in {None, user.subject}:
            raise transaction.request.error(
                ErrorCode.INVALID_REQUEST, "The launch was made for a user other than the one who is signed in."
            )
        return transaction

    def _with_session(self, transaction: Transaction, session: Session | None) -> Transaction:
        """The transaction for the session's user. A new session of the same user keeps what that user chose."""
        user = None if session is None else session.user
        if session is not None and session.session_id == transaction.session_id and user == transaction.user:
            return transaction
        if transaction.user is not None and transaction.user != user:
            transaction = transaction.without_user()
        if session is None or not self._is_fresh(session, transaction):
            return transaction.without_user() if transaction.user is not None else transaction
        return replace(transaction, user=session.user, session_id=session.session_id, signed_in_at=session.signed_in_at)

    def _is_fresh(self, session: Session, transaction: Transaction) -> bool:
        request = transaction.request
        if requires_login(request):
            return session.signed_in_at >= transaction.started_at - _CLOCK_TOLERANCE and transaction.signed_in_here
        if request.max_age is not None:
            return transaction.started_at - session.signed_in_at <= request.max_age
        return True

    def grantable_scopes(self, transaction: Transaction, client: Client) -> tuple[Scope, ...]:
        """The most that can be granted (SC-33). Raises `RedirectError` if that is nothing (edge case 101)."""
        assert transaction.user is not None
        requested = parse_scopes(transaction.request.scope).scopes
        try:
            offered = grantable_scopes(requested, client, self._dependencies.user_scope_limits(transaction.user))
        except TooManyScopesError:
            description = "Too many scopes would be needed to say what can be granted."
            raise transaction.request.error(ErrorCode.INVALID_SCOPE, description) from None
        if not transaction.launched and OFFLINE_ACCESS in offered:
            # Without a launch there is no EHR session that online access could last as long as (E-8). Offline access
            # outlasts our own session anyway.
            offered = tuple(scope for scope in offered if scope != ONLINE_ACCESS)
        if not gives_access(offered):
            raise transaction.request.error(ErrorCode.INVALID_SCOPE, "None of the scopes can be granted.")
        return offered

    async def with_patient(self, transaction: Transaction, offered: tuple[Scope, ...]) -> Transaction:
        """The transaction with the user's own record if the user is a patient, and with the name of the patient.

        The user must be allowed to see the patient in context, whoever put the patient there (G-2).
        """
        user = transaction.user
        assert user is not None
        if transaction.context.patient is None and needs_patient(offered) and user.patient is not None:
            transaction = transaction.with_context(patient=user.patient)
        patient_id = transaction.context.patient
        if patient_id is None or transaction.patient_name:
            return transaction
        patient = await self._dependencies.patient_directory.find_patient(user, patient_id)
        if patient is None:
            raise transaction.request.error(
                ErrorCode.ACCESS_DENIED, "The patient of this request cannot be seen by the user."
            )
        return replace(transaction, patient_name=patient.name, patient_detail=patient.detail)

    def offer_beside(self, client: Client, user: User, offered: tuple[Scope, ...]) -> OfferBeside:
        """What the page offers beside the scopes: a purpose of use, and room for the app's own state."""
        dependencies = self._dependencies
        reads_records = any(isinstance(scope, ResourceScope) for scope in offered)
        purposes = purposes_for(user, dependencies.purposes_of_use) if reads_records else ()
        keeps_state = dependencies.keeps_app_state and bool(client.trusted_state_codes) and changes_app_state(offered)
        return OfferBeside(purposes, keeps_state)

    async def needs_no_consent(self, ready: ReadyForConsent) -> bool:
        """Whether the operator, or an earlier consent of the user, makes the consent page needless (edge case 26)."""
        request, client = ready.transaction.request, ready.client
        if "consent" in request.prompt:
            return False
        if not can_remember_consent(client, request.redirect_uri):
            return False
        if client.skip_consent:
            return True
        if ready.transaction.answers:
            # A user who has just answered a consent page of this request may have agreed to less than last time.
            return False
        patient_id = ready.transaction.context.patient
        consent = await self._dependencies.storage.consents.get(ready.user.subject, client.client_id, patient_id)
        if consent is None or consent.agreed_at < client.registered_at:
            return False
        if consent.generation != ready.user.generation:
            return False
        agreed_scopes = parse_granted_scopes(consent.scope)
        return bool(agreed_scopes) and covers_all(agreed_scopes, ready.offered)


def requires_login(request: AuthorizationRequest) -> bool:
    """Whether the app does not accept an earlier login. `max_age=0` means `prompt=login` (OpenID Core 3.1.2.1)."""
    return bool(_LOGIN_PROMPTS & request.prompt) or request.max_age == 0
