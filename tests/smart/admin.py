"""An operator at the admin API of a running house."""

from typing import Any

import httpx2

from tests.smart.house import ADMIN_TOKEN, CALLBACK, House


async def administer(house: House, method: str, path: str, body: object = None) -> httpx2.Response:
    """One request with the admin token; a body goes as JSON."""
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    url = f"{house.issuer}/admin{path}"
    if body is None:
        return await house.http.request(method, url, headers=headers)
    return await house.http.request(method, url, headers=headers, json=body)


async def register(house: House, client_id: str, **entry: Any) -> dict[str, Any]:
    """Add a client, a public one unless `entry` says otherwise; what its owner is told."""
    whole = {"client_id": client_id, "name": client_id, "redirect_uris": [CALLBACK], **entry}
    response = await administer(house, "POST", "/clients", whole)
    assert response.status_code == 201, response.text
    return dict(response.json())
