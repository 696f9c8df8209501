"""`/revoke`: ends an authorization and all of its tokens (RFC 7009; checklist RV)."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.client.client import Client
from gateway.oauth.client.client_authentication import NoCredentials
from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import json_response, oauth_error_response, read_oauth_parameters
from gateway.smart_server.token.client_authenticator import ClientAuthenticator
from gateway.smart_server.token.token_parameter import check_repeated_parameters, read_token_parameter
from gateway.telemetry.server_event import EventKind


class RevocationEndpoint:
    """The revocation endpoint. Revoking any token ends the whole authorization (RV-2)."""

    def __init__(self, dependencies: Dependencies, authenticator: ClientAuthenticator) -> None:
        self._dependencies = dependencies
        self._authenticator = authenticator

    async def revoke(self, request: Request) -> Response:
        """POST: 200, also for an unknown token (edge case 144)."""
        try:
            parameters = await read_oauth_parameters(request)
            token = read_token_parameter(parameters)
            check_repeated_parameters(parameters)
            credentials = self._authenticator.read_credentials(request, parameters)
            authorization_id = await self._find_authorization_id(token)
            if isinstance(credentials, NoCredentials):
                client = await self._find_public_client(authorization_id)
            else:
                client = await self._authenticator.authenticate(credentials, parameters, request)
            request.state.client = client
            await self._end_authorization(authorization_id, client)
            return json_response({})
        except OAuthError as error:
            return oauth_error_response(error)

    async def _find_authorization_id(self, token: str) -> str | None:
        storage = self._dependencies.storage
        record = await storage.access_tokens.get(token, self._dependencies.clock())
        if record is not None:
            access_token, _ = record
            return access_token.authorization_id
        return await storage.refresh_tokens.find_authorization_id(token)

    async def _find_public_client(self, authorization_id: str | None) -> Client | None:
        """The public client that the token was issued to. It may omit its client_id, which proves nothing."""
        storage = self._dependencies.storage
        authorization = None if authorization_id is None else await storage.authorizations.get(authorization_id)
        client = None
        if authorization is not None:
            client = await self._dependencies.clients.find_for_authorization(authorization)
        if client is not None and client.is_confidential:
            raise OAuthError(ErrorCode.INVALID_CLIENT, "This client must authenticate.")
        return client

    async def _end_authorization(self, authorization_id: str | None, client: Client | None) -> None:
        if authorization_id is None or client is None:
            return
        storage = self._dependencies.storage
        authorization = await storage.authorizations.get(authorization_id)
        if authorization is None:
            return
        if not authorization.belongs_to(client):
            # RFC 7009 2.1: the token of another client stays valid.
            raise OAuthError(ErrorCode.INVALID_GRANT, "The token was not issued to this client.")
        await storage.ends.end_authorization(authorization_id)
        self._dependencies.record_event(
            EventKind.REVOKED, client_id=client.client_id, authorization_id=authorization_id, reason="client"
        )
