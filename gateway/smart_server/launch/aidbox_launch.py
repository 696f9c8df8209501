"""`POST /rpc`: Aidbox's method `aidbox.smart/get-launch-uri`, mapped to our launches (authorization.md)."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization import User
from gateway.oauth.launch_context import LaunchContextError, read_launch_context
from gateway.settings.authorization.smart_server import Launcher
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import BodyTooLargeError, json_response, read_body
from gateway.smart_server.launch.launch_service import LaunchError, LaunchService

AIDBOX_METHOD = "aidbox.smart/get-launch-uri"


class AidboxLaunch:
    """The RPC endpoint. The launch handle is a signed JWT that can be used once."""

    def __init__(self, dependencies: Dependencies, launches: LaunchService) -> None:
        self._dependencies = dependencies
        self._launches = launches

    async def call(self, request: Request) -> Response:
        """The result or the error, in Aidbox's format."""
        try:
            launcher = await self._launches.authenticate_launcher(request)
            if launcher is None:
                challenge = {"www-authenticate": 'Basic realm="rpc", charset="UTF-8"'}
                return json_response({"error": {"message": "Access denied"}}, status=401, headers=challenge)
            params = await self._read_params(request)
            return json_response({"result": await self._get_launch_uri(params, launcher)})
        except LaunchError as error:
            return json_response({"error": {"message": str(error)}}, status=error.status, headers=error.headers)

    async def _read_params(self, request: Request) -> Mapping[str, Any]:
        try:
            body = orjson.loads(await read_body(request))
        except (orjson.JSONDecodeError, BodyTooLargeError) as error:
            raise LaunchError(422, "The body is not JSON.") from error
        params = body.get("params") if isinstance(body, dict) else None
        if not isinstance(body, dict) or body.get("method") != AIDBOX_METHOD or not isinstance(params, dict):
            raise LaunchError(422, f"The only method here is {AIDBOX_METHOD}, with params.")
        return params

    async def _get_launch_uri(self, params: Mapping[str, Any], launcher: Launcher) -> dict[str, str]:
        base = self._dependencies.fhir_base_url
        client_id, iss, ctx = params.get("client"), params.get("iss", base), params.get("ctx", {})
        client = await self._dependencies.clients.find_enabled(client_id) if isinstance(client_id, str) else None
        if client is None or not client.launch_uris:
            raise LaunchError(422, "params.client names no app with a launch URI.")
        if iss != base or not isinstance(ctx, dict):
            raise LaunchError(422, "params.iss must be the FHIR base URL of this server, and params.ctx an object.")
        try:
            context = read_launch_context(ctx)
        except LaunchContextError as error:
            raise LaunchError(422, *error.problems) from error
        user = await self._launches.resolve_user(params.get("user"), launcher)
        launch = await self._launches.create(
            client,
            context,
            launcher=launcher.client_id,
            user=user,
            vouched=launcher.vouches_for_users,
            encode_handle=lambda handle, lifetime: self._sign_handle(handle, lifetime, client.client_id, ctx, user),
        )
        return {"uri": launch.location, "launch": launch.handle, "iss": base, "launch-uri": launch.launch_uri}

    def _sign_handle(
        self, handle: str, lifetime: int, client_id: str, ctx: Mapping[str, Any], user: User | None
    ) -> str:
        """A JWT that holds the handle. The launch is stored under it, so that it can be used once, as any launch."""
        now = self._dependencies.clock()
        claims = {
            "iss": self._dependencies.issuer,
            "aud": self._dependencies.issuer,
            "client": client_id,
            "user": user.subject if user is not None else None,
            "ctx": dict(ctx),
            "exp": int(now) + lifetime,
            "jti": handle,
        }
        return self._dependencies.signing_keys.keys.sign(claims, now)
