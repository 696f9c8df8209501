"""An include does not tell of a hidden record that led to it, and one that a shown record leads to comes along."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.marks import ids_in, leaks
from tests.gateway.running import running_gateway
from tests.gateway.scripted import bundle, record, scripted
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
    medication = record("Medication", "med-of-b", code={"text": f"{B_MARKER} antiretroviral"})
    named = {"medicationReference": {"reference": "Medication/med-of-b"}}
    order = record("MedicationRequest", "mr-of-b", status="active", intent="order", subject=B, **named)
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        for one in (medication, order):
            url = f"{sekmet.base_url}/{one['resourceType']}/{one['id']}"
            (await gateway.client.put(url, json=one)).raise_for_status()
        answer = await gateway.ask(path)
        assert answer.status_code == 200
        assert "Appointment/appointment-of-two" in ids_in(answer)
        assert leaks(answer) == []


def found(*matches: Any, include: Any) -> Any:
    """A page of matches and of one that comes along."""
    page = bundle(*matches)
    page["entry"].append({"resource": include, "search": {"mode": "include"}})
    return page


def observation(name: str, **members: Any) -> Any:
    return record("Observation", name, status="final", code={"text": "x"}, subject=A, **members)


LAB = {"category": [{"coding": [{"code": "lab"}]}]}
COMPANIONS: dict[str, tuple[Resource, dict[str, Any]]] = {
    "_include=Observation:performer": (
        record("Practitioner", "oncologist"),
        {"performer": [{"reference": "Practitioner/oncologist"}]},
    ),
    "_include=Observation:subject": (record("Patient", "pat-a"), {}),
    "_include=Observation:encounter": (
        record("Encounter", "e", subject=A),
        {"encounter": {"reference": "Encounter/e"}},
    ),
}


@pytest.mark.parametrize("query", COMPANIONS)
async def test_what_comes_along_with_hidden_matches_alone_stays_behind(tmp_path: Path, query: str) -> None:
    companion, members = COMPANIONS[query]
    scope = f"{GRANULAR} patient/{companion['resourceType']}.r"
    page = found(observation("hidden", **members), include=companion)
    async with scripted(lambda *_: (200, page, {})) as server, running_gateway(server.base_url, tmp_path) as gateway:
        hidden = await gateway.ask(f"/Observation?code=secret&{query}", scope)
        page = bundle()
        none = await gateway.ask(f"/Observation?code=secret&{query}", scope)
        assert (hidden.status_code, hidden.content) == (200, none.content)
        page = found(observation("hidden", **members), observation("shown", **members, **LAB), include=companion)
        shown = await gateway.ask(f"/Observation?code=secret&{query}", scope)
        assert ids_in(shown, "match") == {"Observation/shown"}
        assert ids_in(shown, "include") == {f"{companion['resourceType']}/{companion['id']}"}


async def test_what_comes_along_unlinked_is_counted_and_rings_no_alarm(tmp_path: Path) -> None:
    page = found(observation("shown"), include=record("Practitioner", "oncologist"))
    async with scripted(lambda *_: (200, page, {})) as server, running_gateway(server.base_url, tmp_path) as gateway:
        answer = await gateway.ask("/Observation?_include=Observation:performer")
        assert ids_in(answer) == {"Observation/shown"}
        told = gateway.seen.records[-1].answer
        assert told is not None
        assert (told.kept, told.dropped, told.misses) == (1, {"Practitioner": 1}, {})


async def test_whoever_sees_everything_is_told_everything(tmp_path: Path) -> None:
    page = found(observation("shown"), include=record("Practitioner", "oncologist"))
    async with scripted(lambda *_: (200, page, {})) as server, running_gateway(server.base_url, tmp_path) as gateway:
        answer = await gateway.ask("/Observation", "system/*.rs")
        assert ids_in(answer) == {"Observation/shown", "Practitioner/oncologist"}
