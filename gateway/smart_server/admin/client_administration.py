"""`/admin/clients`: the registered apps."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.client.client import Client
from gateway.smart_server.admin.admin_door import is_set, read_json
from gateway.smart_server.admin.client_registration import SECRET_MEMBERS, ClientRegistration
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import json_response
from gateway.telemetry.server_event import EventKind


class ClientAdministration:
    """Lists, adds, changes, disables and removes clients. Raises `AdminRequestError`."""

    def __init__(self, dependencies: Dependencies, registration: ClientRegistration) -> None:
        self._dependencies = dependencies
        self._registration = registration

    async def clients(self, request: Request) -> Response:
        """GET: all clients. POST: add one. A generated secret is in this response only.

        A known client_id is refused, unless the query has `replace=true`.
        """
        if request.method == "GET":
            summaries = [self._summary(client) for client in await self._dependencies.clients.list_all()]
            return json_response({"clients": summaries})
        replaces = is_set(request, "replace")
        return json_response(await self._registration.register(await read_json(request), replaces=replaces), status=201)

    async def client(self, request: Request) -> Response:
        """GET: one client; a summary for a client of the configuration. PATCH: change members of it.

        DELETE: disable it, or remove it with `remove=true` in the query. Everything that was granted to it ends.
        """
        client_id = request.path_params["client_id"]
        match request.method:
            case "PATCH":
                return json_response(await self._registration.update(client_id, await read_json(request)))
            case "DELETE" if is_set(request, "remove"):
                return await self._remove(client_id)
            case "DELETE":
                return await self._disable(client_id)
            case _:
                return await self._show(client_id)

    def _summary(self, client: Client) -> dict[str, Any]:
        return {
            "client_id": client.client_id,
            "name": client.name,
            "authentication": client.authentication.value,
            "disabled": client.disabled,
            "without_pkce": client.is_unproven,
            "from": "configuration" if self._dependencies.clients.is_configured(client.client_id) else "registration",
        }

    async def _show(self, client_id: str) -> Response:
        client = await self._dependencies.clients.find_any(client_id)
        if client is not None and self._dependencies.clients.is_configured(client_id):
            return json_response(self._summary(client))
        entry = await self._registration.find_registered(client_id)
        return json_response({name: value for name, value in entry.items() if name not in SECRET_MEMBERS})

    async def _disable(self, client_id: str) -> Response:
        storage = self._dependencies.storage
        entry = await self._registration.find_registered(client_id)
        await storage.registrations.put_client(client_id, {**entry, "disabled": True})
        await storage.ends.end_client(client_id)
        self._dependencies.record_event(EventKind.CLIENT_DISABLED, client_id=client_id)
        return json_response({"client_id": client_id, "disabled": True})

    async def _remove(self, client_id: str) -> Response:
        storage = self._dependencies.storage
        entry = await self._registration.find_registered(client_id)
        # Disabled first: until everything has ended, nothing more is granted, and an interruption can be repeated.
        await storage.registrations.put_client(client_id, {**entry, "disabled": True})
        await storage.ends.end_client(client_id)
        await storage.registrations.remove_client(client_id)
        self._dependencies.record_event(EventKind.CLIENT_REMOVED, client_id=client_id, reason="administrator")
        return json_response({"client_id": client_id, "removed": True})
