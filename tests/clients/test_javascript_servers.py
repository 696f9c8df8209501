"""JavaScript clients on a server complete launch, read, search with paging, and refresh."""

from typing import Any

import pytest

from tests.clients.house import SCOPE, Ports
from tests.clients.node import Node
from tests.smart.house import ASYMMETRIC_KEY, SECRET, House
from tests.smart.person import Person

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

KEY = {**ASYMMETRIC_KEY.as_dict(private=True), "alg": "ES384", "key_ops": ["sign"]}
PROOFS: dict[str, dict[str, Any]] = {
    "js-public": {},
    "js-symmetric": {"secret": SECRET},
    "js-asymmetric": {"jwk": KEY},
}


async def walk(house: House, node: Node, ports: Ports, script: str, client_id: str, scope: str = SCOPE) -> Any:
    """What the app tells after its launch: it sends the browser off, a person signs in and agrees, it gets a code."""
    asked = {"origin": ports.app_origin, "base": house.base, "issuer": house.issuer, "clientId": client_id,
             "tokenEndpoint": f"{house.issuer}/token", "scope": scope, **PROOFS.get(client_id, {})}  # fmt: skip
    async with node.running(script, asked):
        sent = await house.http.get(f"{ports.app_origin}/launch")
        assert sent.status_code == 302, sent.text
        told = await house.http.get(await agreed(house.person(), sent.headers["location"]))
        assert told.status_code == 200, told.text
        return told.json()


async def agreed(person: Person, url: str) -> str:
    """The address of the app that the browser ends at."""
    page = await person.sign_in(await person.go(url))
    page = await person.agree(await person.choose(page, "pat-a"))
    assert page.left_for is not None
    assert "code" in page.parameters, page.parameters
    return page.left_for


@pytest.mark.parametrize("client_id", [*PROOFS, "js-short"])
async def test_fhirclient_of_npm(house: House, node: Node, ports: Ports, client_id: str) -> None:
    told = await walk(house, node, ports, "apps/fhirclient.mjs", client_id)
    found = told.pop("found")
    # The library refreshes by itself when a token has less than ten seconds left, and never with a client assertion:
    # an app with a key cannot refresh by it.
    assert told == {
        "patient": "pat-a",
        "pages": 4,
        "scope": told["scope"],
        "renewedAlready": client_id == "js-short",
        "refreshed": "invalid_client" if client_id == "js-asymmetric" else "renewed",
        "again": "pat-a",
        "other": 404,
        "user": "Practitioner/practitioner-1",
    }
    assert set(told["scope"].split()) == set(SCOPE.split())
    assert len(found) == len(set(found)) == 17


@pytest.mark.parametrize("client_id", PROOFS)
async def test_openid_client_and_fhir_kit_client(house: House, node: Node, ports: Ports, client_id: str) -> None:
    told = await walk(house, node, ports, "apps/openid-client.mjs", client_id)
    assert len(set(told.pop("found"))) == 17
    assert told == {
        "patient": "pat-a",
        "pages": 4,
        "scope": told["scope"],
        "renewed": True,
        "fhirUser": f"{house.base}/Practitioner/practitioner-1",
        "subject": "doctor",
        "introspected": None,
        "after": 401,
    }


@pytest.mark.parametrize("client_id", PROOFS)
async def test_oauth4webapi(house: House, node: Node, ports: Ports, client_id: str) -> None:
    told = await walk(house, node, ports, "apps/oauth4webapi.mjs", client_id)
    assert len(set(told.pop("found"))) == 17
    assert told == {
        "patient": "pat-a",
        "pages": 4,
        "scope": told["scope"],
        "renewed": True,
        "fhirUser": f"{house.base}/Practitioner/practitioner-1",
        "subject": "doctor",
        "after": {"status": 401, "scheme": "bearer", "error": "invalid_token"},
    }
