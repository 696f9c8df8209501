"""A browser takes no response of the SMART server for anything but what its media type says."""

import pytest

from tests.smart_server.admin_client import admin_request
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

REQUESTS = [
    ("GET", "/auth/.well-known/openid-configuration"), ("GET", "/auth/jwks"), ("GET", "/auth/authorize"),
    ("GET", "/auth/sign-in"), ("GET", "/auth/nothing"), ("GET", "/auth/token"), ("POST", "/auth/token"),
    ("OPTIONS", "/auth/token"), ("POST", "/auth/introspect"), ("POST", "/auth/revoke"), ("POST", "/auth/launch"),
    ("GET", "/auth/admin/clients"), ("POST", "/rpc"), ("GET", "/fhir/ClientApplication/public-app/$smart-launch"),
    ("GET", "/fhir/.well-known/smart-configuration"), ("GET", "/fhir/metadata"), ("GET", "/fhir/Patient/pat-a"),
    ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_every_response_carries_nosniff_exactly_once(server: RunningServer, method: str, path: str) -> None:
    response = await server.http.request(method, server.root + path)
    assert response.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_so_does_the_admin_api(server: RunningServer) -> None:
    response = await admin_request(server, "GET", "/clients")
    assert (response.status_code, response.headers["x-content-type-options"]) == (200, "nosniff")
