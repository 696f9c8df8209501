"""`/register`: an app registers itself (RFC 7591), where the operator allows that; users are asked all the same."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.errors import OAuthError
from gateway.web.smart.administration import Administration, EntryError
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.requests import BodyTooLargeError, json_answer, read_body, remote_of
from gateway.web.smart.rights import asked_scopes

_TYPES = {
    "none": "public",
    "client_secret_basic": "confidential-symmetric",
    "private_key_jwt": "confidential-asymmetric",
}
_NAMES = {
    "client_name": "name",
    "redirect_uris": "redirect_uris",
    "scope": "scopes",
    "jwks": "jwks",
    "jwks_uri": "jwks_uri",
    "logo_uri": "logo",
    "launch_uris": "launch_uris",
}
_GRANTS = ("authorization_code", "refresh_token")
_PER_HOUR = 20


class Registration:
    """The registration endpoint. What only an operator may grant (consent skipped, introspection) cannot be asked."""

    def __init__(self, parts: SmartParts, administration: Administration) -> None:
        self._parts = parts
        self._administration = administration

    async def answer(self, request: Request) -> Response:
        """201 with the client's id, or an error as RFC 7591 3.2.2 has it."""
        remote = remote_of(request)
        if not await self._parts.remembered.attempts.allowed(f"register:{remote}", _PER_HOUR, 3600.0):
            return json_answer({"error": "temporarily_unavailable"}, status=429, headers={"retry-after": "3600"})
        try:
            metadata = orjson.loads(await read_body(request))
            entry = _entry(metadata)
            told = await self._administration.register(entry, itself=True)
        except (orjson.JSONDecodeError, BodyTooLargeError):
            return _refused("invalid_client_metadata", "The body is no JSON object, or too large.")
        except EntryError as error:
            code = "invalid_redirect_uri" if "redirect_uris" in str(error) else "invalid_client_metadata"
            return _refused(code, str(error))
        return json_answer(_told(told, metadata, self._parts.clock()), status=201)


def _entry(metadata: Any) -> dict[str, Any]:
    if not isinstance(metadata, dict):
        raise EntryError(400, "The body must be a JSON object.")
    method = metadata.get("token_endpoint_auth_method", "client_secret_basic")
    if not isinstance(method, str) or method not in _TYPES:
        raise EntryError(400, "token_endpoint_auth_method: must be none, client_secret_basic or private_key_jwt")
    grants = metadata.get("grant_types", ["authorization_code"])
    if not isinstance(grants, list) or not all(one in _GRANTS for one in grants):
        # A backend service is asked about by nobody, so that only an operator may let it in.
        raise EntryError(400, f"grant_types: may hold {' and '.join(_GRANTS)} alone")
    scope = metadata.get("scope")
    if isinstance(scope, str):
        try:
            asked_scopes(scope)
        except OAuthError as error:
            raise EntryError(400, f"scope: {error.description}") from error
    given = {ours: metadata[theirs] for theirs, ours in _NAMES.items() if metadata.get(theirs) is not None}
    return {"name": "An app without a name", "type": _TYPES[method], **given}


def _told(entry: dict[str, Any], metadata: dict[str, Any], now: float) -> dict[str, Any]:
    """What was registered, and nothing of what was only asked for (RFC 7591 3.2.1)."""
    told = {theirs: entry[ours] for theirs, ours in _NAMES.items() if ours in entry}
    told |= {
        "client_id": entry["client_id"],
        "client_id_issued_at": int(now),
        "client_name": entry["name"],
        "token_endpoint_auth_method": metadata.get("token_endpoint_auth_method", "client_secret_basic"),
        "grant_types": list(_GRANTS),
        "response_types": ["code"],
    }
    if "client_secret" in entry:
        told |= {"client_secret": entry["client_secret"], "client_secret_expires_at": 0}
    return told


def _refused(code: str, description: str) -> Response:
    return json_answer({"error": code, "error_description": description}, status=400)
