"""A user with more patients than a URL can name, in front of a real server, whose pages, order and counts remain."""

from pathlib import Path
from typing import Any

import pytest

from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.servers.load import load
from tests.servers.people import PATIENTS
from tests.servers.population import transaction
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet

COMPARTMENTS: Any = {
    "practitioner_reach": "panel",
    "panel": [{"resource_type": "Group", "parameter": "managing-entity", "patient_element": "member.entity"}],
}
USER: Any = {"fhirUser": "Practitioner/practitioner-1", "patient": None}
OWN = sorted(PATIENTS)[:6]


@pytest.fixture
def server() -> Any:
    with start_sekmet() as started:
        yield started


async def collect(gateway: RunningGateway, path: str) -> tuple[list[str], list[int]]:
    """The ids of all pages, and the sizes of the pages."""
    ids: list[str] = []
    sizes: list[int] = []
    following: str | None = path
    while following is not None:
        response = await gateway.request(following.removeprefix(gateway.base_url), "user/*.rs", claims=USER)
        assert response.status_code == 200, response.text
        bundle = response.json()
        page = [entry["resource"]["id"] for entry in bundle.get("entry", [])]
        ids += page
        sizes.append(len(page))
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert all(len(url) < 2048 for url in links.values())
        following = links.get("next")
    return ids, sizes


@pytest.mark.sekmet
async def test_a_search_for_hundreds_of_patients_has_all_pages_in_order(tmp_path: Path, server: Server) -> None:
    absent = [f"a-patient-with-a-long-name-{number}" for number in range(194)]
    members = [{"entity": {"reference": f"Patient/{patient}"}} for patient in (*absent, *OWN)]
    group = {"resourceType": "Group", "id": "ward", "type": "person", "actual": True, "member": members}
    leader = {"managingEntity": {"reference": "Practitioner/practitioner-1"}}
    load(server.base_url, [transaction([{**group, **leader}])])
    narrowed: list[str] = []
    for most, is_narrowed in ((200, True), (199, False)):
        compartments = {**COMPARTMENTS, "max_patients_per_search": most}
        async with running_gateway(server.base_url, tmp_path, compartments=compartments) as gateway:
            assert (await gateway.request("/metadata", None)).status_code == 200
            ids, sizes = await collect(gateway, "/Observation?_count=20&_sort=_id")
            count = await gateway.request("/Observation?_summary=count", "user/*.rs", claims=USER)
            one = await gateway.request(f"/Observation?patient={OWN[0]}&_summary=count", "user/*.rs", claims=USER)
        assert (one.status_code, one.json()["total"]) == (200, sum(name.startswith(f"{OWN[0]}-") for name in ids))
        assert len(set(ids)) == len(ids) > 40
        assert ids == sorted(ids)
        assert count.status_code == (200 if is_narrowed else 403)
        if is_narrowed:
            assert count.json()["total"] == len(ids)
            assert set(sizes[:-1]) == {20}
            narrowed = ids
        assert ids == narrowed
