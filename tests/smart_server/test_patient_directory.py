"""The entries of the pickers, and how the directory searches for them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.asgi.refusal import RequestRefused
from gateway.oauth.authorization import User
from gateway.policy.permission.access import Access
from gateway.policy.reasons import Reason
from gateway.smart_server.patients.patient_directory import PICKER_SIZE, PatientDirectory

DOCTOR = User("dora", "Dr Dora", "Practitioner/1")


class ScriptedServer:
    """Answers each search with the patients for its pairs."""

    def __init__(self, patients: list[dict[str, Any]], needs: str = "") -> None:
        self.patients = patients
        self.needs = needs
        self.searches: list[list[str]] = []

    async def get(self, access: Access, path: str, pairs: Sequence[tuple[str, str]] = ()) -> Mapping[str, Any]:
        names = [name for name, _ in pairs]
        self.searches.append(names)
        found = self.patients if not self.needs or self.needs in names else []
        return {"entry": [{"resource": {"resourceType": "Patient", **patient}} for patient in found]}


@pytest.mark.asyncio
async def test_a_search_goes_on_until_somebody_is_found() -> None:
    server = ScriptedServer([{"id": "p1"}], needs="name")
    found, has_more = await PatientDirectory(server).search_patients(DOCTOR, "Ursula Late")
    assert [entry.resource_id for entry in found] == ["p1"]
    assert not has_more
    assert server.searches == [["name:contains", "name:contains", "_count"], ["name", "name", "_count"]]


@pytest.mark.asyncio
async def test_more_than_fit_are_not_shown_but_said() -> None:
    server = ScriptedServer([{"id": f"p{number}"} for number in range(PICKER_SIZE + 1)])
    found, has_more = await PatientDirectory(server).search_patients(DOCTOR, "")
    assert len(found) == PICKER_SIZE
    assert has_more


@pytest.mark.asyncio
async def test_the_deceased_and_the_inactive_are_marked_and_no_name_turns_letters_around() -> None:
    server = ScriptedServer(
        [
            {"id": "p1", "deceasedDateTime": "2020-01-01", "birthDate": "1962-03-14"},
            {"id": "p2", "deceasedBoolean": False, "active": False},
            {"id": "p3", "deceasedBoolean": True, "name": [{"text": "\u202eetaL\u202c"}]},
        ]
    )
    found, _ = await PatientDirectory(server).search_patients(DOCTOR, "")
    assert [entry.detail for entry in found] == ["Deceased, born 1962-03-14", "Record not in use", "Deceased"]
    assert found[2].name == "etaL"


class RejectingServer(ScriptedServer):
    """Rejects each search that has one of the parameters."""

    def __init__(self, patients: list[dict[str, Any]], rejected: set[str]) -> None:
        super().__init__(patients)
        self.rejected = rejected

    async def get(self, access: Access, path: str, pairs: Sequence[tuple[str, str]] = ()) -> Mapping[str, Any]:
        answer = await super().get(access, path, pairs)
        if not self.rejected.isdisjoint(name for name, _ in pairs):
            raise RequestRefused(Reason.UPSTREAM_REJECTED)
        return answer


@pytest.mark.asyncio
async def test_a_way_to_search_that_the_server_rejects_is_passed_over() -> None:
    server = RejectingServer([{"id": "p1"}], {"name:contains"})
    found, _ = await PatientDirectory(server).search_patients(DOCTOR, "Ursula")
    assert [entry.resource_id for entry in found] == ["p1"]
    assert (await PatientDirectory(RejectingServer([], {"name:contains"})).search_patients(DOCTOR, "U")) == ([], False)


@pytest.mark.asyncio
@pytest.mark.parametrize("typed", ["", "Ursula", "1962-03-14"])
async def test_a_search_that_is_rejected_in_every_way_is_not_a_search_that_found_nobody(typed: str) -> None:
    directory = PatientDirectory(RejectingServer([{"id": "p1"}], {"_count"}))
    with pytest.raises(RequestRefused):
        await directory.search_patients(DOCTOR, typed)
    with pytest.raises(RequestRefused):
        await directory.list_encounters(DOCTOR, "p1")
