"""The patients of a practitioner's panel: only what names the practitioner counts, whatever the server finds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.running import running_gateway
from tests.gateway.scripted import ABSENT, Answered, bundle, record, scripted
from tests.servers.people import Resource

PANEL: Any = {
    "practitioner_reach": "panel",
    "panel": [{"resource_type": "CareTeam", "parameter": "participant", "patient_element": "subject"}],
}
USER = {"fhirUser": "Practitioner/p", "patient": None}


def care_team(member: str, patient: str) -> Resource:
    participant = [{"member": {"reference": member}}]
    return record("CareTeam", "team", status="active", subject={"reference": patient}, participant=participant)


OURS = care_team("Practitioner/p", "Patient/pat-b")
THEIRS = care_team("Practitioner/q", "Patient/pat-b")
WITHOUT = record("CareTeam", "team", status="active", subject={"reference": "Patient/pat-b"})
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
    """A server that drops `participant` finds the teams of everybody."""

    def script(path: str, query: str, _: Mapping[str, str]) -> Answered:
        if path == "CareTeam":
            return 200, bundle(*teams), {}
        return (200, record("Patient", "pat-b"), {}) if path == "Patient/pat-b" else ABSENT

    async with scripted(script) as server, running_gateway(server.base_url, tmp_path, compartments=PANEL) as gateway:
        assert (await gateway.ask("/Patient/pat-b", "user/*.rs", claims=USER)).status_code == status
