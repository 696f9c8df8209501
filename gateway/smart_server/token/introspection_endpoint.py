"""`/introspect`: whether a token is active, and what it permits (RFC 7662; checklist IN)."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.asgi.client_certificate import is_presented_with
from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.oauth.parameters import Parameters
from gateway.oauth.purpose_of_use import purpose_in_force
from gateway.oauth.token_response import INACTIVE, introspection_response
from gateway.scopes.model import ExtensionScope
from gateway.scopes.parse_scopes import parse_granted_scopes
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import json_response, oauth_error_response, read_oauth_parameters
from gateway.smart_server.token.client_authenticator import ClientAuthenticator
from gateway.smart_server.token.token_parameter import (
    CREDENTIAL_PARAMETERS,
    check_repeated_parameters,
    read_token_parameter,
)

# IN-10: SMART does not name this scope. Names that SMART does not define begin with two underscores (EX-1).
INTROSPECTION_SCOPE = ExtensionScope("__introspect")


class IntrospectionEndpoint:
    """The introspection endpoint. Clients with `may_introspect` may ask about any token (IN-8, edge case 143)."""

    def __init__(self, dependencies: Dependencies, authenticator: ClientAuthenticator) -> None:
        self._dependencies = dependencies
        self._authenticator = authenticator

    async def introspect(self, request: Request) -> Response:
        """POST: the claims of an active token; for any other token only `"active": false` (edge case 138)."""
        try:
            if request.headers.get("authorization", "").lower().startswith("bearer "):
                refusal = await self._check_bearer_token(request)
                if refusal is not None:
                    return refusal
                parameters = await read_oauth_parameters(request)
            else:
                parameters = await read_oauth_parameters(request)
                await self._authenticate_client(request, parameters)
            return json_response(await self._describe_token(read_token_parameter(parameters)))
        except OAuthError as error:
            return _refusal(error)

    async def _check_bearer_token(self, request: Request) -> Response | None:
        """The refusal, unless the bearer token has the scope and its client may introspect (edge case 139)."""
        token = request.headers["authorization"].partition(" ")[2].strip()
        record = await self._dependencies.storage.access_tokens.get(token, self._dependencies.clock())
        if record is None or not is_presented_with(record[0].certificate_thumbprint, request.scope):
            challenge = {"www-authenticate": 'Bearer error="invalid_token"'}
            return json_response({"error": "invalid_token"}, status=401, headers=challenge)
        access_token, authorization = record
        client = await self._dependencies.clients.find_for_authorization(authorization)
        request.state.client = client
        if (
            client is None
            or not client.may_introspect
            or INTROSPECTION_SCOPE not in parse_granted_scopes(access_token.scope)
        ):
            challenge = {"www-authenticate": f'Bearer error="insufficient_scope", scope="{INTROSPECTION_SCOPE.name}"'}
            return json_response({"error": "insufficient_scope"}, status=403, headers=challenge)
        return None

    async def _authenticate_client(self, request: Request, parameters: Parameters) -> None:
        try:
            check_repeated_parameters(parameters, CREDENTIAL_PARAMETERS)
            credentials = self._authenticator.read_credentials(request, parameters)
        except OAuthError as error:
            # Credentials that cannot be read prove nothing.
            raise OAuthError(ErrorCode.INVALID_CLIENT, error.description, detail=error.detail) from error
        client = await self._authenticator.authenticate(credentials, parameters, request)
        request.state.client = client
        if not client.may_introspect or not client.is_confidential:
            raise OAuthError(ErrorCode.UNAUTHORIZED_CLIENT, "This client may not introspect tokens.")
        check_repeated_parameters(parameters)

    async def _describe_token(self, token: str) -> dict[str, object]:
        record = await self._dependencies.storage.access_tokens.get(token, self._dependencies.clock())
        if record is None or await self._dependencies.clients.find_for_authorization(record[1]) is None:
            return dict(INACTIVE)
        meaning, authorization = record
        purpose = purpose_in_force(authorization, self._dependencies.purposes_of_use)
        authorization = replace(authorization, purpose_of_use=purpose)
        return introspection_response(meaning, authorization, self._dependencies.issuer)


def _refusal(error: OAuthError) -> Response:
    """401 where no client is authenticated, whatever the method was; 403 for one that may not (RFC 7662 2.3)."""
    if error.code is ErrorCode.INVALID_CLIENT:
        error = OAuthError(error.code, error.description, detail=error.detail, basic=True)
    response = oauth_error_response(error)
    if error.code is ErrorCode.UNAUTHORIZED_CLIENT:
        response.status_code = 403
    return response
