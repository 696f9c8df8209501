"""`/token`: issues tokens for an authorization code, a refresh token, or client credentials (checklist 1.8-1.11)."""

import logging
from dataclasses import dataclass, replace
from typing import assert_never

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization import AccessToken, Authorization
from gateway.oauth.client.client import Client, GrantType
from gateway.oauth.client.client_authentication import NoCredentials
from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.granted_scopes import backend_scopes, with_both_forms
from gateway.oauth.parameters import Parameters
from gateway.oauth.pkce import verifier_matches
from gateway.oauth.token_request import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
    TokenRequest,
    read_token_request,
)
from gateway.oauth.token_response import id_token_claims, issues_id_token, token_response, userinfo
from gateway.scopes.algebra import TooManyScopesError
from gateway.scopes.format_scopes import format_scopes
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import (
    json_response,
    oauth_error_response,
    read_oauth_parameters,
    remote_address,
)
from gateway.smart_server.limits.request_limits import LimitedRequest
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError
from gateway.smart_server.token.client_authenticator import ClientAuthenticator
from gateway.smart_server.token.current_rights import (
    invalid_grant,
    limit_to_current_rights,
    narrow_scope,
    read_requested_scopes,
)
from gateway.smart_server.token.grant_lifetime import can_refresh, grant_lifetime, token_lifetime
from gateway.storage.tokens.authorization_codes import UsedCode
from gateway.storage.tokens.opaque_tokens import TokenKind, new_id, new_opaque_token
from gateway.storage.tokens.refresh_tokens import ReusedToken
from gateway.telemetry.server_event import EventKind

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Issuance:
    """What to issue. `scope`, `lifetime`, in seconds, and `certificate_thumbprint` are those of the access token."""

    client: Client
    authorization: Authorization
    scope: str
    lifetime: int
    refresh_token: str | None = None
    certificate_thumbprint: str | None = None


class TokenEndpoint:
    """The token endpoint."""

    def __init__(self, dependencies: Dependencies, authenticator: ClientAuthenticator) -> None:
        self._dependencies = dependencies
        self._authenticator = authenticator

    async def issue_tokens(self, request: Request) -> Response:
        """POST: tokens, or an error (RFC 6749 5.2)."""
        try:
            if request.scope["query_string"]:
                raise OAuthError(ErrorCode.INVALID_REQUEST, "Parameters must be in the body, not in the URL.")
            parameters = await read_oauth_parameters(request)
            token_request = read_token_request(parameters)
            client = request.state.client = await self._authenticate(token_request, parameters, request)
            await self._require_turn(LimitedRequest.TOKEN, client, request)
            issuance = await self._handle_grant(token_request, client)
            certificate_thumbprint = self._authenticator.certificate_binding(client, request)
            issuance = replace(issuance, certificate_thumbprint=certificate_thumbprint)
            return json_response(await self._create_tokens(issuance))
        except OAuthError as refused:
            error = await self._count_refused(refused, request)
            fields = {
                "error": error.code.value,
                "detail": error.detail or error.description,
                "remote": remote_address(request),
            }
            _log.info("token refused", extra=fields)
            return oauth_error_response(error)

    async def _count_refused(self, error: OAuthError, request: Request) -> OAuthError:
        """The error, or a 429 where this client or address was refused too often. What is valid is never refused by it.

        Requests that no client authenticated count for their address together.
        """
        client = getattr(request.state, "client", None)
        try:
            if error.code is ErrorCode.INVALID_GRANT:
                await self._require_turn(LimitedRequest.FAILED_GRANT, client, request)
            elif client is None and not error.retry_after:
                await self._require_turn(LimitedRequest.TOKEN, None, request)
        except OAuthError as too_many:
            return too_many
        return error

    async def _require_turn(self, kind: LimitedRequest, client: Client | None, request: Request) -> None:
        client_id = client.client_id if client is not None else ""
        try:
            await self._dependencies.limits.requests.count(kind, remote_address(request), client_id)
        except TooManyAttemptsError as error:
            description = "Too many requests of this client."
            raise OAuthError(ErrorCode.TEMPORARILY_UNAVAILABLE, description, retry_after=error.retry_after) from error

    async def _authenticate(self, token_request: TokenRequest, parameters: Parameters, request: Request) -> Client:
        credentials = self._authenticator.read_credentials(request, parameters)
        if isinstance(credentials, NoCredentials) and isinstance(token_request, RefreshTokenGrant):
            return await self._find_public_client(token_request.refresh_token)
        return await self._authenticator.authenticate(credentials, parameters, request)

    async def _find_public_client(self, refresh_token: str) -> Client:
        """The public client that the refresh token was issued to: fhirclient sends no client_id (fixed choice 14)."""
        storage = self._dependencies.storage
        authorization_id = await storage.refresh_tokens.find_authorization_id(refresh_token)
        authorization = None if authorization_id is None else await storage.authorizations.get(authorization_id)
        client = None
        if authorization is not None:
            client = await self._dependencies.clients.find_for_authorization(authorization)
        if client is None:
            raise invalid_grant("unknown refresh token")
        if client.is_confidential:
            raise OAuthError(ErrorCode.INVALID_CLIENT, "This client must authenticate.")
        return client

    async def _handle_grant(self, grant: TokenRequest, client: Client) -> _Issuance:
        match grant:
            case AuthorizationCodeGrant():
                self._check_grant_type(client, GrantType.AUTHORIZATION_CODE)
                return await self._exchange_code(grant, client)
            case RefreshTokenGrant():
                self._check_grant_type(client, GrantType.REFRESH_TOKEN)
                return await self._refresh(grant, client)
            case ClientCredentialsGrant():
                self._check_grant_type(client, GrantType.CLIENT_CREDENTIALS)
                return await self._grant_client_credentials(grant, client)
        assert_never(grant)

    def _check_grant_type(self, client: Client, grant_type: GrantType) -> None:
        if grant_type not in client.grant_types:
            raise OAuthError(ErrorCode.UNAUTHORIZED_CLIENT, f"This client may not use {grant_type.value}.")

    async def _exchange_code(self, grant: AuthorizationCodeGrant, client: Client) -> _Issuance:
        """The code can be used once, whatever the outcome. A second use ends the authorization of the first (T-14)."""
        storage = self._dependencies.storage
        code = await storage.codes.take(grant.code)
        if isinstance(code, UsedCode):
            await storage.ends.end_authorization(code.authorization_id)
            raise invalid_grant("a code was used twice")
        if code is None:
            raise invalid_grant("unknown code")
        authorization = code.authorization
        if not authorization.belongs_to(client):
            raise invalid_grant("a code of another client")
        if grant.redirect_uri != code.redirect_uri:
            raise invalid_grant("redirect_uri differs")
        self._check_verifier(grant.code_verifier, code.code_challenge)
        authorization = await limit_to_current_rights(authorization, client, self._dependencies)
        lifetimes = self._dependencies.lifetimes
        lifetime = grant_lifetime(authorization, client, lifetimes)
        if not await storage.authorizations.open(authorization, lifetime, session_id=code.session_id):
            raise invalid_grant("a code was used twice at once, or its authorization was ended")
        await self._check_not_ended(authorization, code.session_id)
        refresh_token = None
        if can_refresh(authorization):
            now = self._dependencies.clock()
            authorization_id = authorization.authorization_id
            refresh_token = await storage.refresh_tokens.start_family(authorization_id, lifetime, now)
        return _Issuance(client, authorization, authorization.scope, token_lifetime(client, lifetimes), refresh_token)

    async def _check_not_ended(self, authorization: Authorization, session_id: str | None) -> None:
        """Whether session and user still stand, after the authorization was opened.

        What ends them looks for open authorizations afterwards: whichever comes first, one of the two sees the other.
        """
        storage = self._dependencies.storage
        is_over = session_id is not None and not await storage.sessions.is_alive(session_id)
        user = authorization.user
        if is_over or (user is not None and await self._dependencies.users.reload(user) is None):
            await storage.ends.end_authorization(authorization.authorization_id)
            raise invalid_grant("the user or the session ended meanwhile")

    def _check_verifier(self, verifier: str | None, challenge: str | None) -> None:
        """T-5, edge case 47. A verifier without a challenge is a sign of an injected code (RFC 9700 4.8.2)."""
        if challenge is None:
            if verifier is not None:
                raise invalid_grant("a verifier without a challenge")
            return
        if verifier is None or not verifier_matches(verifier, challenge):
            raise invalid_grant("the code_verifier does not fit")

    async def _refresh(self, grant: RefreshTokenGrant, client: Client) -> _Issuance:
        storage = self._dependencies.storage
        authorization_id = await storage.refresh_tokens.find_authorization_id(grant.refresh_token)
        authorization = None if authorization_id is None else await storage.authorizations.get(authorization_id)
        if authorization is None or not authorization.belongs_to(client):
            raise invalid_grant("unknown refresh token, or of another client")
        session_id = authorization.session_id
        if session_id is not None and not await storage.sessions.is_alive(session_id):
            await storage.ends.end_authorization(authorization.authorization_id)
            raise invalid_grant("the session of online_access is over")
        current = await limit_to_current_rights(authorization, client, self._dependencies)
        scope = narrow_scope(current.scope, grant.scope, self._dependencies.scope_limits)
        lifetimes, now = self._dependencies.lifetimes, self._dependencies.clock()
        lifetime = grant_lifetime(authorization, client, lifetimes)
        rotated = await storage.refresh_tokens.rotate(
            grant.refresh_token, lifetime, now, lifetimes.refresh_grace_seconds
        )
        if isinstance(rotated, ReusedToken):
            self._dependencies.record_event(
                EventKind.REFRESH_REUSED,
                client_id=authorization.client_id,
                authorization_id=authorization.authorization_id,
            )
            await storage.ends.end_authorization(rotated.authorization_id)
        if rotated is None or isinstance(rotated, ReusedToken):
            raise invalid_grant("a refresh token that was used before")
        if not await storage.authorizations.prolong(authorization, lifetime):
            raise invalid_grant("the authorization ended meanwhile")
        return _Issuance(client, authorization, scope, token_lifetime(client, lifetimes), rotated.successor)

    async def _grant_client_credentials(self, grant: ClientCredentialsGrant, client: Client) -> _Issuance:
        parsed = read_requested_scopes(grant.scope, self._dependencies.scope_limits)
        if client.strict_scopes and parsed.refused:
            raise OAuthError(ErrorCode.INVALID_SCOPE, str(parsed.refused[0]))
        try:
            scopes = backend_scopes(parsed.scopes, client)
        except TooManyScopesError:
            description = "Too many scopes would be needed to say what can be granted."
            raise OAuthError(ErrorCode.INVALID_SCOPE, description) from None
        if not scopes:
            raise OAuthError(ErrorCode.INVALID_SCOPE, "The client may not have any of the scopes.")
        authorization = Authorization(
            authorization_id=new_id(),
            client_id=client.client_id,
            scope=format_scopes(with_both_forms(scopes, parsed.scopes)),
            audience=self._dependencies.fhir_base_url,
            granted_at=self._dependencies.clock(),
        )
        lifetime = client.access_token_lifetime or self._dependencies.lifetimes.backend_token_seconds
        await self._dependencies.storage.authorizations.open(authorization, lifetime)
        return _Issuance(client, authorization, authorization.scope, lifetime)

    async def _create_tokens(self, issuance: _Issuance) -> dict[str, object]:
        now = self._dependencies.clock()
        authorization = issuance.authorization
        token = new_opaque_token(TokenKind.ACCESS_TOKEN)
        access_token = AccessToken(
            authorization.authorization_id,
            issuance.scope,
            now,
            now + issuance.lifetime,
            issuance.certificate_thumbprint,
        )
        await self._dependencies.storage.access_tokens.put(token, access_token)
        id_token = None
        if issues_id_token(authorization, issuance.scope):
            claims = id_token_claims(authorization, self._dependencies.issuer, now, issuance.lifetime)
            id_token = self._dependencies.signing_keys.keys.sign(claims, now)
        self._dependencies.record_event(
            EventKind.TOKEN_ISSUED,
            client_id=authorization.client_id,
            subject=authorization.user.subject if authorization.user is not None else None,
            patient=authorization.context.patient,
            scope=issuance.scope,
            authorization_id=authorization.authorization_id,
        )
        response = token_response(
            token, access_token, authorization, refresh_token=issuance.refresh_token, id_token=id_token
        )
        if id_token is not None and issuance.client.userinfo_in_token_response:
            response["userinfo"] = userinfo(authorization)
        return response
