"""`/admin/token` and `/admin/keys`: access tokens issued here, and the keys that sign id_tokens."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.token_response import introspection_response
from gateway.smart_server.admin.admin_door import is_set, read_json
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.administration.keys import ManagedKeys
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import json_response


class TokenAdministration:
    """Explains tokens, and rotates the keys of id_tokens. Raises `AdminRequestError`."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        self._keys = ManagedKeys(dependencies)

    async def explain_token(self, request: Request) -> Response:
        """POST: the claims of an introspection, with `fhirUser`: operators may see it even if the app may not."""
        token = (await read_json(request)).get("token")
        record = None
        if isinstance(token, str):
            record = await self._dependencies.storage.access_tokens.get(token, self._dependencies.clock())
        if record is None or await self._dependencies.clients.find_for_authorization(record[1]) is None:
            raise AdminRequestError(404, "The token is unknown, expired or revoked, or its app is disabled.")
        access_token, authorization = record
        user = authorization.user
        fhir_user = {} if user is None or user.fhir_user is None else {"fhirUser": user.fhir_user}
        return json_response(
            {**introspection_response(access_token, authorization, self._dependencies.issuer), **fhir_user}
        )

    async def rotate_keys(self, request: Request) -> Response:
        """POST: create the next signing key. It is published now and signs in an hour.

        With `now=true` in the query it signs at once, and all others are neither published nor used any more: one of
        them has leaked.
        """
        keys = await self._keys.rotate(at_once=is_set(request, "now"))
        return json_response({"keys": [key.kid for key in keys], "signs_from": keys[-1].signs_from})
