"""`/metadata` has our OAuth URLs, never those of the FHIR server (D-26)."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.proxy.running_gateway import serve_on
from tests.servers.ports import free_port
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

EXTENSION = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
NAMES = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "register": "registration_endpoint",
    "manage": "management_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
}
OF_THE_SERVER = "https://oauth.of-the-fhir-server.example"


def oauth_extension() -> dict[str, Any]:
    """The OAuth extension of the FHIR server for its own authorization server."""
    uris = [{"url": name, "valueUri": f"{OF_THE_SERVER}/{name}"} for name in NAMES]
    return {"url": EXTENSION, "extension": uris}


def capability_statement() -> dict[str, Any]:
    """A CapabilityStatement with OAuth URLs in every place where servers put them."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{OF_THE_SERVER}</div>'},
        "extension": [oauth_extension()],
        "implementation": {"description": "A server", "url": "http://internal.example/fhir"},
        "rest": [
            {
                "mode": "server",
                "extension": [oauth_extension()],
                "security": {
                    "extension": [
                        {"url": EXTENSION.replace("oauth-uris", "capabilities"), "valueCode": "launch-ehr"},
                        oauth_extension(),
                    ],
                    "service": [{"text": f"OAuth2 at {OF_THE_SERVER}"}],
                    "description": f"See {OF_THE_SERVER}",
                },
                "resource": [{"type": "Patient", "interaction": [{"code": "read"}]}],
            },
            {"mode": "server", "security": {"extension": [oauth_extension()]}},
        ],
    }


async def serve_capability_statement(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that serves only the CapabilityStatement."""
    headers = [(b"content-type", b"application/fhir+json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(capability_statement()).encode()})


@contextlib.asynccontextmanager
async def before_another_authorization_server(**changes: Any) -> AsyncIterator[RunningServer]:
    """A server in front of a FHIR server that has its own authorization server."""
    port = free_port()
    async with (
        serve_on(serve_capability_statement, port),
        run_smart_server(
            f"http://127.0.0.1:{port}/fhir", change=lambda settings: settings["smart_server"].update(changes)
        ) as server,
    ):
        yield server


@pytest.mark.requirement("D-26", "edge-2")
@pytest.mark.parametrize("registration", [False, True], ids=["closed", "with registration"])
async def test_the_statement_names_our_addresses_and_none_of_the_servers(registration: bool) -> None:
    async with before_another_authorization_server(registration=registration) as server:
        answer = await server.http.get(f"{server.base}/metadata")
        document = (await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()
    assert OF_THE_SERVER not in answer.text
    assert "internal.example" not in answer.text
    expected = {name: document[key] for name, key in NAMES.items() if key in document}
    assert ("register" in expected) is registration
    for rest in answer.json()["rest"]:
        (extension,) = rest["security"]["extension"]
        assert extension["url"] == EXTENSION
        assert {member["url"]: member["valueUri"] for member in extension["extension"]} == expected


@pytest.mark.requirement("D-26", "CO-1", "suite-D5")
async def test_service_and_addresses_stand_in_the_same_first_rest(server: RunningServer) -> None:
    """Old clients read only `rest[0]`, and want JSON for any Accept header (clients-and-suites.md)."""
    answer = await server.http.get(f"{server.base}/metadata", headers={"origin": "https://anywhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"].startswith("application/fhir+json")
    security = answer.json()["rest"][0]["security"]
    codes = {coding["code"] for service in security["service"] for coding in service["coding"]}
    assert codes == {"SMART-on-FHIR"}
    (extension,) = [member for member in security["extension"] if member["url"] == EXTENSION]
    document = (await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()
    uris = {member["url"]: member["valueUri"] for member in extension["extension"]}
    assert uris == {name: document[key] for name, key in NAMES.items() if key in document}
