"""Pages of a real server reveal nothing by their length."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.leaked_marks import ids_in, link_of
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import make_resource
from tests.servers.people import Resource
from tests.servers.sekmet import start_sekmet

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
PATIENT, BOTH = "patient/*.rs", "openid fhirUser patient/*.rs user/*.rs"


@pytest.fixture(scope="module")
def sekmet() -> Iterator[str]:
    with start_sekmet() as server:
        yield server.base_url


OF_SEKMET = {
    "a value that another may have": (
        "/Observation?subject=Patient/pat-a,Patient/pat-b&code=known,{guess}&_id=x-1,x-2,x-3&_count=2&_sort=_id",
        ("hiv", "hepatitis"),
        BOTH,
    ),
    "provenances by their targets": (
        "/Provenance?target=Observation/x-1,Observation/{guess},Observation/x-3&_count=2&_sort=_id",
        ("x-2", "absent"),
        PATIENT,
    ),
    "provenances by their agent": (
        "/Provenance?target:missing=false&agent=Practitioner/zed,Practitioner/{guess}&_count=2&_sort=_id",
        ("of-b", "absent"),
        PATIENT,
    ),
}


@pytest.mark.sekmet
@pytest.mark.parametrize(("path", "guesses", "scope"), OF_SEKMET.values(), ids=OF_SEKMET)
async def test_a_real_server_tells_nothing_by_the_length_of_a_page(
    sekmet: str, tmp_path: Path, path: str, guesses: tuple[str, str], scope: str
) -> None:
    reach: dict[str, Any] = {"compartments": {"practitioner_reach": "compartment"}}
    async with running_gateway(sekmet, tmp_path, **reach) as gateway:
        for resource in sekmet_resources():
            url = f"{sekmet}/{resource['resourceType']}/{resource['id']}"
            (await gateway.client.put(url, json=resource)).raise_for_status()
        results = []
        for guess in guesses:
            found = path.format(guess=guess)
            response = await gateway.request(
                found, scope, claims={"fhirUser": "Practitioner/p"} if scope is BOTH else {}
            )
            assert response.status_code == 200, response.text
            results.append((ids_in(response), link_of(response, "next")))
        assert len(results[0][0]) == 2
        assert results[0] == results[1]


def sekmet_resources() -> Iterator[Resource]:
    """Two records of A's with one of B's between them, and who wrote them down."""
    yield make_resource("Practitioner", "zed")
    yield make_resource("Practitioner", "of-b")
    for name, owner, code, who in (("x-1", A, "known", "zed"), ("x-2", B, "hiv", "of-b"), ("x-3", A, "known", "zed")):
        yield make_resource("Observation", name, status="final", code={"coding": [{"code": code}]}, subject=owner)
        agent = [{"who": {"reference": f"Practitioner/{who}"}}]
        target = [{"reference": f"Observation/{name}"}]
        yield make_resource("Provenance", f"of-{name}", target=target, recorded="2024-01-01T00:00:00Z", agent=agent)
