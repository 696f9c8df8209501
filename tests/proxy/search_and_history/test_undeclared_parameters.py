"""Searches of types for which the FHIR server declares no parameter for the patient: found, verified, never counted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.fhir.resources.compartments import find_narrowing_parameter
from gateway.scopes.resource_types import RESOURCE_TYPES
from tests.proxy.leaked_marks import find_leaks, ids_in, link_of, refusal_reason
from tests.proxy.pages import ids_on_all_pages
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.scripted_server import bundle, make_resource, scripted_server
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet
from tests.telemetry.log_lines import log_lines

OWN = {"CareTeam/pat-a-careteam"}
REFUSE = {"search_without_narrowing": "refuse"}


@pytest.fixture(scope="module")
def sekmet() -> Iterator[Server]:
    with start_sekmet() as server:
        yield server


async def read_statement(gateway: RunningGateway) -> dict[str, Any]:
    """The server's statement, which the gateway has read as well when this returns."""
    response = await gateway.request("/metadata", None)
    statement: dict[str, Any] = response.raise_for_status().json()
    return statement


@pytest.mark.sekmet
async def test_every_type_of_the_compartment_can_be_searched(sekmet: Server, tmp_path: Path) -> None:
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        declared = {resource["type"] for resource in (await read_statement(gateway))["rest"][0]["resource"]}
        undeclared = [name for name in sorted(RESOURCE_TYPES - declared) if find_narrowing_parameter("Patient", name)]
        assert {"Goal", "CareTeam", "Person", "MeasureReport", "List"} <= set(undeclared)
        for resource_type in undeclared:
            for query in ("", f"?{find_narrowing_parameter('Patient', resource_type)}=Patient/pat-a"):
                response = await gateway.request(f"/{resource_type}{query}")
                assert (resource_type, query, response.status_code) == (resource_type, query, 200)
                assert find_leaks(response) == []
                assert "total" not in response.json()


FOUND = {
    "everything": ("/CareTeam", OWN),
    "a short page": ("/CareTeam?_count=1", OWN),
    "the patient, as apps ask": ("/CareTeam?patient=pat-a", OWN),
    "the patient by type and id": ("/CareTeam?patient=Patient/pat-a", OWN),
    "the patient by another name": ("/CareTeam?subject=Patient/pat-a", OWN),
    "the patient among others": ("/CareTeam?patient=pat-b,pat-a", OWN),
    "a compartment": ("/Patient/pat-a/CareTeam", OWN),
    "its id": ("/CareTeam?_id=pat-a-careteam", OWN),
    "another's id": ("/CareTeam?_id=pat-b-careteam", set[str]()),
    "another patient": ("/CareTeam?patient=pat-b", set[str]()),
    "another compartment": ("/Patient/pat-b/CareTeam", set[str]()),
    "the patient and another one": ("/CareTeam?patient=pat-a&subject=Patient/pat-b", set[str]()),
    "what only a parameter beside the first one declares": ("/Basic?patient=pat-a", set[str]()),
}


@pytest.mark.sekmet
@pytest.mark.parametrize("has_compartment_search", [False, True])
@pytest.mark.parametrize(("path", "expected"), FOUND.values(), ids=FOUND)
async def test_a_search_that_cannot_be_narrowed_finds_for(
    sekmet: Server, tmp_path: Path, path: str, expected: set[str], has_compartment_search: bool
) -> None:
    options = {"compartment_search": has_compartment_search}
    async with running_gateway(sekmet.base_url, tmp_path, upstream=options) as gateway:
        await read_statement(gateway)
        assert await ids_on_all_pages(gateway, path) == expected


@pytest.mark.sekmet
async def test_a_compartment_is_kept_to_for_a_token_that_sees_everything(sekmet: Server, tmp_path: Path) -> None:
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        await read_statement(gateway)
        assert ids_in(await gateway.request("/Patient/pat-b/CareTeam", "system/*.rs")) == {"CareTeam/pat-b-careteam"}


REFUSED = {
    "a count": ("/CareTeam?_summary=count", 403, "count_not_exact"),
    "no entries": ("/CareTeam?_count=0", 403, "count_not_exact"),
    "a count in a compartment": ("/Patient/pat-a/CareTeam?_summary=count", 403, "count_not_exact"),
    "another parameter that the server does not declare": ("/CareTeam?status=active", 400, "upstream_rejected"),
    "a modifier": ("/CareTeam?patient:missing=false", 400, "upstream_rejected"),
    "a chain": ("/CareTeam?patient.name=x", 403, "parameter_out_of_reach"),
}


@pytest.mark.sekmet
@pytest.mark.parametrize(("path", "status", "reason"), REFUSED.values(), ids=REFUSED)
async def test_a_search_that_cannot_be_narrowed_is_refused_for(
    sekmet: Server, tmp_path: Path, path: str, status: int, reason: str
) -> None:
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        await read_statement(gateway)
        response = await gateway.request(path)
        assert (response.status_code, refusal_reason(response)) == (status, reason)


@pytest.mark.sekmet
async def test_below_a_compartment_nothing_is_ignored_that_the_server_does_not_know(
    sekmet: Server, tmp_path: Path
) -> None:
    """Sekmet ignores an unknown parameter below `Patient/pat-a`, and refuses it elsewhere."""
    async with running_gateway(sekmet.base_url, tmp_path, upstream={"compartment_search": True}) as gateway:
        await read_statement(gateway)
        response = await gateway.request("/Observation?device=Device/none")
        assert (response.status_code, refusal_reason(response)) == (400, "upstream_rejected")


@pytest.mark.sekmet
async def test_what_cannot_be_narrowed_is_refused_by_option(
    sekmet: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_gateway(sekmet.base_url, tmp_path, compartments=REFUSE) as gateway:
        await read_statement(gateway)
        for path in ("/CareTeam", "/CareTeam?patient=pat-a", "/Patient/pat-a/CareTeam", "/?_type=CareTeam,Condition"):
            response = await gateway.request(path)
            assert (path, response.status_code) == (path, 403)
            assert refusal_reason(response) == "search_not_narrowed"
        for path in ("/CareTeam?_id=pat-a-careteam", "/Observation", "/Patient", "/Practitioner?_id=x", "/Basic"):
            assert (await gateway.request(path)).status_code == 200
        assert (await gateway.request("/CareTeam", "system/CareTeam.rs")).status_code == 200
    warnings = [line for line in log_lines(caplog) if "resource_types" in line]
    assert [line["consequence"] for line in warnings] == ["their searches are refused"]


@pytest.mark.sekmet
async def test_the_operator_is_told_once_of_the_types(
    sekmet: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        await read_statement(gateway)
        await gateway.request("/Goal")
    (warning,) = [line for line in log_lines(caplog) if "resource_types" in line]
    assert {"Goal", "CareTeam", "List"} <= set(warning["resource_types"])
    assert not {"Observation", "Basic", "Practitioner", "Patient"} & set(warning["resource_types"])


async def test_until_the_statement_is_known_every_search_is_narrowed(tmp_path: Path) -> None:
    own = make_resource("Goal", "own", subject={"reference": "Patient/pat-a"})
    async with (
        scripted_server(lambda *_: (200, bundle(own), {})) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        assert ids_in(await gateway.request("/Goal")) == {"Goal/own"}
        assert server.requests[-1] == "Goal?patient=Patient/pat-a"


@pytest.mark.sekmet
async def test_a_short_page_is_filled_from_longer_ones_of_the_server(sekmet: Server, tmp_path: Path) -> None:
    """A's own list stands behind those of others, and A has three more."""
    names = [f"zz-{number}" for number in range(3)]
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        for name in names:
            own = make_resource("List", name, status="current", mode="working", subject={"reference": "Patient/pat-a"})
            (await gateway.client.put(f"{sekmet.base_url}/List/{name}", json=own)).raise_for_status()
        await read_statement(gateway)
        found: list[set[str]] = []
        path: str | None = "/List?_count=1"
        while path is not None:
            response = (await gateway.request(path)).raise_for_status()
            found.append(ids_in(response))
            next_url = link_of(response, "next")
            path = None if next_url is None else next_url.removeprefix(gateway.base_url)
        expected = {"List/pat-a-list", *(f"List/{name}" for name in names)}
        assert [len(page) for page in found] == [1] * len(expected)
        assert set().union(*found) == expected
