"""`/register`: dynamic client registration (RFC 7591), if the settings allow it."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.errors import OAuthError
from gateway.oauth.scope_limits import ScopeLimits
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.administration.client_registration import ClientRegistration
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import BodyTooLargeError, json_response, read_body, remote_address
from gateway.smart_server.limits.request_limits import LimitedRequest
from gateway.smart_server.token.current_rights import read_requested_scopes

# The client type of the settings by `token_endpoint_auth_method`.
_CLIENT_TYPES = {
    "none": "public",
    "client_secret_basic": "confidential-symmetric",
    "private_key_jwt": "confidential-asymmetric",
}
# The members of a client entry by their names in RFC 7591.
_MEMBER_NAMES = {
    "client_name": "name",
    "redirect_uris": "redirect_uris",
    "scope": "scopes",
    "jwks": "jwks",
    "jwks_uri": "jwks_uri",
    "logo_uri": "logo",
    "policy_uri": "policy",
    "tos_uri": "terms",
    "launch_uris": "launch_uris",
}
_GRANT_TYPES = ("authorization_code", "refresh_token")


class RegistrationEndpoint:
    """The registration endpoint. Rights that only an operator may give (`skip_consent`, introspection) are ignored."""

    def __init__(self, dependencies: Dependencies, registration: ClientRegistration) -> None:
        self._dependencies = dependencies
        self._registration = registration

    async def register(self, request: Request) -> Response:
        """POST: 201 with the client information, or an error (RFC 7591 3.2.2). Raises `TooManyAttemptsError`."""
        await self._dependencies.limits.requests.count(LimitedRequest.REGISTRATION, remote_address(request))
        try:
            metadata = orjson.loads(await read_body(request))
            entry = _read_metadata(metadata, self._dependencies.scope_limits)
            registered = (await self._registration.register(entry, self_registered=True)).members()
        except (orjson.JSONDecodeError, BodyTooLargeError):
            return _error_response("invalid_client_metadata", "The body is not a JSON object, or too large.")
        except AdminRequestError as error:
            code = "invalid_redirect_uri" if "redirect_uris" in str(error) else "invalid_client_metadata"
            return _error_response(code, str(error))
        return json_response(_client_information(registered, metadata, self._dependencies.clock()), status=201)


def _read_metadata(metadata: Any, scope_limits: ScopeLimits) -> dict[str, Any]:
    if not isinstance(metadata, dict):
        raise AdminRequestError(400, "The body must be a JSON object.")
    method = metadata.get("token_endpoint_auth_method", "client_secret_basic")
    if not isinstance(method, str) or method not in _CLIENT_TYPES:
        raise AdminRequestError(400, "token_endpoint_auth_method: must be none, client_secret_basic or private_key_jwt")
    grant_types = metadata.get("grant_types", ["authorization_code"])
    if not isinstance(grant_types, list) or not all(grant_type in _GRANT_TYPES for grant_type in grant_types):
        # No user consents to a backend service, so only an operator may register one.
        raise AdminRequestError(400, f"grant_types: may have only {' and '.join(_GRANT_TYPES)}")
    scope = metadata.get("scope")
    if isinstance(scope, str):
        try:
            read_requested_scopes(scope, scope_limits)
        except OAuthError as error:
            raise AdminRequestError(400, f"scope: {error.description}") from error
    members = {
        name: metadata[rfc_name] for rfc_name, name in _MEMBER_NAMES.items() if metadata.get(rfc_name) is not None
    }
    return {"name": "An app without a name", "type": _CLIENT_TYPES[method], **members}


def _client_information(entry: dict[str, Any], metadata: dict[str, Any], now: float) -> dict[str, Any]:
    """The client information response: only what was registered (RFC 7591 3.2.1)."""
    response = {rfc_name: entry[name] for rfc_name, name in _MEMBER_NAMES.items() if name in entry}
    response |= {
        "client_id": entry["client_id"],
        "client_id_issued_at": int(now),
        "client_name": entry["name"],
        "token_endpoint_auth_method": metadata.get("token_endpoint_auth_method", "client_secret_basic"),
        "grant_types": list(_GRANT_TYPES),
        "response_types": ["code"],
    }
    if "client_secret" in entry:
        response |= {"client_secret": entry["client_secret"], "client_secret_expires_at": 0}
    return response


def _error_response(code: str, description: str) -> Response:
    return json_response({"error": code, "error_description": description}, status=400)
