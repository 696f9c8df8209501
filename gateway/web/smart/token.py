"""`/token`: a client proves itself and gets tokens: for a code, to refresh, or in its own name (checklist 1.8-1.11)."""

import logging
from dataclasses import dataclass
from typing import assert_never

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.answers import id_token_claims, issues_id_token, token_answer, userinfo
from gateway.oauth.authorization import AccessToken, Authorization
from gateway.oauth.client import Client, GrantType
from gateway.oauth.client_authentication import Anonymous
from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.granting import OFFLINE, ONLINE, backend_scopes
from gateway.oauth.parameters import Parameters
from gateway.oauth.pkce import proves
from gateway.oauth.token_request import ClientCredentials, CodeExchange, Refresh, TokenRequest, read_token_request
from gateway.scopes.parse import parse_scopes
from gateway.scopes.unparse import unparse
from gateway.storage.codes import Used
from gateway.storage.handles import Kind, new_handle, new_id
from gateway.storage.refresh_tokens import Reused
from gateway.telemetry.event import EventKind
from gateway.web.smart.client_proof import ClientProof
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.requests import error_answer, json_answer, oauth_parameters, remote_of
from gateway.web.smart.rights import asked_scopes, invalid_grant, narrowed, within_rights

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Issue:
    """What the answer is made of: an authorization, the scope of this token, and how long it lasts in seconds."""

    client: Client
    authorization: Authorization
    scope: str
    lifetime: int
    refresh_token: str | None = None


class TokenEndpoint:
    """The token endpoint."""

    def __init__(self, parts: SmartParts, proof: ClientProof) -> None:
        self._parts = parts
        self._proof = proof

    async def answer(self, request: Request) -> Response:
        """POST: tokens, or an error as RFC 6749 5.2 has it."""
        try:
            if request.scope["query_string"]:
                raise OAuthError(ErrorCode.INVALID_REQUEST, "Parameters belong into the body, not into the address.")
            parameters = await oauth_parameters(request)
            asked = read_token_request(parameters)
            client = request.state.client = await self._client(asked, parameters, request)
            issue = await self._issue(asked, client)
            return json_answer(await self._tokens(issue))
        except OAuthError as error:
            self._parts.tell(EventKind.TOKEN_REFUSED, reason=error.code.value, remote_address=remote_of(request))
            told = {"error": error.code.value, "detail": error.detail or error.description}
            _log.info("token refused", extra=told)
            return error_answer(error)

    async def _client(self, asked: TokenRequest, parameters: Parameters, request: Request) -> Client:
        offered = self._proof.offered(request, parameters)
        if isinstance(offered, Anonymous) and isinstance(asked, Refresh):
            return await self._client_of(asked.refresh_token)
        return await self._proof.client(offered, parameters, request)

    async def _client_of(self, refresh_token: str) -> Client:
        """The public client that a refresh token belongs to: fhirclient names none (fixed choice 14)."""
        authorization_id = await self._parts.remembered.refresh_tokens.authorization_of(refresh_token)
        authorization = None
        if authorization_id is not None:
            authorization = await self._parts.remembered.authorizations.get(authorization_id)
        client = None if authorization is None else await self._parts.clients.holder(authorization)
        if client is None:
            raise invalid_grant("unknown refresh token")
        if client.confidential:
            raise OAuthError(ErrorCode.INVALID_CLIENT, "This client must prove itself.")
        return client

    async def _issue(self, asked: TokenRequest, client: Client) -> _Issue:
        match asked:
            case CodeExchange():
                self._may(client, GrantType.AUTHORIZATION_CODE)
                return await self._exchange(asked, client)
            case Refresh():
                self._may(client, GrantType.REFRESH_TOKEN)
                return await self._refresh(asked, client)
            case ClientCredentials():
                self._may(client, GrantType.CLIENT_CREDENTIALS)
                return await self._backend(asked, client)
        assert_never(asked)

    def _may(self, client: Client, grant_type: GrantType) -> None:
        if grant_type not in client.grant_types:
            raise OAuthError(ErrorCode.UNAUTHORIZED_CLIENT, f"This client may not use {grant_type.value}.")

    async def _exchange(self, asked: CodeExchange, client: Client) -> _Issue:
        """A code is burned by whatever becomes of it; a second use ends what the first one brought (T-14)."""
        taken = await self._parts.remembered.codes.take(asked.code)
        if isinstance(taken, Used):
            await self._parts.remembered.end(taken.authorization_id)
            raise invalid_grant("a code was used twice")
        if taken is None:
            raise invalid_grant("unknown code")
        authorization = taken.authorization
        if not authorization.is_of(client):
            raise invalid_grant("a code of another client")
        if asked.redirect_uri != taken.redirect_uri:
            raise invalid_grant("redirect_uri differs")
        self._check_verifier(asked.code_verifier, taken.code_challenge)
        authorization = await within_rights(authorization, client, self._parts)
        scopes = parse_scopes(authorization.scope).scopes
        lifetime = client.access_lifetime or self._parts.spans.access_token
        lasting = OFFLINE in scopes or ONLINE in scopes
        life = max(lifetime, self._refresh_life(authorization)) if lasting else lifetime
        if not await self._parts.remembered.authorizations.open(authorization, life):
            raise invalid_grant("a code was used twice at once")
        refresh_token = None
        if lasting:
            now = self._parts.clock()
            refresh_token = await self._parts.remembered.refresh_tokens.begin(authorization.authorization_id, life, now)
        return _Issue(client, authorization, authorization.scope, lifetime, refresh_token)

    def _check_verifier(self, verifier: str | None, challenge: str | None) -> None:
        """T-5, edge case 47. A verifier that no challenge asked for is a sign of an injected code (RFC 9700 4.8.2)."""
        if challenge is None:
            if verifier is not None:
                raise invalid_grant("a verifier without a challenge")
            return
        if verifier is None or not proves(verifier, challenge):
            raise invalid_grant("the code_verifier does not fit")

    def _refresh_life(self, authorization: Authorization) -> int:
        """Offline access has its own life; online access that of a session, also where an EHR has it (RF-2)."""
        offline = OFFLINE in parse_scopes(authorization.scope).scopes
        return self._parts.spans.refresh if offline else self._parts.spans.session

    async def _refresh(self, asked: Refresh, client: Client) -> _Issue:
        remembered = self._parts.remembered
        authorization_id = await remembered.refresh_tokens.authorization_of(asked.refresh_token)
        authorization = None if authorization_id is None else await remembered.authorizations.get(authorization_id)
        if authorization is None or not authorization.is_of(client):
            raise invalid_grant("unknown refresh token, or another client's")
        session_id = authorization.session_id
        if session_id is not None and not await remembered.sessions.lives(session_id):
            await self._parts.remembered.end(authorization.authorization_id)
            raise invalid_grant("the session of online_access is over")
        left = await within_rights(authorization, client, self._parts)
        scope = narrowed(left.scope, asked.scope)
        spans, now = self._parts.spans, self._parts.clock()
        lifetime = client.access_lifetime or spans.access_token
        # What the new access token stands on must last as long as is said of it.
        life = max(lifetime, self._refresh_life(authorization))
        rotated = await remembered.refresh_tokens.rotate(asked.refresh_token, life, now, spans.refresh_grace)
        if isinstance(rotated, Reused):
            self._parts.tell(
                EventKind.REFRESH_REUSED,
                client_id=authorization.client_id,
                authorization_id=authorization.authorization_id,
            )
            await self._parts.remembered.end(rotated.authorization_id)
        if rotated is None or isinstance(rotated, Reused):
            raise invalid_grant("a refresh token that was used before")
        if not await remembered.authorizations.prolong(authorization, life):
            raise invalid_grant("the authorization ended meanwhile")
        return _Issue(client, authorization, scope, lifetime, rotated.successor)

    async def _backend(self, asked: ClientCredentials, client: Client) -> _Issue:
        parsed = asked_scopes(asked.scope)
        if client.strict_scopes and parsed.refused:
            raise OAuthError(ErrorCode.INVALID_SCOPE, str(parsed.refused[0]))
        scopes = backend_scopes(parsed.scopes, client)
        if not scopes:
            raise OAuthError(ErrorCode.INVALID_SCOPE, "None of the scopes is among those this client was allowed.")
        authorization = Authorization(
            authorization_id=new_id(),
            client_id=client.client_id,
            scope=unparse(scopes),
            audience=self._parts.base,
            granted_at=self._parts.clock(),
        )
        lifetime = client.access_lifetime or self._parts.spans.backend_token
        await self._parts.remembered.authorizations.open(authorization, lifetime)
        return _Issue(client, authorization, authorization.scope, lifetime)

    async def _tokens(self, issue: _Issue) -> dict[str, object]:
        now = self._parts.clock()
        authorization = issue.authorization
        token = new_handle(Kind.ACCESS_TOKEN)
        meaning = AccessToken(authorization.authorization_id, issue.scope, now, now + issue.lifetime)
        await self._parts.remembered.access_tokens.put(token, meaning)
        id_token = None
        if issues_id_token(authorization, issue.scope):
            claims = id_token_claims(authorization, self._parts.issuer, now, issue.lifetime)
            id_token = self._parts.ring.keys.sign(claims, now)
        self._parts.tell(
            EventKind.TOKEN_ISSUED,
            client_id=authorization.client_id,
            subject=authorization.user.subject if authorization.user is not None else None,
            patient=authorization.context.patient,
            scope=issue.scope,
            authorization_id=authorization.authorization_id,
        )
        answer = token_answer(token, meaning, authorization, refresh_token=issue.refresh_token, id_token=id_token)
        if id_token is not None and issue.client.userinfo_in_token_response:
            answer["userinfo"] = userinfo(authorization)
        return answer
