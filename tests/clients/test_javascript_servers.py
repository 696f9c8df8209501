"""JavaScript clients on a server complete launch, read, search with paging, and refresh."""

from typing import Any

import pytest

from tests.clients.node import Node
from tests.clients.running_server import SCOPE, Ports
from tests.smart_server.person_in_browser import Person
from tests.smart_server.running_server import ASYMMETRIC_KEY, SECRET, RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

KEY = {**ASYMMETRIC_KEY.as_dict(private=True), "alg": "ES384", "key_ops": ["sign"]}
PROOFS: dict[str, dict[str, Any]] = {
    "js-public": {},
    "js-symmetric": {"secret": SECRET},
    "js-asymmetric": {"jwk": KEY},
}


async def walk(server: RunningServer, node: Node, ports: Ports, script: str, client_id: str, scope: str = SCOPE) -> Any:
    """The result of the app after a standalone launch in which the user signs in and agrees."""
    arguments = {"origin": ports.app_origin, "base": server.base, "issuer": server.issuer, "clientId": client_id,
             "tokenEndpoint": f"{server.issuer}/token", "scope": scope, **PROOFS.get(client_id, {})}  # fmt: skip
    async with node.running(script, arguments):
        sent = await server.http.get(f"{ports.app_origin}/launch")
        assert sent.status_code == 302, sent.text
        result = await server.http.get(await agreed(server.person(), sent.headers["location"]))
        assert result.status_code == 200, result.text
        return result.json()


async def agreed(person: Person, url: str) -> str:
    """Sign in and agree; the redirect URL of the app."""
    page = await person.sign_in(await person.open(url))
    page = await person.agree(await person.choose_patient(page, "pat-a"))
    assert page.left_for is not None
    assert "code" in page.parameters, page.parameters
    return page.left_for


@pytest.mark.parametrize("client_id", [*PROOFS, "js-short"])
async def test_fhirclient_of_npm(server: RunningServer, node: Node, ports: Ports, client_id: str) -> None:
    result = await walk(server, node, ports, "apps/fhirclient.mjs", client_id)
    found = result.pop("found")
    # The library refreshes by itself when a token has less than ten seconds left, and never with a client assertion:
    # an app with a key cannot refresh by it.
    assert result == {
        "patient": "pat-a",
        "pages": 4,
        "scope": result["scope"],
        "renewedAlready": client_id == "js-short",
        "refreshed": "invalid_client" if client_id == "js-asymmetric" else "renewed",
        "again": "pat-a",
        "other": 404,
        "user": "Practitioner/practitioner-1",
    }
    assert set(result["scope"].split()) == set(SCOPE.split())
    assert len(found) == len(set(found)) == 17


@pytest.mark.parametrize("client_id", PROOFS)
async def test_openid_client_and_fhir_kit_client(
    server: RunningServer, node: Node, ports: Ports, client_id: str
) -> None:
    result = await walk(server, node, ports, "apps/openid-client.mjs", client_id)
    assert len(set(result.pop("found"))) == 17
    assert result == {
        "patient": "pat-a",
        "pages": 4,
        "scope": result["scope"],
        "renewed": True,
        "fhirUser": f"{server.base}/Practitioner/practitioner-1",
        "subject": "doctor",
        "introspected": None,
        "after": 401,
    }


@pytest.mark.parametrize("client_id", PROOFS)
async def test_oauth4webapi(server: RunningServer, node: Node, ports: Ports, client_id: str) -> None:
    result = await walk(server, node, ports, "apps/oauth4webapi.mjs", client_id)
    assert len(set(result.pop("found"))) == 17
    assert result == {
        "patient": "pat-a",
        "pages": 4,
        "scope": result["scope"],
        "renewed": True,
        "fhirUser": f"{server.base}/Practitioner/practitioner-1",
        "subject": "doctor",
        "after": {"status": 401, "scheme": "bearer", "error": "invalid_token"},
    }
