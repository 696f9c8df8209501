"""A client of the admin API."""

from typing import Any

import httpx2

from tests.smart_server.running_server import ADMIN_TOKEN, CALLBACK, RunningServer


async def admin_request(server: RunningServer, method: str, path: str, body: object = None) -> httpx2.Response:
    """One request with the admin token, and a JSON body if there is one."""
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    url = f"{server.issuer}/admin{path}"
    if body is None:
        return await server.http.request(method, url, headers=headers)
    return await server.http.request(method, url, headers=headers, json=body)


async def register_client(server: RunningServer, client_id: str, **entry: Any) -> dict[str, Any]:
    """Register a client, a public one by default; the response body."""
    return await _post_client(server, "/clients", client_id, entry)


async def replace_client(server: RunningServer, client_id: str, **entry: Any) -> dict[str, Any]:
    """Register a client in place of one with the same client_id; the response body."""
    return await _post_client(server, "/clients?replace=true", client_id, entry)


async def _post_client(server: RunningServer, path: str, client_id: str, entry: dict[str, Any]) -> dict[str, Any]:
    members = {"client_id": client_id, "name": client_id, "redirect_uris": [CALLBACK], **entry}
    response = await admin_request(server, "POST", path, members)
    assert response.status_code == 201, response.text
    return dict(response.json())
