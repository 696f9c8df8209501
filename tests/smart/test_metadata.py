"""`/metadata` for apps that know nothing else: our OAuth addresses, never the FHIR server's own (D-26)."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.gateway.running import served
from tests.servers.process import free_port
from tests.smart.house import House, smart_house

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
    """The FHIR server's own authorization server, as it tells of it."""
    uris = [{"url": name, "valueUri": f"{OF_THE_SERVER}/{name}"} for name in NAMES]
    return {"url": EXTENSION, "extension": uris}


def statement() -> dict[str, Any]:
    """A statement with OAuth addresses in every place where servers are known to put them, and in some more."""
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


async def one_statement(scope: Any, receive: Any, send: Any) -> None:
    """A FHIR server that knows nothing but its statement."""
    headers = [(b"content-type", b"application/fhir+json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(statement()).encode()})


@contextlib.asynccontextmanager
async def before_another_authorization_server(**changes: Any) -> AsyncIterator[House]:
    """A house before a FHIR server that tells of an authorization server of its own."""
    port = free_port()
    async with (
        served(one_statement, port),
        smart_house(
            f"http://127.0.0.1:{port}/fhir", change=lambda settings: settings["smart_server"].update(changes)
        ) as house,
    ):
        yield house


@pytest.mark.requirement("D-26", "edge-2")
@pytest.mark.parametrize("registration", [False, True], ids=["closed", "with registration"])
async def test_the_statement_names_our_addresses_and_none_of_the_servers(registration: bool) -> None:
    async with before_another_authorization_server(registration=registration) as house:
        answer = await house.http.get(f"{house.base}/metadata")
        document = (await house.http.get(f"{house.base}/.well-known/smart-configuration")).json()
    assert OF_THE_SERVER not in answer.text
    assert "internal.example" not in answer.text
    expected = {name: document[key] for name, key in NAMES.items() if key in document}
    assert ("register" in expected) is registration
    for rest in answer.json()["rest"]:
        (extension,) = rest["security"]["extension"]
        assert extension["url"] == EXTENSION
        assert {one["url"]: one["valueUri"] for one in extension["extension"]} == expected


@pytest.mark.requirement("D-26", "CO-1", "suite-D5")
async def test_service_and_addresses_stand_in_the_same_first_rest(house: House) -> None:
    """Old clients look into `rest[0]` alone, and want JSON whatever they ask for (clients-and-suites.md)."""
    answer = await house.http.get(f"{house.base}/metadata", headers={"origin": "https://anywhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"].startswith("application/fhir+json")
    security = answer.json()["rest"][0]["security"]
    codes = {coding["code"] for service in security["service"] for coding in service["coding"]}
    assert codes == {"SMART-on-FHIR"}
    (extension,) = [one for one in security["extension"] if one["url"] == EXTENSION]
    document = (await house.http.get(f"{house.base}/.well-known/smart-configuration")).json()
    uris = {one["url"]: one["valueUri"] for one in extension["extension"]}
    assert uris == {name: document[key] for name, key in NAMES.items() if key in document}
