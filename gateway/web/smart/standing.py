"""How a request for access stands: its client, who is signed in, whose record it is for, what can be given of it.

All of it is looked at again before every step: what held when a page was shown may hold no more when it is answered.
"""

from dataclasses import dataclass, replace

from starlette.requests import Request

from gateway.oauth.authorization import Session, User
from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.client import Client
from gateway.oauth.errors import ErrorCode, PageError
from gateway.oauth.granting import OFFLINE, ONLINE, can_be_remembered, grantable, needs_patient, opens_anything
from gateway.scopes.algebra import covers_any
from gateway.scopes.model import Scope
from gateway.scopes.parse import parse_scopes
from gateway.storage.sessions import Transaction
from gateway.web.smart.browser import Cookies
from gateway.web.smart.parts import SmartParts

# A page that a person has open; the clock of a session's sign-in may be a moment behind the request's.
_SAME_MOMENT = 1.0
_LOGIN = frozenset({"login", "select_account"})


@dataclass(frozen=True, slots=True)
class Ready:
    """A request that needs nothing any more but consent to `offered`."""

    transaction: Transaction
    client: Client
    user: User
    offered: tuple[Scope, ...]


class Standing:
    """What is known now of a request. A look raises `RedirectError`, or `PageError`, where the request cannot go on."""

    def __init__(self, parts: SmartParts, cookies: Cookies) -> None:
        self._parts = parts
        self._cookies = cookies

    async def client(self, transaction: Transaction) -> Client:
        """The client as it is now: one that was disabled meanwhile gets nothing."""
        client = await self._parts.clients.find(transaction.request.client_id)
        if client is None or transaction.request.redirect_uri not in client.redirect_uris:
            raise PageError("client_unknown", "The app that asked is not registered here any more.")
        return client

    async def signed_in(self, transaction: Transaction, request: Request) -> Transaction:
        """With the user of the browser's session, unless the app wants a fresh login (A-21).

        Who signed in for the request is its user as long as that session lasts at this browser: after a sign-out the
        next person at it must sign in, and is offered nothing of what the one before could see or chose.
        """
        if transaction.user is None or transaction.session_id is not None:
            session = await self._cookies.signed_in(request, self._parts.remembered.sessions)
            transaction = self._of_session(transaction, session)
        user = transaction.user
        if user is not None and transaction.launched_for not in {None, user.subject}:
            raise transaction.request.denied(
                ErrorCode.INVALID_REQUEST, "The launch was made for another user than the one who is signed in."
            )
        return transaction

    def _of_session(self, transaction: Transaction, session: Session | None) -> Transaction:
        """As far as the session carries it: another one of the same user goes on with what that user chose."""
        user = None if session is None else session.user
        if session is not None and session.session_id == transaction.session_id and user == transaction.user:
            return transaction
        if transaction.user is not None and transaction.user != user:
            transaction = transaction.without_user()
        if session is None or not self._is_fresh(session, transaction):
            return transaction.without_user() if transaction.user is not None else transaction
        return replace(transaction, user=session.user, session_id=session.session_id, signed_in_at=session.signed_in_at)

    def _is_fresh(self, session: Session, transaction: Transaction) -> bool:
        asked = transaction.request
        if wants_login(asked):
            return session.signed_in_at >= transaction.started_at - _SAME_MOMENT and transaction.signed_in_here
        if asked.max_age is not None:
            return transaction.started_at - session.signed_in_at <= asked.max_age
        return True

    def offered(self, transaction: Transaction, client: Client) -> tuple[Scope, ...]:
        """The most that can be granted (SC-33). Raises `RedirectError` where that is nothing (edge case 101)."""
        assert transaction.user is not None
        asked = parse_scopes(transaction.request.scope).scopes
        offered = grantable(asked, client, self._parts.limits_of(transaction.user))
        if not transaction.launched:
            # Without a launch there is no EHR session that it could last as long as (E-8): our own session it is.
            offered = tuple(one for one in offered if one != ONLINE or OFFLINE not in offered)
        if not opens_anything(offered):
            raise transaction.request.denied(ErrorCode.INVALID_SCOPE, "None of the scopes can be granted.")
        return offered

    async def with_patient(self, transaction: Transaction, offered: tuple[Scope, ...]) -> Transaction:
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

    async def agreed_before(self, ready: Ready) -> bool:
        """Whether nobody needs to be asked: by the operator's word, or the user's own (edge case 26)."""
        asked, client = ready.transaction.request, ready.client
        if "consent" in asked.prompt:
            return False
        if not can_be_remembered(client, asked.redirect_uri):
            return False
        if client.skip_consent:
            return True
        if ready.transaction.answers:
            # Who has just ticked lines of this request may have ticked less than what was agreed to then.
            return False
        patient = ready.transaction.context.patient
        known = await self._parts.remembered.consents.get(ready.user.subject, client.client_id, patient)
        if known is None or known.agreed_at < client.registered_at:
            return False
        scopes = parse_scopes(known.scope).scopes
        return bool(scopes) and all(covers_any(scopes, one) for one in ready.offered)


def wants_login(asked: AuthorizationRequest) -> bool:
    """Whether a login from before does not do: `max_age=0` is `prompt=login` too (OpenID Connect Core 3.1.2.1)."""
    return bool(_LOGIN & asked.prompt) or asked.max_age == 0
