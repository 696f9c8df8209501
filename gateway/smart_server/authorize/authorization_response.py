"""The response to the app: a redirect with a code for what was granted, or with an error."""

from dataclasses import replace

from starlette.responses import Response

from gateway.oauth.authorization import Authorization, AuthorizationCode, Session, User
from gateway.oauth.client.client import Client
from gateway.oauth.client.redirect_uri import add_parameters
from gateway.oauth.errors import ErrorCode, RedirectError
from gateway.oauth.granted_scopes import ONLINE_ACCESS, final_scopes, with_both_forms
from gateway.oauth.launch_context import LaunchContext
from gateway.scopes.format_scopes import format_scopes
from gateway.scopes.model import Scope
from gateway.scopes.parse_scopes import parse_granted_scopes
from gateway.smart_server.authorize.answered_page import request_over
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_refusal
from gateway.smart_server.http_messages import see_other
from gateway.storage.tokens.opaque_tokens import TokenKind, new_id, new_opaque_token
from gateway.storage.transactions import Outcome, Transaction
from gateway.telemetry.server_event import EventKind

WITHOUT_PKCE = "without_pkce"
"""The reason in the event of a grant whose code can be redeemed without a verifier."""


class AuthorizationResponse:
    """Ends an authorization request and redirects to the app."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def issue_code(
        self, transaction: Transaction, client: Client, user: User, agreed_scopes: tuple[Scope, ...], purpose: str = ""
    ) -> Response:
        """Store a code for the scopes that the user agreed to, and redirect to the app with it (A-12).

        `purpose` is the purpose of use that the user named, or empty.
        """
        storage, request = self._dependencies.storage, transaction.request
        scopes = final_scopes(agreed_scopes, client, user, transaction.context)
        if not scopes:
            raise request.error(ErrorCode.ACCESS_DENIED, "Nothing was granted.")
        if not await storage.transactions.end(transaction, Outcome.CONNECTED):
            raise request_over()
        authorization = Authorization(
            authorization_id=new_id(),
            client_id=client.client_id,
            scope=format_scopes(with_both_forms(scopes, parse_granted_scopes(request.scope))),
            audience=request.audience,
            granted_at=self._dependencies.clock(),
            user=user,
            context=self._with_style(transaction.context),
            signed_in_at=transaction.signed_in_at,
            nonce=request.nonce,
            session_id=await self._session_id(transaction, user) if ONLINE_ACCESS in scopes else None,
            patient_name=transaction.patient_name,
            purpose_of_use=purpose,
        )
        code, lifetime = new_opaque_token(TokenKind.CODE), self._dependencies.lifetimes.code_seconds
        session_id = authorization.session_id or transaction.session_id
        stored_code = AuthorizationCode(authorization, request.redirect_uri, request.code_challenge, session_id)
        await storage.authorizations.announce(authorization, session_id, lifetime)
        await storage.codes.put(code, stored_code, lifetime)
        self._dependencies.record_event(
            EventKind.GRANTED,
            client_id=client.client_id,
            subject=user.subject,
            patient=authorization.context.patient,
            scope=authorization.scope,
            authorization_id=authorization.authorization_id,
            purpose_of_use=purpose or None,
            reason=WITHOUT_PKCE if request.code_challenge is None else None,
        )
        state = [("state", request.state)] if request.state is not None else []
        return self.redirect_to_app(request.redirect_uri, [("code", code), *state])

    def _with_style(self, context: LaunchContext) -> LaunchContext:
        """The context with the configured style, unless the launch named one (LC-7)."""
        return replace(context, smart_style_url=context.smart_style_url or self._dependencies.style_url)

    async def _session_id(self, transaction: Transaction, user: User) -> str:
        """The session that online access is bound to (RF-2).

        A user that a launcher vouched for has no session in this browser. The launch then starts a session with a
        secret that nobody has, so that it cannot be prolonged.
        """
        if transaction.session_id is not None:
            return transaction.session_id
        now = self._dependencies.clock()
        session = Session(new_id(), user, now, new_id(), now + self._dependencies.lifetimes.session_max_seconds)
        await self._dependencies.storage.sessions.put(new_id(), session, now)
        return session.session_id

    async def deny(self, transaction: Transaction) -> Response:
        """Redirect to the app after the user declined (S-6)."""
        subject = transaction.user.subject if transaction.user is not None else None
        self._dependencies.record_event(EventKind.DENIED, client_id=transaction.request.client_id, subject=subject)
        error = transaction.request.error(ErrorCode.ACCESS_DENIED, "The user did not agree.")
        return await self.send_error(transaction, error)

    async def send_error(self, transaction: Transaction, error: RedirectError) -> Response:
        """End the request and redirect to the app with the error."""
        declined = error.code is ErrorCode.ACCESS_DENIED
        await self._dependencies.storage.transactions.end(transaction, Outcome.DECLINED if declined else Outcome.FAILED)
        return self.redirect_to_app(error.redirect_uri, error.parameters())

    def redirect_to_app(self, redirect_uri: str, parameters: list[tuple[str, str]]) -> Response:
        """The redirect with these parameters and the issuer (RFC 9207)."""
        error = dict(parameters).get("error")
        if error is not None:
            note_refusal(error)
        return see_other(add_parameters(redirect_uri, [*parameters, ("iss", self._dependencies.issuer)]))
