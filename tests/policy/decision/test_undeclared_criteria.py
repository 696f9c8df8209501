"""What is sent, evaluated here or refused where the FHIR server declares no parameter for the owner of a record."""

from typing import Any

import pytest

from gateway.policy.decision.explain_decision import explain
from gateway.policy.decision_types import Allow, Deny, SearchFilter
from gateway.policy.permission.rules import PractitionerReach, UnnarrowedSearch
from gateway.policy.reasons import Reason
from tests.policy.grants import PUBLIC, decide_request, make_grant, parse_interaction

UNDECLARED = {
    "Goal": frozenset({"patient", "subject", "category"}),
    "Observation": frozenset({"patient", "subject", "performer", "device"}),
    "Provenance": frozenset({"patient"}),
}

# The query that is sent, and the names of the parameters that are evaluated here.
SEARCHES = {
    "everything": ("GET /Goal", "", []),
    "the patient": ("GET /Goal?patient=A", "", ["patient"]),
    "the patient by the public address": (f"GET /Goal?patient={PUBLIC}/Patient/A", "", ["patient"]),
    "the patient by both names": ("GET /Goal?patient=A&subject=Patient/A", "", ["patient", "subject"]),
    "the patient and what the server declares": ("GET /Goal?patient=A&start-date=2024", "start-date=2024", ["patient"]),
    "an undeclared parameter about something else": ("GET /Goal?category=x", "category=x", []),
    "the patient with a modifier": ("GET /Goal?subject:Patient=A", "subject:Patient=A", []),
    "a reference to a version": ("GET /Goal?patient=Patient/A/_history/1", "patient=Patient/A/_history/1", []),
    "elements": ("GET /Goal?patient=A&_elements=description", "", ["patient"]),
    "a declared type": ("GET /Condition?patient=Patient/A", "patient=Patient/A", []),
}


@pytest.mark.parametrize(("request_", "query", "evaluated"), SEARCHES.values(), ids=SEARCHES)
def test_of_the_criteria_stay_here_those_for_the_owner(request_: str, query: str, evaluated: list[str]) -> None:
    decision = decide_request(request_, make_grant("patient/*.rs", unsupported_parameters=UNDECLARED))
    assert isinstance(decision, Allow)
    assert isinstance(decision.response_filter, SearchFilter)
    assert decision.upstream_request.query == query
    assert [criterion.parameter.name for criterion in decision.response_filter.criteria] == evaluated
    assert decision.response_filter.is_exact == ("Condition" in request_)


def test_whoever_sees_everything_is_told_by_the_server_what_it_does_not_declare() -> None:
    decision = decide_request("GET /Goal?patient=A", make_grant("system/*.rs", unsupported_parameters=UNDECLARED))
    assert isinstance(decision, Allow)
    assert decision.upstream_request.query == "patient=A"


@pytest.mark.parametrize(
    ("request_", "sent", "page_size"),
    [
        ("GET /Goal?_count=1", "_count=50", 1),
        ("GET /Goal?_count=100", "_count=100", None),
        ("GET /Goal", "", None),
        ("GET /Goal?_id=1&_count=1", "_id=1&_count=1", None),
        ("GET /Condition?_count=1", "patient=Patient/A&_count=1", None),
    ],
)
def test_longer_pages_are_asked_for_where_most_entries_may_be_dropped(
    request_: str, sent: str, page_size: int | None
) -> None:
    decision = decide_request(request_, make_grant("patient/*.rs", unsupported_parameters=UNDECLARED))
    assert isinstance(decision, Allow)
    assert isinstance(decision.response_filter, SearchFilter)
    assert (decision.upstream_request.query, decision.response_filter.page_size) == (sent, page_size)


BOTH = "patient/Goal.rs user/Goal.rs?category=x"
NARROWED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a type with a declared parameter": ("GET /Condition", "patient/*.rs", {}),
    "several types with a declared parameter": ("GET /?_type=Condition,Encounter", "patient/*.rs", {}),
    "ids": ("GET /Goal?_id=1,2", "patient/*.rs", {}),
    "provenances by another name for the patient": ("GET /Provenance", "patient/*.rs", {}),
    "a provenance by its target": ("GET /Provenance?target=Goal/1", "patient/*.rs", {}),
    "a shared type": ("GET /Practitioner", "patient/*.rs", {"searchable_shared_types": frozenset({"Practitioner"})}),
    "a type as a whole": ("GET /Goal", "system/Goal.rs", {}),
    "a constraint alone": ("GET /Goal", "system/Goal.rs?lifecycle-status=active", {}),
    "all types of a compartment": ("GET /Patient/A/*", "patient/*.rs", {"compartment_search": True}),
}
OPEN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a type": ("GET /Goal", "patient/*.rs", {}),
    "a type with a constraint": ("GET /Goal", "patient/Goal.rs?lifecycle-status=active", {}),
    "a type by the patient": ("GET /Goal?patient=A", "patient/*.rs", {}),
    "a type by something else": ("GET /Goal?start-date=2024", "patient/*.rs", {}),
    "a compartment": ("GET /Patient/A/Goal", "patient/*.rs", {}),
    "a compartment that nobody's reach is": ("GET /Device/x/Observation", "system/*.rs", {}),
    "several types": ("GET /?_type=Goal,Condition", "patient/*.rs", {}),
    "the system": ("GET /?_lastUpdated=2024", "patient/*.rs", {}),
    "a patient's records beside constrained ones of all": ("GET /Goal", BOTH, {"user": "Practitioner/1"}),
    "a practitioner's compartment": (
        "GET /Observation",
        "user/*.rs",
        {"user": "Practitioner/1", "practitioner_reach": PractitionerReach.COMPARTMENT},
    ),
}


@pytest.mark.parametrize(
    ("request_", "scopes", "options", "is_open"),
    [(*row, False) for row in NARROWED.values()] + [(*row, True) for row in OPEN.values()],
    ids=[*NARROWED, *OPEN],
)
def test_by_option_is_refused_what_the_server_cannot_narrow(
    request_: str, scopes: str, options: dict[str, Any], is_open: bool
) -> None:
    options = {**options, "unsupported_parameters": UNDECLARED}
    assert isinstance(decide_request(request_, make_grant(scopes, **options)), Allow)
    refusing = make_grant(scopes, **options, search_without_narrowing=UnnarrowedSearch.REFUSE)
    decision = decide_request(request_, refusing)
    assert isinstance(decision, Deny if is_open else Allow)
    assert not isinstance(decision, Deny) or decision.reason is Reason.SEARCH_NOT_NARROWED


EXPLAINED = {
    "GET /Goal?patient=A": "; patient is evaluated here, because the server does not declare it; no total",
    "GET /Device/x/Observation": "; only members of the compartment of Device/x; no total",
}


@pytest.mark.parametrize(("request_", "expected"), EXPLAINED.items(), ids=EXPLAINED)
def test_an_explanation_says_what_is_evaluated_here(request_: str, expected: str) -> None:
    grant = make_grant("patient/*.rs", unsupported_parameters=UNDECLARED)
    lines = explain(parse_interaction(request_), grant).lines
    assert any(expected in line.text for line in lines)
