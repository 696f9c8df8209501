"""The patients of a panel: only resources that name the practitioner count, whatever the server finds."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.fhir.reference import Reference
from gateway.policy.permission.reach import CompartmentSet
from gateway.proxy.build import build_fhir_server, build_page_links, build_user_compartments
from gateway.proxy.fhir_server import UPSTREAM_HEADERS
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.settings.model import Settings
from gateway.upstream.build import build_authentication, build_connection_pool, build_exchange
from gateway.upstream.documents.control_client import ControlClient
from tests.proxy import scripted_server as scripted_module
from tests.proxy.leaked_marks import is_refused
from tests.proxy.running_gateway import ISSUER, running_gateway
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.people import Resource

PANEL: Any = {
    "practitioner_reach": "panel",
    "panel": [{"resource_type": "CareTeam", "parameter": "participant", "patient_element": "subject"}],
}
USER = {"fhirUser": "Practitioner/p", "patient": None}


def care_team(member: str, patient: str) -> Resource:
    participant = [{"member": {"reference": member}}]
    return make_resource("CareTeam", "team", status="active", subject={"reference": patient}, participant=participant)


OURS = care_team("Practitioner/p", "Patient/pat-b")
THEIRS = care_team("Practitioner/q", "Patient/pat-b")
WITHOUT = make_resource("CareTeam", "team", status="active", subject={"reference": "Patient/pat-b"})
TEAMS = {
    "a team that names the practitioner": ([OURS], 200),
    "a team of another practitioner": ([THEIRS], 403),
    "a team that names nobody": ([WITHOUT], 403),
    "another's team beside the practitioner's own": ([THEIRS, OURS], 200),
    "a record of another type": ([{**OURS, "resourceType": "Group"}], 403),
}


@pytest.mark.parametrize(("teams", "status"), TEAMS.values(), ids=TEAMS)
async def test_a_patient_is_on_the_panel_by_a_record_that_names_the_practitioner(
    tmp_path: Path, teams: list[Resource], status: int
) -> None:
    """A server that ignores `participant` finds all teams."""

    def script(path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        if path == "CareTeam":
            return 200, bundle(*teams), {}
        return (200, make_resource("Patient", "pat-b"), {}) if path == "Patient/pat-b" else ABSENT

    async with (
        scripted_server(script) as server,
        running_gateway(server.base_url, tmp_path, compartments=PANEL) as gateway,
    ):
        assert (await gateway.request("/Patient/pat-b", "user/*.rs", claims=USER)).status_code == status


@pytest.mark.parametrize(("policy", "status"), [("allow", 200), ("refuse", 502)])
async def test_a_server_that_does_not_know_the_parameter_is_asked_for_all_teams_where_that_is_allowed(
    tmp_path: Path, policy: str, status: int
) -> None:
    def script(path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        if path == "CareTeam":
            return (400, ABSENT[1], {}) if "participant" in query else (200, bundle(THEIRS, OURS), {})
        return (200, make_resource("Patient", "pat-b"), {}) if path == "Patient/pat-b" else ABSENT

    compartments = {**PANEL, "search_without_narrowing": policy}
    async with (
        scripted_server(script) as server,
        running_gateway(server.base_url, tmp_path, compartments=compartments) as gateway,
    ):
        assert (await gateway.request("/Patient/pat-b", "user/*.rs", claims=USER)).status_code == status


REJECTIONS = [400, 404, 405, 410, 422, 501]
LOOK_UPS: dict[str, tuple[Any, str]] = {
    "the panel of a practitioner": (PANEL, "Practitioner/p"),
    "the practitioner of a role": ({"practitioner_reach": "compartment"}, "PractitionerRole/r"),
    "the patient of a related person": ({}, "RelatedPerson/r"),
}


@pytest.mark.parametrize("status", REJECTIONS)
@pytest.mark.parametrize(("compartments", "user"), LOOK_UPS.values(), ids=LOOK_UPS)
async def test_a_look_up_that_the_server_rejects_is_no_mistake_of_the_app(
    tmp_path: Path, compartments: Any, user: str, status: int
) -> None:
    """The app asked for something else: it is told neither that it is wrong, nor that what it asked for is absent."""
    async with (
        scripted_server(lambda *_: (status, ABSENT[1], {})) as server,
        running_gateway(server.base_url, tmp_path, compartments=compartments) as gateway,
    ):
        response = await gateway.request("/Patient/pat-b", "user/*.rs", claims={"fhirUser": user, "patient": None})
        absent_user = status in {404, 410} and user != "Practitioner/p"
        assert is_refused(response, *((403, "user_reach_unknown") if absent_user else (502, "upstream_failed")))


@pytest.mark.parametrize("status", REJECTIONS)
async def test_a_server_that_rejects_the_request_for_its_statement_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(scripted_module, "STATEMENT", (status, ABSENT[1], {}))
    async with scripted_server(lambda *_: ABSENT) as server, running_gateway(server.base_url, tmp_path) as gateway:
        assert is_refused(await gateway.request("/metadata", None), 502, "upstream_failed")


PRACTITIONER, PATIENT = {"reference": "Practitioner/p"}, {"reference": "Patient/pat-b"}
GROUP = make_resource("Group", "g", managingEntity=PRACTITIONER, member=[{"entity": PATIENT}])
LIST = make_resource("List", "l", status="current", source=PRACTITIONER, entry=[{"item": PATIENT}])
VISIT = make_resource(
    "Encounter", "e", status="in-progress", subject=PATIENT, participant=[{"individual": PRACTITIONER}]
)
APPOINTMENT = make_resource(
    "Appointment",
    "a",
    status="booked",
    participant=[{"actor": PRACTITIONER, "status": "accepted"}, {"actor": PATIENT, "status": "accepted"}],
)
SEARCHES: Any = [
    {"resource_type": "Group", "parameter": "managing-entity", "patient_element": "member.entity"},
    {"resource_type": "List", "parameter": "source", "patient_element": "entry.item"},
    {
        "resource_type": "Encounter",
        "parameter": "practitioner",
        "patient_element": "subject",
        "criteria": {"status": "in-progress"},
    },
    {"resource_type": "Appointment", "parameter": "practitioner", "patient_element": "participant.actor"},
]
MEMBERSHIPS: dict[str, tuple[Resource, int]] = {
    "a group that the practitioner leads": (GROUP, 200),
    "a group of which the patient is an inactive member": (
        {**GROUP, "member": [{"entity": PATIENT, "inactive": True}]},
        403,
    ),
    "a group that is not active": ({**GROUP, "active": False}, 403),
    "the practitioner's list": (LIST, 200),
    "a list from which the patient was deleted": ({**LIST, "entry": [{"item": PATIENT, "deleted": True}]}, 403),
    "a visit": (VISIT, 200),
    "a visit that is over, where visits must go on": ({**VISIT, "status": "finished"}, 403),
    "a visit whose doctor has changed": (
        {**VISIT, "participant": [{"individual": PRACTITIONER, "period": {"end": "2020-01-01"}}]},
        403,
    ),
    "an appointment": (APPOINTMENT, 200),
    "an appointment that was cancelled": ({**APPOINTMENT, "status": "cancelled"}, 403),
    "an appointment that the practitioner declined": (
        {
            **APPOINTMENT,
            "participant": [{"actor": PRACTITIONER, "status": "declined"}, {"actor": PATIENT, "status": "accepted"}],
        },
        403,
    ),
}


async def test_several_searches_make_one_panel_of_what_holds(tmp_path: Path) -> None:
    """The server ignores every parameter, and has one record at a time."""
    stored: list[Resource] = []

    def script(path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        if path == "Patient/pat-b":
            return 200, make_resource("Patient", "pat-b"), {}
        return 200, bundle(*(record for record in stored if record["resourceType"] == path)), {}

    compartments = {"practitioner_reach": "panel", "panel": SEARCHES, "cache_seconds": 0}
    async with (
        scripted_server(script) as server,
        running_gateway(server.base_url, tmp_path, compartments=compartments) as gateway,
    ):
        for sentence, (record, status) in MEMBERSHIPS.items():
            stored[:] = [record]
            response = await gateway.request("/Patient/pat-b", "user/*.rs", claims=USER)
            assert response.status_code == status, sentence
        stored[:] = [
            {**GROUP, "member": [{"entity": {"reference": "Patient/pat-c"}}]},
            {**LIST, "entry": [{"item": {"reference": "Patient/pat-d"}}]},
            VISIT,
        ]
        assert (await gateway.request("/Observation", "user/*.rs", claims=USER)).status_code == 200
    sent = [request for request in server.requests if request.startswith("Observation?")]
    assert sent == ["Observation?patient=Patient/pat-b,Patient/pat-c,Patient/pat-d"]
    assert "Encounter?practitioner=Practitioner/p&status=in-progress&_count=200" in server.requests


async def test_a_long_panel_is_followed_page_by_page_and_refused_beyond_its_bound(tmp_path: Path) -> None:
    page_size = 20
    stored = [{**GROUP, "member": [{"entity": {"reference": f"Patient/pat-{number}"}}]} for number in range(100)]

    def script(path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        if path == "Group":
            start = int(query.partition("start=")[2] or 0)
            page = stored[start : start + page_size]
            following = {"next": f"Group?start={start + page_size}"} if start + page_size < len(stored) else {}
            return 200, bundle(*page, links=following), {}
        return (200, make_resource("Patient", path.partition("/")[2]), {}) if path.startswith("Patient/") else ABSENT

    for most, status in ((100, 200), (99, 403)):
        compartments = {"practitioner_reach": "panel", "panel": SEARCHES[:1], "max_patients": most}
        async with (
            scripted_server(script) as server,
            running_gateway(server.base_url, tmp_path, compartments=compartments) as gateway,
        ):
            response = await gateway.request("/Patient/pat-99", "user/*.rs", claims=USER)
            assert response.status_code == status
            assert status == 200 or is_refused(response, 403, "user_reach_unknown")


async def test_requests_of_one_user_at_the_same_time_share_one_look_up(tmp_path: Path) -> None:
    def script(path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        if path == "CareTeam":
            return 200, bundle(OURS), {}
        return (200, make_resource("Patient", "pat-b"), {}) if path == "Patient/pat-b" else ABSENT

    async with (
        scripted_server(script) as server,
        running_gateway(server.base_url, tmp_path, compartments={**PANEL, "cache_seconds": 3600}) as gateway,
    ):
        asked = (gateway.request("/Patient/pat-b", "user/*.rs", claims=USER) for _ in range(10))
        assert {response.status_code for response in await asyncio.gather(*asked)} == {200}
        assert [path.partition("?")[0] for path in server.requests].count("CareTeam") == 1


async def test_a_patient_who_left_the_panel_is_out_of_reach_when_the_cache_ends(tmp_path: Path) -> None:
    stored = [OURS]

    def script(path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        if path == "CareTeam":
            return 200, bundle(*stored), {}
        return (200, make_resource("Patient", "pat-b"), {}) if path == "Patient/pat-b" else ABSENT

    async with scripted_server(script) as server:
        settings = Settings.model_validate(
            {
                "public_base_url": "http://127.0.0.1/fhir",
                "development": True,
                "issuers": [{"issuer": ISSUER, "audiences": ["x"], "jwks_url": f"{ISSUER}/jwks"}],
                "upstream": {"base_url": server.base_url},
                "compartments": {**PANEL, "cache_seconds": 60},
            }
        )
        control_client = ControlClient()
        authentication = build_authentication(settings.upstream.authentication, control_client)
        pool = build_connection_pool(settings.upstream, authentication, UPSTREAM_HEADERS)
        fhir_server = build_fhir_server(
            settings.upstream, build_exchange(settings.upstream, pool, authentication), pool.base_path
        )
        users = build_user_compartments(settings, fhir_server, build_page_links(settings))
        seen = []
        for now in (1000.0, 1059.0, 1060.0):
            facts = await users.look_up(Reference("Practitioner", "p"), UpstreamTrace(b"trace"), now)
            seen.append(facts.user_compartments)
            stored.clear()
        await pool.aclose()
        await control_client.aclose()
    held, left = CompartmentSet("Patient", frozenset({"pat-b"})), CompartmentSet("Patient", frozenset())
    assert seen == [held, held, left]
