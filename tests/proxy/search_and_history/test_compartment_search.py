"""A search below a compartment shows only what belongs to that compartment, whatever the FHIR server makes of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy.leaked_marks import ids_in
from tests.proxy.pages import ids_on_all_pages
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import bundle, make_resource, scripted_server
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet

A = {"reference": "Patient/pat-a"}
MEMBERS = {
    "Device": ("device", "Device/x"),
    "Encounter": ("encounter", "Encounter/x"),
    "Practitioner": ("performer", "Practitioner/x"),
    "RelatedPerson": ("performer", "RelatedPerson/x"),
}


@pytest.fixture(scope="module")
def sekmet() -> Iterator[Server]:
    with start_sekmet() as server:
        yield server


@pytest.mark.sekmet
@pytest.mark.parametrize("has_compartment_search", [False, True])
@pytest.mark.parametrize("scope", ["patient/*.rs", "system/*.rs"])
async def test_a_device_has_its_own_observations_alone(
    sekmet: Server, tmp_path: Path, scope: str, has_compartment_search: bool
) -> None:
    """Sekmet ignores `device`, which it does not declare, below `Patient/pat-a`."""
    measured = make_resource(
        "Observation", "measured", status="final", code={"text": "x"}, subject=A, device={"reference": "Device/meter"}
    )
    options = {"compartment_search": has_compartment_search}
    async with running_gateway(sekmet.base_url, tmp_path, upstream=options) as gateway:
        (await gateway.client.put(f"{sekmet.base_url}/Observation/measured", json=measured)).raise_for_status()
        (await gateway.request("/metadata", None)).raise_for_status()
        for path, expected in (("meter", {"Observation/measured"}), ("another", set[str]())):
            assert await ids_on_all_pages(gateway, f"/Device/{path}/Observation", scope) == expected
            assert "total" not in (await gateway.request(f"/Device/{path}/Observation", scope)).json()


@pytest.mark.parametrize("has_compartment_search", [False, True])
@pytest.mark.parametrize("scope", ["patient/*.rs", "system/*.rs", "patient/Observation.rs?status=final"])
@pytest.mark.parametrize("compartment", MEMBERS)
async def test_what_a_server_finds_beyond_the_compartment_is_dropped(
    tmp_path: Path, compartment: str, scope: str, has_compartment_search: bool
) -> None:
    element, owner = MEMBERS[compartment]
    reference = {"reference": owner}
    member = {element: [reference] if element == "performer" else reference}
    page = bundle(
        make_resource("Observation", "beyond", status="final", subject=A),
        make_resource("Observation", "member", status="final", subject=A, **member),
    )
    page["total"] = 2
    options = {"compartment_search": has_compartment_search}
    async with (
        scripted_server(lambda *_: (200, page, {})) as server,
        running_gateway(server.base_url, tmp_path, upstream=options) as gateway,
    ):
        (await gateway.request("/metadata", None)).raise_for_status()
        response = await gateway.request(f"/{compartment}/x/Observation", scope)
        assert ids_in(response) == {"Observation/member"}
        assert "total" not in response.json()
        assert gateway.telemetry.records[-1].narrowing_misses == {"Observation": 1}


@pytest.mark.parametrize("scope", ["patient/*.rs", "system/*.rs"])
async def test_all_types_of_a_compartment_are_held_to_it(tmp_path: Path, scope: str) -> None:
    page = bundle(
        make_resource("Observation", "beyond", subject=A),
        make_resource("Observation", "member", subject=A, device={"reference": "Device/x"}),
        make_resource("Condition", "never-in-it", subject=A),
        make_resource("Device", "x", patient=A),
    )
    async with (
        scripted_server(lambda *_: (200, page, {})) as server,
        running_gateway(server.base_url, tmp_path, upstream={"compartment_search": True}) as gateway,
    ):
        response = await gateway.request("/Device/x/*", scope)
        assert ids_in(response) == {"Observation/member", "Device/x"}


async def test_the_whole_compartment_of_the_patient_is_searched_where_the_server_can(tmp_path: Path) -> None:
    own = make_resource("Observation", "own", subject=A)
    async with (
        scripted_server(lambda *_: (200, bundle(own), {})) as server,
        running_gateway(server.base_url, tmp_path, upstream={"compartment_search": True}) as gateway,
    ):
        assert ids_in(await gateway.request("/Patient/pat-a/Observation?code=x")) == {"Observation/own"}
        assert server.requests[-1] == "Patient/pat-a/Observation?code=x"
