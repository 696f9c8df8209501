"""The public documents: health checks, the SMART configuration and the CapabilityStatement."""

from pathlib import Path

import pytest

from tests.proxy.responses.response_gateways import AUTHORIZATION_SERVER, DISCOVERY, ResponseGateways
from tests.proxy.running_gateway import ISSUER, RunningGateway, running_gateway
from tests.servers.ports import free_port
from tests.servers.process import Server

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]


async def test_the_gateway_is_alive_always_and_ready_with_its_server(
    gateways: ResponseGateways, sekmet: Server, tmp_path: Path
) -> None:
    root = gateways.gateway.base_url.removesuffix("/fhir")
    client = gateways.gateway.client
    alive, ready = [await client.get(f"{root}/{name}") for name in ("healthz", "readyz")]
    assert (alive.status_code, alive.text, ready.status_code, ready.text) == (200, "alive\n", 200, "ready\n")
    async with running_gateway(f"http://127.0.0.1:{free_port()}/fhir", tmp_path) as lonely:
        root = lonely.base_url.removesuffix("/fhir")
        alive, ready = [await client.get(f"{root}/{name}") for name in ("healthz", "readyz")]
    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.text == "not ready: upstream_unreachable\n"


@pytest.mark.requirement("D-1", "D-2", "D-3", "D-4", "edge-1")
async def test_the_smart_configuration_is_json_for_everyone(gateway: RunningGateway) -> None:
    """D-1 to D-4: below the FHIR base, without a token, JSON regardless of Accept, absolute endpoints."""
    plain = await gateway.request(DISCOVERY, None)
    document = plain.json()
    assert plain.headers["content-type"] == "application/json"
    for accept in ("text/html", "application/fhir+xml", "*/*", ""):
        response = await gateway.request(
            DISCOVERY, None, headers={"accept": accept, "authorization": "Bearer nonsense"}
        )
        assert (response.status_code, response.content) == (200, plain.content)
        assert response.headers["content-type"] == "application/json"
    endpoints = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
    assert len(endpoints) == 6
    assert all(value.startswith("https://") for value in endpoints.values())
    assert {name: document[name] for name in AUTHORIZATION_SERVER} == AUTHORIZATION_SERVER
    assert document["grant_types_supported"] == ["authorization_code"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert not any(value is None for value in document.values())
    assert (await gateway.request(DISCOVERY, None, method="POST")).status_code == 405


@pytest.mark.requirement("D-10", "edge-3")
async def test_the_smart_configuration_always_lists_its_capabilities(sekmet: Server, tmp_path: Path) -> None:
    """D-10: an array of strings, even if it is empty; unknown members are omitted, never null."""
    server = {"token_endpoint": f"{ISSUER}/token", "grant_types_supported": ["client_credentials"]}
    async with running_gateway(sekmet.base_url, tmp_path, authorization_server=server) as gateway:
        document = (await gateway.request(DISCOVERY, None)).json()
    assert document["capabilities"] == []
    assert "issuer" not in document
    assert "authorization_endpoint" not in document


async def test_the_capability_statement_says_what_this_gateway_lets_through(gateway: RunningGateway) -> None:
    response = await gateway.request("/metadata", None)
    statement = response.json()
    assert statement["implementation"]["url"] == gateway.base_url
    assert (statement["format"], statement["patchFormat"]) == (
        ["application/fhir+json", "json"],
        ["application/json-patch+json"],
    )
    (rest,) = statement["rest"]
    service = rest["security"]["service"][0]["coding"][0]
    assert (service["code"], rest["security"]["cors"]) == ("SMART-on-FHIR", True)
    assert {operation["name"] for operation in rest.get("operation", [])} <= {"export"}
    reading = {"read", "vread", "history-instance", "history-type", "search-type"}
    writing = {"create", "update", "patch", "delete"}
    for resource in rest["resource"]:
        assert {interaction["code"] for interaction in resource["interaction"]} <= reading | writing
        assert {operation["name"] for operation in resource.get("operation", [])} <= {"everything", "export"}
    system = {"history-system", "search-system", "batch", "transaction"}
    assert {interaction["code"] for interaction in rest["interaction"]} <= system


@pytest.mark.requirement("D-26")
async def test_the_oauth_uris_are_those_of_the_smart_configuration(gateway: RunningGateway) -> None:
    statement = (await gateway.request("/metadata", None)).json()
    document = (await gateway.request(DISCOVERY, None)).json()
    (extension,) = statement["rest"][0]["security"]["extension"]
    uris = {uri["url"]: uri["valueUri"] for uri in extension["extension"]}
    assert extension["url"].endswith("/oauth-uris")
    names = {"authorize": "authorization", "token": "token", "revoke": "revocation", "introspect": "introspection"}
    assert uris == {
        **{name: document[f"{endpoint}_endpoint"] for name, endpoint in names.items()},
        "manage": document["management_endpoint"],
    }
