"""Nobody extends the reach of users from within, by the records by which it is found."""

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.fhir.request.content import JsonPatch, encode_resource
from gateway.fhir.request.interaction import Write, WriteKind
from gateway.fhir.resources.version import ResourceVersion
from gateway.policy.decision.decide_write import decide_write
from gateway.policy.decision_types import AllowWrite, Deny
from gateway.policy.permission.reach import CompartmentSet, UserFacts
from gateway.policy.permission.rules import WriteRules
from gateway.policy.reasons import Reason
from gateway.policy.writing.judge_write import judge_write
from gateway.policy.writing.new_state import prepare_content
from gateway.policy.writing.stored_state import StoredState
from gateway.settings.enforcement.compartments import Compartments
from tests.policy.grants import PUBLIC, UPSTREAM, make_grant

Resource = dict[str, Any]
SETTINGS = Compartments.model_validate(
    {
        "practitioner_reach": "panel",
        "panel": [
            {"resource_type": "CareTeam", "parameter": "participant", "patient_element": "subject"},
            {
                "resource_type": "Encounter",
                "parameter": "participant",
                "patient_element": "subject",
                "criteria": {"status": "in-progress"},
            },
            {
                "resource_type": "List",
                "parameter": "source",
                "patient_element": "entry.item",
                "criteria": {"_lastUpdated": "gt2024-01-01"},
            },
        ],
    }
)
ROLES = Compartments.model_validate({"practitioner_reach": "compartment"})
BASES = (PUBLIC, UPSTREAM)
WHOLE = "user/*.cruds"
UNCHANGED = WriteRules()


def care_team(**elements: Any) -> Resource:
    participant = [{"member": {"reference": "Practitioner/p"}}]
    subject = {"reference": "Patient/A"}
    return {
        "resourceType": "CareTeam",
        "id": "1",
        "status": "active",
        "subject": subject,
        "participant": participant,
        **elements,
    }


def encounter(status: str, **elements: Any) -> Resource:
    participant = [{"individual": {"reference": "Practitioner/p"}}]
    subject = {"reference": "Patient/A"}
    return {
        "resourceType": "Encounter",
        "id": "1",
        "status": status,
        "subject": subject,
        "participant": participant,
        **elements,
    }


def listed(**elements: Any) -> Resource:
    return {
        "resourceType": "List",
        "id": "1",
        "status": "current",
        "subject": {"reference": "Patient/A"},
        "meta": {"lastUpdated": "2030-01-01T00:00:00Z"},
        **elements,
    }


def judge(
    new: Resource,
    stored: Resource | None,
    *,
    scopes: str = WHOLE,
    user: str = "Practitioner/p",
    settings: Compartments = SETTINGS,
    writes: WriteRules = UNCHANGED,
    operations: list[Resource] | None = None,
) -> Reason | None:
    kind = WriteKind.PATCH if operations is not None else WriteKind.UPDATE if stored is not None else WriteKind.CREATE
    write = Write(kind, new["resourceType"], None if stored is None else "1")
    grant = make_grant(
        scopes,
        user=user,
        patients_of_user=("A", "C"),
        practitioner_reach=settings.practitioner_reach,
        reach_records=settings.reach_records(BASES),
        writes=writes,
    )
    if settings is ROLES:
        grant = replace(grant, facts=UserFacts(CompartmentSet("Practitioner", frozenset({"A"}))))
    allow = decide_write(write, grant)
    assert isinstance(allow, AllowWrite), allow
    content = JsonPatch(tuple(operations)) if operations is not None else prepare_content(allow, encode_resource(new))
    state = None if stored is None else StoredState(stored, json.dumps(stored).encode(), ResourceVersion("3"))
    judged = content if isinstance(content, Deny) else judge_write(allow, content, state)
    return judged.reason if isinstance(judged, Deny) else None


ENDS, LATER = {"period": {"end": "2030-01-01"}}, {"period": {"end": "2040-01-01"}}
OTHER_PARTICIPANT = [{"member": {"reference": "Practitioner/q"}}]
CASES: dict[str, tuple[Resource, Resource | None, bool]] = {
    "making a team of a patient of the panel": (care_team(), None, False),
    "making a team for somebody else": (care_team(participant=OTHER_PARTICIPANT), None, False),
    "making a team that does not hold": (care_team(status="inactive"), None, True),
    "prolonging a team": (care_team(**LATER), care_team(**ENDS), False),
    "taking the end away": (care_team(), care_team(**ENDS), False),
    "naming another patient of the panel": (care_team(subject={"reference": "Patient/C"}), care_team(), False),
    "adding a member": (care_team(participant=[*care_team()["participant"], *OTHER_PARTICIPANT]), care_team(), False),
    "renaming a team": (care_team(name="x", **ENDS), care_team(**ENDS), True),
    "ending a team": (care_team(status="inactive", **LATER), care_team(**ENDS), True),
    "reviving a team": (care_team(), care_team(status="inactive"), False),
    "beginning a visit": (encounter("in-progress"), None, False),
    "beginning a visit that was planned": (encounter("in-progress"), encounter("planned"), False),
    "planning a visit": (encounter("planned"), None, True),
    "ending a visit": (encounter("finished"), encounter("in-progress"), True),
    "noting something of a visit": (encounter("in-progress", text={}), encounter("in-progress"), True),
    "touching what counts by its time": (listed(title="x"), listed(), False),
    "writing what makes no panel": (
        {"resourceType": "Basic", "id": "1", "subject": {"reference": "Patient/A"}},
        None,
        True,
    ),
}


@pytest.mark.parametrize(("new", "stored", "is_let_through"), CASES.values(), ids=CASES)
def test_whose_reach_is_a_panel_is_refused_or_not(new: Resource, stored: Resource | None, is_let_through: bool) -> None:
    """leak_40"""
    assert judge(new, stored) is (None if is_let_through else Reason.REACH_EXTENDED)


def test_a_scope_for_the_whole_server_extends_no_reach_of_another_scope() -> None:
    mixed: dict[str, Any] = {"scopes": "system/CareTeam.cu user/Observation.rs"}
    assert judge(care_team(), None, **mixed) is Reason.REACH_EXTENDED


def test_a_patch_is_held_to_the_same() -> None:
    later = [{"op": "add", "path": "/period", "value": LATER["period"]}]
    assert judge(care_team(), care_team(**ENDS), operations=later) is Reason.REACH_EXTENDED
    assert judge(care_team(), care_team(), operations=[{"op": "add", "path": "/name", "value": "x"}]) is None


@pytest.mark.parametrize("stored", [care_team(), care_team(**ENDS)])
def test_who_may_not_read_the_record_learns_nothing_of_it(stored: Resource) -> None:
    unread: dict[str, Any] = {"scopes": "user/CareTeam.u"}
    assert judge(care_team(), stored, **unread) is Reason.REACH_EXTENDED
    assert judge(care_team(status="inactive"), stored, **unread) is None
    later = [{"op": "add", "path": "/period", "value": LATER["period"]}]
    assert judge(care_team(), stored, operations=later, **unread) is Reason.PATCH_TEST_REFUSED


FREE: dict[str, dict[str, Any]] = {
    "the operator lets users extend their reach": {"writes": WriteRules(change_own_reach=True)},
    "a scope holds for the whole server": {"scopes": "system/CareTeam.cruds"},
    "the user is a patient, whose reach is no panel": {"user": "Patient/A", "scopes": WHOLE},
}


@pytest.mark.parametrize("options", FREE.values(), ids=FREE)
def test_a_team_is_made_where(options: dict[str, Any]) -> None:
    assert judge(care_team(), None, **options) is None


OWN: dict[str, tuple[str, Compartments, Resource, Resource, bool]] = {
    "a role for longer": (
        "PractitionerRole/1",
        ROLES,
        {"resourceType": "PractitionerRole", **LATER},
        {"resourceType": "PractitionerRole", **ENDS},
        False,
    ),
    "a role's telephone": (
        "PractitionerRole/1",
        ROLES,
        {"resourceType": "PractitionerRole", "telecom": [{}], **ENDS},
        {"resourceType": "PractitionerRole", **ENDS},
        True,
    ),
    "a relative for longer": (
        "RelatedPerson/1",
        Compartments(),
        {"resourceType": "RelatedPerson", **LATER},
        {"resourceType": "RelatedPerson", **ENDS},
        False,
    ),
    "a relative of another patient": (
        "RelatedPerson/1",
        Compartments(),
        {"resourceType": "RelatedPerson", "patient": {"reference": "Patient/C"}},
        {"resourceType": "RelatedPerson"},
        False,
    ),
    "a relative's name": (
        "RelatedPerson/1",
        Compartments(),
        {"resourceType": "RelatedPerson", "name": [{}]},
        {"resourceType": "RelatedPerson"},
        True,
    ),
}


@pytest.mark.parametrize(("user", "settings", "new", "stored", "is_let_through"), OWN.values(), ids=OWN)
def test_a_user_changes_of_the_record_that_names_them(
    user: str, settings: Compartments, new: Resource, stored: Resource, is_let_through: bool
) -> None:
    least = {"id": "1", "patient": {"reference": "Patient/A"}, "practitioner": {"reference": "Practitioner/A"}}
    refused = judge({**least, **new}, {**least, **stored}, user=user, settings=settings)
    assert refused is (None if is_let_through else Reason.REACH_EXTENDED)
