"""Hostile redirect URIs are never redirected to, however similar they look, and never registered."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.oauth.test_redirect_uri import FLAWS, HOSTILE, REGISTERED
from tests.smart_server.admin_client import register_client
from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.running_server import ADMIN_TOKEN, CALLBACK, RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A SMART server with one client that has a redirect URI of each kind."""

    def change(settings: dict[str, Any]) -> None:
        client = {"client_id": "every-way", "name": "Every Way", "redirect_uris": list(REGISTERED)}
        settings["smart_server"]["clients"].append(client)

    async with run_smart_server(fhir_server, change=change) as running:
        yield running


@pytest.mark.requirement("A-4", "R-2", "edge-9")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_hostile_redirect_uri_is_ever_redirected_to(server: RunningServer, method: str) -> None:
    app = server.app("every-way")
    redirected = []
    for uri in HOSTILE:
        if method == "GET":
            answer = await server.http.get(app.authorization_url("openid", redirect_uri=uri))
        else:
            parameters = app.authorization_parameters("openid", redirect_uri=uri)
            answer = await server.http.post(f"{server.issuer}/authorize", data=parameters)
        as_it_must = (
            answer.status_code == 400
            and "location" not in answer.headers
            and "refresh" not in answer.headers
            and "redirect_uri_not_registered" in answer.text
            and "evil.example" not in answer.text
        )
        if not as_it_must:
            redirected.append((uri, answer.status_code))
    assert redirected == []


@pytest.mark.requirement("A-4")
async def test_an_error_of_the_app_is_no_reason_to_redirect_either(server: RunningServer) -> None:
    """The redirect URI is checked first, whatever else is wrong."""
    app = server.app("every-way")
    for changes in ({"response_type": "token"}, {"scope": ""}, {"aud": "https://evil.example"}, {"prompt": "none"}):
        parameters = app.authorization_parameters("openid", redirect_uri=HOSTILE[0]) | changes
        answer = await server.http.post(f"{server.issuer}/authorize", data=parameters)
        assert (answer.status_code, "location" in answer.headers) == (400, False)


@pytest.mark.requirement("A-4", "A-19")
@pytest.mark.parametrize("uri", REGISTERED)
async def test_each_registered_uri_is_redirected_to_as_it_stands(server: RunningServer, uri: str) -> None:
    app = server.app("every-way")
    answer = await server.http.get(app.authorization_url("openid", redirect_uri=uri, response_type="token"))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(uri + ("&error=" if "?" in uri else "?error="))


@pytest.mark.requirement("A-4")
async def test_a_native_app_gets_its_code_on_the_port_that_its_system_gave_it(server: RunningServer) -> None:
    """RFC 8252 7.3. The token request names the same port (A-14)."""
    await register_client(server, "native-app", redirect_uris=["http://127.0.0.1/callback"])
    apps = [server.app("native-app", redirect_uri=f"http://127.0.0.1:{port}/callback") for port in (49152, 49153)]
    for app in apps:
        tokens = await server.request_tokens(app, "launch/patient patient/Patient.r")
        assert "access_token" in tokens
    app = apps[-1]
    code = await server.request_code(app, "launch/patient patient/Patient.r")
    assert oauth_error(await app.exchange(code, redirect_uri="http://127.0.0.1:49152/callback")) == "invalid_grant"


@pytest.mark.requirement("R-2", "A-19")
@pytest.mark.parametrize("uri", [uri for uri, _ in FLAWS.values()], ids=FLAWS)
async def test_what_is_no_fixed_address_cannot_be_registered(server: RunningServer, uri: str) -> None:
    entry = {"client_id": "newcomer", "name": "Newcomer", "redirect_uris": [uri]}
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    answer = await server.http.post(f"{server.issuer}/admin/clients", json=entry, headers=headers)
    assert answer.status_code == 400
    assert (await server.http.get(f"{server.issuer}/admin/clients/newcomer", headers=headers)).status_code == 404


@pytest.mark.requirement("R-2", "E-1", "G-1")
@pytest.mark.parametrize(
    "uri",
    ["http://app.example/launch", "https://app_1.example/launch", "https://app.example./launch", f"{CALLBACK}/../x",
     "com.example.app:/launch", "https://app.example/launch?iss=https://evil.example"],
)  # fmt: skip
async def test_a_launch_uri_is_as_fixed_as_a_redirect_uri(server: RunningServer, uri: str) -> None:
    entry = {"client_id": "newcomer", "name": "Newcomer", "redirect_uris": [CALLBACK], "launch_uris": [uri]}
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    answer = await server.http.post(f"{server.issuer}/admin/clients", json=entry, headers=headers)
    assert answer.status_code == 400
    assert "launch_uris" in answer.text
