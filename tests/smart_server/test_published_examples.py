"""The worked examples that HL7 published, request by request; only host names are changed."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import pytest_asyncio

from gateway.oauth.pkce import code_challenge
from tests.smart_server.running_server import ASYMMETRIC_KEY, CALLBACK, RunningServer, run_smart_server
from tests.smart_server.smart_app import JWT_BEARER

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

MY_APP, MY_SECRET = "my-app", "my-app-secret-123"
AFTER_AUTH = "https://myapp.example.org/after-auth"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def example(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server with the client of the example."""

    def change(settings: dict[str, Any]) -> None:
        entry = {"client_id": MY_APP, "name": "My App", "type": "confidential-symmetric", "client_secret": MY_SECRET}
        settings["smart_server"]["clients"].append({**entry, "redirect_uris": [AFTER_AUTH]})

    async with run_smart_server(fhir_server, change=change) as running:
        yield running


@pytest.mark.requirement("WE-1", "A-1", "CS-1", "T-1", "T-2", "T-3", "T-7", "RF-1", "RF-7", "LC-22", "D-1")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_published_example_of_a_symmetric_client_works(example: RunningServer, method: str) -> None:
    server, http = example, example.http
    discovery = await http.get(f"{server.base}/.well-known/smart-configuration", headers={"accept": "application/json"})
    configuration = discovery.json()
    verifier = "o28xyrYY7-lGYfnKwRjHEZWlFIPlzVnFPYMWbH-g_BsNnQNem-IAg9fDh92X0KtvHCPO5_C-RJd2QhApKQ-2cRp-S_W3qmTidTEPkeWyniKQSF9Q_k10Q5wMc8fGzoyF"  # noqa: E501
    request = {
        "response_type": "code",
        "client_id": MY_APP,
        "scope": "launch/patient patient/Observation.rs patient/Patient.rs offline_access",
        "redirect_uri": AFTER_AUTH,
        "aud": server.base,
        "state": "98wrghuwuogerg97",
        "code_challenge": "YPXe7B8ghKrj8PsT4L6ltupgI12NQJ5vblB07F4rGaw",
        "code_challenge_method": "S256",
    }
    assert code_challenge(verifier) == request["code_challenge"]
    person = server.person()
    if method == "GET":
        page = await person.open(f"{configuration['authorization_endpoint']}?{urlencode(request)}")
    else:
        page = await person.open(configuration["authorization_endpoint"], data=list(request.items()))
    page = await person.agree(await person.choose_patient(await person.sign_in(page), "pat-a"))
    assert page.left_for is not None
    assert page.left_for.startswith(f"{AFTER_AUTH}?code=")
    assert page.parameters["state"] == "98wrghuwuogerg97"
    basic = {
        "authorization": "Basic bXktYXBwOm15LWFwcC1zZWNyZXQtMTIz",
        "content-type": "application/x-www-form-urlencoded",
    }
    body = (
        f"grant_type=authorization_code&code={page.parameters['code']}"
        f"&redirect_uri=https%3A%2F%2Fmyapp.example.org%2Fafter-auth&code_verifier={verifier}"
    )
    answer = await http.post(configuration["token_endpoint"], content=body, headers=basic)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    token = answer.json()
    assert token["token_type"] == "Bearer"
    assert set(token["scope"].split()) == set(request["scope"].split())
    assert token["patient"] == "pat-a"
    query = {"code": "4548-4", "_count": "2"}
    response = await http.get(
        f"{server.base}/Observation",
        params=query,
        headers={"accept": "application/json", "authorization": f"Bearer {token['access_token']}"},
    )
    assert response.status_code == 200
    assert response.json()["type"] == "searchset"
    body = f"grant_type=refresh_token&refresh_token={token['refresh_token']}"
    renewed = await http.post(configuration["token_endpoint"], content=body, headers=basic)
    assert renewed.status_code == 200
    assert renewed.json()["access_token"] != token["access_token"]
    assert {name: renewed.json()[name] for name in ("patient", "scope", "token_type")} == {
        name: token[name] for name in ("patient", "scope", "token_type")
    }


@pytest.mark.requirement("WE-1", "PK-3", "T-3")
async def test_the_published_example_of_a_public_client_works(server: RunningServer) -> None:
    app = server.app()
    code = await server.request_code(app, "launch/patient patient/Observation.rs patient/Patient.rs offline_access")
    form = {"code": code, "grant_type": "authorization_code", "redirect_uri": CALLBACK,
            "code_verifier": app.verifier, "client_id": "public-app"}  # fmt: skip
    token = (await server.http.post(f"{server.issuer}/token", data=form)).json()
    assert token["patient"] == "pat-a"
    form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"], "client_id": "public-app"}
    renewed = (await server.http.post(f"{server.issuer}/token", data=form)).json()
    assert renewed["patient"] == "pat-a"
    assert (await app.read("/Patient/pat-a", renewed["access_token"])).status_code == 200


@pytest.mark.requirement("WE-1", "CA-5", "CA-6")
async def test_the_published_example_of_an_asymmetric_client_works(server: RunningServer) -> None:
    app = server.app("asymmetric-app")
    assert app.key is ASYMMETRIC_KEY
    code = await server.request_code(app, "launch/patient patient/Observation.rs patient/Patient.rs offline_access")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": app.verifier,
            "client_assertion_type": JWT_BEARER, "client_assertion": app.assertion()}  # fmt: skip
    token = (await server.http.post(f"{server.issuer}/token", data=form)).json()
    assert token["patient"] == "pat-a"
    form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"],
            "client_assertion_type": JWT_BEARER, "client_assertion": app.assertion()}  # fmt: skip
    renewed = await server.http.post(f"{server.issuer}/token", data=form)
    assert renewed.status_code == 200
    assert (await app.read("/Patient/pat-a", renewed.json()["access_token"])).status_code == 200


@pytest.mark.requirement("WE-3", "BS-1", "BS-2", "BS-4", "BS-6", "BS-7", "BS-9")
async def test_the_published_example_of_a_backend_service_works(server: RunningServer) -> None:
    app = server.app("backend")
    form = {"scope": "system/Patient.rs", "grant_type": "client_credentials", "client_assertion_type": JWT_BEARER,
            "client_assertion": app.assertion()}  # fmt: skip
    answer = await server.http.post(f"{server.issuer}/token", data=form)
    assert answer.status_code == 200
    token = answer.json()
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 300, "system/Patient.rs")
    assert "refresh_token" not in token
    for patient in ("pat-a", "pat-b"):
        assert (await app.read(f"/Patient/{patient}", token["access_token"])).status_code == 200
    assert (await app.read("/Observation", token["access_token"])).status_code == 403


@pytest.mark.requirement("A-1")
async def test_a_backend_service_has_nothing_to_ask_a_person(server: RunningServer) -> None:
    response = await server.http.get(server.app("backend").authorization_url("system/Patient.rs"))
    assert response.status_code == 400
    assert "location" not in response.headers
    assert dict(parse_qsl(urlsplit(str(response.url)).query))["client_id"] == "backend"
