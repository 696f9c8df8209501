"""The request that is sent upstream: narrowed to the reach and the constraints of the token (enforcement.md 4)."""

from typing import Any

import pytest

from gateway.fhir.resources.version import ResourceVersion
from gateway.policy.decision_types import (
    Allow,
    AllowWrite,
    Deny,
    SearchFilter,
)
from gateway.policy.permission.rules import PractitionerReach, UnnarrowedSearch
from gateway.policy.reasons import Reason
from gateway.policy.writing.judge_write import judge_write
from gateway.policy.writing.judged_write import JudgedWrite
from gateway.policy.writing.stored_state import StoredState
from tests.policy.grants import decide_request, make_grant, upstream_url

LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
SENT = {
    "edge 106: a search without a patient": ("GET /Observation", "patient/*.rs", "/Observation?patient=Patient/A"),
    "leak_04: another patient is AND-ed, never trusted": (
        "GET /Observation?patient=B",
        "patient/*.rs",
        "/Observation?patient=Patient/A&patient=B",
    ),
    "what says the same is not said twice": (
        "GET /Observation?patient=Patient/A",
        "patient/*.rs",
        "/Observation?patient=Patient/A",
    ),
    "the patient's own type by id": ("GET /Patient?name=x", "patient/*.rs", "/Patient?_id=A&name=x"),
    "a type whose owner is its subject": ("GET /AdverseEvent", "patient/*.rs", "/AdverseEvent?subject=Patient/A"),
    "a type that R4 leaves out of the compartment": ("GET /Task", "patient/*.rs", "/Task?patient=Patient/A"),
    "a constraint": (
        "GET /Observation",
        f"patient/Observation.rs?category={LAB}",
        "/Observation?patient=Patient/A&category=http://terminology.hl7.org/CodeSystem/observation-category%7Claboratory",
    ),
    "edge 114: several constraints of one parameter": (
        "GET /Observation?category=a",
        "patient/Observation.rs?category=lab patient/Observation.rs?category=vital",
        "/Observation?patient=Patient/A&category=lab,vital&category=a",
    ),
    "constraints that differ more are left to verification": (
        "GET /Observation",
        "patient/Observation.rs?category=lab patient/Observation.rs?status=final",
        "/Observation?patient=Patient/A",
    ),
    "what all constraints share is kept": (
        "GET /Observation",
        "patient/Observation.rs?category=lab&code=x patient/Observation.rs?category=lab&status=final",
        "/Observation?patient=Patient/A&category=lab",
    ),
    "SC-16: the unconstrained wins": (
        "GET /Observation",
        "patient/Observation.rs patient/Observation.rs?category=lab",
        "/Observation?patient=Patient/A",
    ),
    "system reaches all": ("GET /Observation?code=x", "system/*.rs", "/Observation?code=x"),
    "a system constraint": ("GET /Observation", "system/Observation.rs?status=final", "/Observation?status=final"),
    "hapi: a compartment search becomes a plain one": (
        "GET /Patient/A/Observation?code=x",
        "patient/*.rs",
        "/Observation?patient=Patient/A&code=x",
    ),
    "another compartment within ours": (
        "GET /Encounter/e/Observation",
        "patient/*.rs",
        "/Observation?patient=Patient/A&encounter=Encounter/e",
    ),
    "another patient's compartment finds nothing": (
        "GET /Patient/B/Observation",
        "patient/*.rs",
        "/Observation?patient=Patient/A&patient=Patient/B",
    ),
    "leak_29: a summary that would strip what is looked at": (
        "GET /Observation?_summary=text",
        "patient/*.rs",
        "/Observation?patient=Patient/A",
    ),
    "leak_29: elements are widened": (
        "GET /Observation?_elements=code",
        "patient/*.rs",
        "/Observation?patient=Patient/A&_elements=code,id,performer,subject,contained",
    ),
    "a count of what is all permitted": (
        "GET /Observation?_summary=count",
        "patient/*.rs",
        "/Observation?patient=Patient/A&_summary=count",
    ),
    "leak_01: an include of a type out of scope is left out": (
        "GET /Patient?_revinclude=Observation:subject",
        "patient/Patient.rs",
        "/Patient?_id=A",
    ),
    "a chain to the owner that narrowing holds": (
        "GET /Observation?patient.name=x",
        "patient/*.rs",
        "/Observation?patient=Patient/A&patient.name=x",
    ),
    "a reverse chain from the owner's records": (
        "GET /Patient?_has:Observation:patient:code=x",
        "patient/*.rs",
        "/Patient?_id=A&_has:Observation:patient:code=x",
    ),
    "a provenance by its target": (
        "GET /Provenance?target=Observation/1",
        "patient/*.rs",
        "/Provenance?target=Observation/1",
    ),
    "shared types by id": ("GET /Practitioner?_id=1,2", "patient/*.rs", "/Practitioner?_id=1,2"),
    "a read": ("GET /Observation/1", "patient/*.rs", "/Observation/1"),
    "a version": ("GET /Observation/1/_history/2", "patient/*.rs", "/Observation/1/_history/2"),
    "a system search names the types in reach": (
        "GET /?_type=Observation,Condition",
        "patient/Observation.rs",
        "?patient=Patient/A&_type=Observation",
    ),
}


@pytest.mark.requirement("SC-16", "SC-26", "SC-29", "edge-106", "edge-114")
@pytest.mark.parametrize(("request_", "scopes", "expected"), SENT.values(), ids=SENT)
def test_what_is_sent_for(request_: str, scopes: str, expected: str) -> None:
    assert upstream_url(request_, make_grant(scopes)) == expected


def test_a_server_with_compartment_search_is_asked_for_the_compartment() -> None:
    grant = make_grant("patient/*.rs", compartment_search=True)
    assert upstream_url("GET /Observation?code=x", grant) == "/Patient/A/Observation?code=x"
    assert upstream_url("GET /Patient/A/*", grant).startswith("/Patient/A/*?")


def test_leak_12_a_parameter_the_server_does_not_declare_is_not_relied_on() -> None:
    grant = make_grant("patient/*.rs", unsupported_parameters={"Observation": frozenset({"patient", "subject"})})
    decision = decide_request("GET /Observation", grant)
    assert isinstance(decision, Allow)
    assert decision.upstream_request.query == ""
    assert isinstance(decision.response_filter, SearchFilter)
    assert not decision.response_filter.is_exact
    other = make_grant("patient/*.rs", unsupported_parameters={"Observation": frozenset({"patient"})})
    assert upstream_url("GET /Observation", other) == "/Observation?subject=Patient/A"


USERS = {
    "a patient reaches its own": ({"user": "Patient/P"}, "/Observation?patient=Patient/P"),
    "a practitioner reaches all by default": ({"user": "Practitioner/1"}, "/Observation"),
    "a practitioner held to the compartment": (
        {"user": "Practitioner/1", "practitioner_reach": PractitionerReach.COMPARTMENT},
        "/Observation?performer=Practitioner/1",
    ),
    "a panel": (
        {"user": "Practitioner/1", "practitioner_reach": PractitionerReach.PANEL, "patients_of_user": ("X", "Y")},
        "/Observation?patient=Patient/X,Patient/Y",
    ),
    "a related person's patient": (
        {"user": "RelatedPerson/1", "patients_of_user": ("X",)},
        "/Observation?patient=Patient/X",
    ),
}


@pytest.mark.requirement("SC-28", "G-2")
@pytest.mark.parametrize(("given", "expected"), USERS.values(), ids=USERS)
def test_what_a_user_reaches(given: dict[str, object], expected: str) -> None:
    assert upstream_url("GET /Observation", make_grant("user/*.rs", patient=None, **given)) == expected  # type: ignore[arg-type]


ASKED = {
    "none of them": ("", "?patient=Patient/A,Patient/B,Patient/C"),
    "one of them": ("?patient=Patient/B", "?patient=Patient/B"),
    "two of them, by their ids alone": ("?patient=C,B", "?patient=Patient/B,Patient/C&patient=C,B"),
    "one of them by another name of the element": ("?subject=Patient/B", "?patient=Patient/B&subject=Patient/B"),
    "one of them beside another's": (
        "?patient=Patient/B,Patient/Z",
        "?patient=Patient/A,Patient/B,Patient/C&patient=Patient/B,Patient/Z",
    ),
    "those for whom it is missing": (
        "?patient:missing=true",
        "?patient=Patient/A,Patient/B,Patient/C&patient:missing=true",
    ),
    "one of them by a chain": (
        "?patient.identifier=B",
        "?patient=Patient/A,Patient/B,Patient/C&patient.identifier=B",
    ),
}


@pytest.mark.parametrize(("query", "expected"), ASKED.values(), ids=ASKED)
def test_of_a_long_list_of_patients_those_are_sent_whom_the_client_asks_for(query: str, expected: str) -> None:
    grant = make_grant("user/*.rs", user="RelatedPerson/r", patients_of_user=("A", "B", "C"))
    assert upstream_url(f"GET /Observation{query}", grant) == f"/Observation{expected}"


def test_more_patients_than_a_search_may_name_are_left_to_verification() -> None:
    reach: Any = {"user": "RelatedPerson/r", "patients_of_user": ("A", "B", "C"), "max_owners_per_search": 2}
    grant = make_grant("user/*.rs", **reach)
    decision = decide_request("GET /Observation?code=x", grant)
    assert isinstance(decision, Allow)
    assert isinstance(decision.response_filter, SearchFilter)
    assert (decision.upstream_request.query, decision.response_filter.is_exact) == ("code=x", False)
    assert upstream_url("GET /Observation?patient=A,B", grant).startswith("/Observation?patient=Patient/A,Patient/B&")
    refusing = make_grant("user/*.rs", **reach, search_without_narrowing=UnnarrowedSearch.REFUSE)
    refused = decide_request("GET /Observation?code=x", refusing)
    assert isinstance(refused, Deny)
    assert refused.reason is Reason.SEARCH_NOT_NARROWED


def test_a_delete_is_tied_to_the_patient_of_the_record_among_many() -> None:
    grant = make_grant(
        "user/*.cruds",
        user="RelatedPerson/r",
        patients_of_user=("A", "B", "C"),
        conditional_delete_types=frozenset({"Observation"}),
    )
    allow = decide_request("DELETE /Observation/1", grant)
    assert isinstance(allow, AllowWrite)
    stored = {"resourceType": "Observation", "id": "1", "subject": {"reference": "Patient/B"}}
    judged = judge_write(allow, None, StoredState(stored, b"", ResourceVersion()))
    assert isinstance(judged, JudgedWrite)
    assert judged.request.query == "_id=1&patient=Patient/B"
