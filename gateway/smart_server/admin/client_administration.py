"""`/admin/clients`: the registered apps."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.smart_server.admin.admin_door import is_set, read_json
from gateway.smart_server.administration.client_registration import SECRET_MEMBERS, ClientRegistration
from gateway.smart_server.administration.clients import ClientSummary, ManagedClients
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import json_response


class ClientAdministration:
    """Lists, adds, changes, disables and removes clients. Raises `AdminRequestError`."""

    def __init__(self, dependencies: Dependencies, registration: ClientRegistration) -> None:
        self._registry = dependencies.clients
        self._registration = registration
        self._clients = ManagedClients(dependencies, registration)

    async def clients(self, request: Request) -> Response:
        """GET: all clients. POST: add one. A generated secret is in this response only.

        A known client_id is refused, unless the query has `replace=true`.
        """
        if request.method == "GET":
            return json_response({"clients": [_describe(summary) for summary in await self._clients.list()]})
        replaces = is_set(request, "replace")
        registered = await self._clients.register(await read_json(request), replaces=replaces)
        return json_response(registered.members(), status=201)

    async def client(self, request: Request) -> Response:
        """GET: one client; a summary for a client of the configuration. PATCH: change members of it.

        DELETE: disable it, or remove it with `remove=true` in the query. Everything that was granted to it ends.
        """
        client_id = request.path_params["client_id"]
        match request.method:
            case "PATCH":
                updated = await self._clients.update(client_id, await read_json(request))
                return json_response(updated.members())
            case "DELETE" if is_set(request, "remove"):
                await self._clients.remove(client_id)
                return json_response({"client_id": client_id, "removed": True})
            case "DELETE":
                await self._clients.disable(client_id)
                return json_response({"client_id": client_id, "disabled": True})
            case _:
                return await self._show(client_id)

    async def _show(self, client_id: str) -> Response:
        if self._registry.is_configured(client_id):
            return json_response(_describe((await self._clients.show(client_id)).summary))
        entry = await self._registration.find_registered(client_id)
        return json_response({name: value for name, value in entry.items() if name not in SECRET_MEMBERS})


def _describe(summary: ClientSummary) -> dict[str, Any]:
    return {
        "client_id": summary.client_id,
        "name": summary.name,
        "authentication": summary.authentication,
        "disabled": summary.disabled,
        "without_pkce": summary.without_pkce,
        "from": "configuration" if summary.is_configured else "registration",
    }
