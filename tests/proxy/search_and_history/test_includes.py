"""An include does not reveal a hidden match that led to it; includes of visible matches are returned."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.leaked_marks import find_leaks, ids_in
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import bundle, make_resource, scripted_server
from tests.servers.people import B_MARKER, Resource
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
# Two constraints that differ cannot be narrowed: an honest server finds what neither permits.
GRANULAR = "patient/Observation.rs?category=lab patient/Observation.rs?status=amended"
THROUGH = {
    "an appointment that is shared": (
        "/Appointment?_id=appointment-of-two&_include=Appointment:actor"
        "&_revinclude:iterate=MedicationRequest:patient&_include:iterate=MedicationRequest:medication"
    ),
    "an appointment that comes back to the patient": (
        "/Patient?_id=pat-a&_revinclude=Appointment:actor&_include:iterate=Appointment:actor"
        "&_revinclude:iterate=MedicationRequest:subject&_include:iterate=MedicationRequest:medication"
    ),
}


@pytest.fixture(scope="module")
def sekmet() -> Iterator[Server]:
    with start_sekmet() as server:
        yield server


@pytest.mark.sekmet
@pytest.mark.parametrize("path", THROUGH.values(), ids=THROUGH)
async def test_nothing_of_another_comes_through(sekmet: Server, tmp_path: Path, path: str) -> None:
    medication = make_resource("Medication", "med-of-b", code={"text": f"{B_MARKER} antiretroviral"})
    named = {"medicationReference": {"reference": "Medication/med-of-b"}}
    order = make_resource("MedicationRequest", "mr-of-b", status="active", intent="order", subject=B, **named)
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        for resource in (medication, order):
            url = f"{sekmet.base_url}/{resource['resourceType']}/{resource['id']}"
            (await gateway.client.put(url, json=resource)).raise_for_status()
        response = await gateway.request(path)
        assert response.status_code == 200
        assert "Appointment/appointment-of-two" in ids_in(response)
        assert find_leaks(response) == []


@pytest.mark.sekmet
async def test_leak_31_a_hidden_result_does_not_show_by_what_it_brings_along(sekmet: Server, tmp_path: Path) -> None:
    """A's report refers to the visit as well, but nobody asked for what the report refers to by that element."""
    visit = {"reference": "Encounter/visit"}
    observed = {"status": "final", "code": {"text": "x"}}
    stored = [
        make_resource("Encounter", "visit", status="finished", subject=A, **{"class": {"code": "AMB"}}),
        make_resource("Observation", "result-of-b", subject=B, encounter=visit, **observed),
        make_resource(
            "DiagnosticReport", "report", subject=A, encounter=visit,
            result=[{"reference": "Observation/result-of-b"}], **observed,
        ),
    ]  # fmt: skip
    through = "/DiagnosticReport?_id=report&_include=DiagnosticReport:result&_include:iterate=Observation:encounter"
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        for resource in stored:
            url = f"{sekmet.base_url}/{resource['resourceType']}/{resource['id']}"
            (await gateway.client.put(url, json=resource)).raise_for_status()
        sent = (await gateway.client.get(f"{sekmet.base_url}{through}")).json()
        assert "visit" in {entry["resource"]["id"] for entry in sent["entry"]}
        assert ids_in(await gateway.request(through)) == {"DiagnosticReport/report"}
        direct = await gateway.request(f"{through}&_include=DiagnosticReport:encounter")
        assert ids_in(direct) == {"DiagnosticReport/report", "Encounter/visit"}


async def test_leak_31_a_hidden_result_does_not_bring_its_focus_along(tmp_path: Path) -> None:
    report = make_resource("DiagnosticReport", "own", subject=A, result=[{"reference": "Observation/of-b"}])
    hidden = make_resource("Observation", "of-b", subject=B, focus=[A])
    page = search_page(report, include=hidden)
    page["entry"].append({"resource": make_resource("Patient", "pat-a"), "search": {"mode": "include"}})
    query = "_id=own&_include=DiagnosticReport:result&_include:iterate=Observation:focus"
    async with (
        scripted_server(lambda *_: (200, page, {})) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        assert ids_in(await gateway.request(f"/DiagnosticReport?{query}")) == {"DiagnosticReport/own"}


async def test_an_include_by_a_parameter_that_cannot_be_evaluated_is_left_out(tmp_path: Path) -> None:
    page = search_page(observation("shown", bed=A), include=make_resource("Patient", "pat-a"))
    extra = {"extra_search_parameters": {"Observation": {"bed": "reference"}}}
    async with (
        scripted_server(lambda *_: (200, page, {})) as server,
        running_gateway(server.base_url, tmp_path, upstream=extra) as gateway,
    ):
        response = await gateway.request("/Observation?_include=Observation:bed")
        assert ids_in(response) == {"Observation/shown"}
        assert "_include=Observation:bed (a parameter that R4 does not define cannot be verified)" in response.text
        assert not [request for request in server.requests if "bed" in request]
        await gateway.request("/Observation?_include=Observation:bed", "system/*.rs")
        assert server.requests[-1] == "Observation?_include=Observation:bed"


def search_page(*matches: Any, include: Any) -> Any:
    """A page of matches and one include."""
    page = bundle(*matches)
    page["entry"].append({"resource": include, "search": {"mode": "include"}})
    return page


def observation(name: str, **members: Any) -> Any:
    return make_resource("Observation", name, status="final", code={"text": "x"}, subject=A, **members)


LAB = {"category": [{"coding": [{"code": "lab"}]}]}
COMPANIONS: dict[str, tuple[Resource, dict[str, Any]]] = {
    "_include=Observation:performer": (
        make_resource("Practitioner", "oncologist"),
        {"performer": [{"reference": "Practitioner/oncologist"}]},
    ),
    "_include=Observation:subject": (make_resource("Patient", "pat-a"), {}),
    "_include=Observation:encounter": (
        make_resource("Encounter", "e", subject=A),
        {"encounter": {"reference": "Encounter/e"}},
    ),
}


@pytest.mark.parametrize("query", COMPANIONS)
async def test_what_comes_along_with_hidden_matches_alone_stays_behind(tmp_path: Path, query: str) -> None:
    companion, members = COMPANIONS[query]
    scope = f"{GRANULAR} patient/{companion['resourceType']}.r"
    page = search_page(observation("hidden", **members), include=companion)
    async with (
        scripted_server(lambda *_: (200, page, {})) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        hidden = await gateway.request(f"/Observation?code=secret&{query}", scope)
        page = bundle()
        none = await gateway.request(f"/Observation?code=secret&{query}", scope)
        assert (hidden.status_code, hidden.content) == (200, none.content)
        page = search_page(observation("hidden", **members), observation("shown", **members, **LAB), include=companion)
        shown = await gateway.request(f"/Observation?code=secret&{query}", scope)
        assert ids_in(shown, "match") == {"Observation/shown"}
        assert ids_in(shown, "include") == {f"{companion['resourceType']}/{companion['id']}"}


async def test_what_comes_along_unlinked_is_counted_and_rings_no_alarm(tmp_path: Path) -> None:
    page = search_page(observation("shown"), include=make_resource("Practitioner", "oncologist"))
    async with (
        scripted_server(lambda *_: (200, page, {})) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        response = await gateway.request("/Observation?_include=Observation:performer")
        assert ids_in(response) == {"Observation/shown"}
        record = gateway.telemetry.records[-1]
        assert (record.kept, record.dropped, record.narrowing_misses) == (1, {"Practitioner": 1}, {})


async def test_whoever_sees_everything_is_told_everything(tmp_path: Path) -> None:
    page = search_page(observation("shown"), include=make_resource("Practitioner", "oncologist"))
    async with (
        scripted_server(lambda *_: (200, page, {})) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        response = await gateway.request("/Observation", "system/*.rs")
        assert ids_in(response) == {"Observation/shown", "Practitioner/oncologist"}
