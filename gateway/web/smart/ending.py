"""How a request for access ends: a code for what was agreed to, or an error; always by a redirect to the app."""

from starlette.responses import Response

from gateway.oauth.authorization import Authorization, Code, Session, User
from gateway.oauth.client import Client
from gateway.oauth.errors import ErrorCode, PageError
from gateway.oauth.granting import ONLINE, settled
from gateway.oauth.redirect_uri import with_parameters
from gateway.scopes.model import Scope
from gateway.scopes.unparse import unparse
from gateway.storage.handles import Kind, new_handle, new_id
from gateway.storage.sessions import Transaction
from gateway.telemetry.event import EventKind
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.requests import see_other


class Ending:
    """The answers to the app."""

    def __init__(self, parts: SmartParts) -> None:
        self._parts = parts

    async def grant(self, transaction: Transaction, client: Client, user: User, agreed: tuple[Scope, ...]) -> Response:
        """Put a code for what was agreed, and go back to the app with it (A-12)."""
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
