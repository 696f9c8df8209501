"""`/admin/token` and `/admin/keys`: access tokens issued here, and the keys that sign id_tokens."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.credentials.signing_key import PUBLISHED_AHEAD_SECONDS, generate_key, parse_key
from gateway.oauth.token_response import introspection_response
from gateway.smart_server.admin.admin_door import is_set, read_json
from gateway.smart_server.admin.admin_error import AdminRequestError
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import json_response
from gateway.storage.signing_keys import StoredSigningKey, StoredSigningKeys
from gateway.telemetry.server_event import EventKind


class TokenAdministration:
    """Explains tokens, and rotates the keys of id_tokens. Raises `AdminRequestError`."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

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
        if self._dependencies.signing_keys.is_from_file:
            raise AdminRequestError(409, "The signing key is in a file of the configuration. Rotate it there.")
        now = self._dependencies.clock()
        if is_set(request, "now"):
            next_key = StoredSigningKey(generate_key(), now)
            return self._use_keys(await self._dependencies.storage.signing_keys.replace_at_once(next_key), "at once")
        next_key = StoredSigningKey(generate_key(), now + PUBLISHED_AHEAD_SECONDS)
        lifetimes = [client.access_token_lifetime or 0 for client in await self._dependencies.clients.list_all()]
        longest = max(self._dependencies.lifetimes.access_token_seconds, *lifetimes, 0)
        keys = await self._dependencies.storage.signing_keys.rotate(next_key, forget_before=now - longest)
        return self._use_keys(keys, None)

    def _use_keys(self, keys: StoredSigningKeys, reason: str | None) -> Response:
        self._dependencies.signing_keys.use(keys)
        self._dependencies.record_event(EventKind.KEYS_ROTATED, reason=reason)
        kids = [parse_key(key.jwk).kid for key in keys.keys]
        return json_response({"keys": kids, "signs_from": keys.keys[-1].signs_from})
