"""`POST /launch`: an EHR starts an app for its user. The neutral launch API, not tied to a vendor (checklist 1.6)."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.client.client import Client
from gateway.oauth.launch_context import LaunchContextError, read_launch_context
from gateway.oauth.task_launch import TaskLaunch, read_launch_task
from gateway.settings.authorization.smart_server import Launcher
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import BodyTooLargeError, json_response, media_type, read_body
from gateway.smart_server.launch.launch_service import LaunchError, LaunchService, PreparedLaunch

_MEMBERS = frozenset({"client_id", "launch_uri", "user", "context"})
# Another member, where the settings allow it: a Task of the profile task-ehr-launch (TL-4).
_TASK = "task"


class LaunchEndpoint:
    """The launch endpoint, for the launchers in the settings."""

    def __init__(self, dependencies: Dependencies, launches: LaunchService) -> None:
        self._dependencies = dependencies
        self._launches = launches

    async def launch(self, request: Request) -> Response:
        """201 with the URL to open and the launch handle; 401, or 400 with every problem."""
        try:
            launcher = await self._launches.authenticate_launcher(request)
            if launcher is None:
                return json_response(
                    {"error": "invalid_client", "problems": ["The launcher or its secret is wrong."]},
                    status=401,
                    headers={"www-authenticate": 'Basic realm="launch", charset="UTF-8"'},
                )
            launch = await self._create_launch(await _read_json(request), launcher)
        except LaunchError as error:
            code = "temporarily_unavailable" if error.status == 429 else "invalid_request"
            body = {"error": code, "problems": list(error.problems)}
            return json_response(body, status=error.status, headers=error.headers)
        return json_response(
            {"launch": launch.handle, "iss": self._dependencies.fhir_base_url, "launch_uri": launch.launch_uri,
             "location": launch.location},
            status=201,
        )  # fmt: skip

    async def _create_launch(self, body: Mapping[str, Any], launcher: Launcher) -> PreparedLaunch:
        unknown = sorted(set(body) - _MEMBERS - ({_TASK} if self._dependencies.allows_task_launch else set()))
        if unknown:
            raise LaunchError(400, f"{unknown[0]!r} is not a member of a launch: client_id, launch_uri, user, context.")
        context, uri = body.get("context", {}), body.get("launch_uri")
        if not isinstance(context, dict) or not (uri is None or isinstance(uri, str)):
            raise LaunchError(400, "context must be an object, and launch_uri a string.")
        try:
            if _TASK in body:
                task = read_launch_task(body[_TASK], (self._dependencies.fhir_base_url,))
                uri, context = task.launch_uri, _joined(task, body, context)
            launch_context = read_launch_context(context)
        except LaunchContextError as error:
            raise LaunchError(400, *error.problems) from error
        client = await self._find_client(body, uri)
        user = await self._launches.resolve_user(body.get("user"), launcher)
        return await self._launches.create(
            client,
            launch_context,
            launcher=launcher.client_id,
            user=user,
            vouched=launcher.vouches_for_users,
            launch_uri=uri,
        )

    async def _find_client(self, body: Mapping[str, Any], uri: str | None) -> Client:
        """The app with the client_id; for a Task without one, the app with its launch URI. Raises `LaunchError`."""
        client_id = body.get("client_id")
        if _TASK in body and "client_id" not in body:
            # An app that registered itself may claim any URL, and must be named.
            clients = [
                client
                for client in await self._dependencies.clients.list_all()
                if uri in client.launch_uris and not client.disabled and not client.self_registered
            ]
            if len(clients) != 1:
                raise LaunchError(400, f"The URL of the Task is that of {len(clients)} apps: client_id must name one.")
            return clients[0]
        found = await self._dependencies.clients.find_enabled(client_id) if isinstance(client_id, str) else None
        if found is None:
            raise LaunchError(400, "client_id names no registered app.")
        return found


def _joined(task: TaskLaunch, body: Mapping[str, Any], context: Mapping[str, Any]) -> Mapping[str, Any]:
    """The launch context of the Task with what the launcher adds to it. Raises `LaunchError`."""
    twice = sorted({"launch_uri"} & set(body) | (set(task.context) | {"patient", "encounter"}) & set(context))
    if twice:
        raise LaunchError(400, f"{twice[0]} is the Task's, and must be left out beside it.")
    return {**context, **task.context}


async def _read_json(request: Request) -> Mapping[str, Any]:
    try:
        if media_type(request) != "application/json":
            raise LaunchError(400, "The body must be application/json.")
        body = orjson.loads(await read_body(request))
    except (orjson.JSONDecodeError, BodyTooLargeError) as error:
        raise LaunchError(400, "The body is not JSON, or too large.") from error
    if not isinstance(body, dict):
        raise LaunchError(400, "The body must be a JSON object.")
    return body
