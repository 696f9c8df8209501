"""The decision on each interaction (enforcement.md 4 and 8), as tables of requests, grants and outcomes."""

import pytest

from gateway.policy.decision_types import (
    Allow,
    BinaryFilter,
    Deny,
    HistoryFilter,
    NeedUserCompartments,
    PassThrough,
    ResourceFilter,
    SearchFilter,
)
from gateway.policy.permission.rules import PractitionerReach
from gateway.policy.reasons import Reason
from tests.policy.grants import decide_request, make_grant, upstream_url

REFUSED = {
    "edge 104: r alone does not search": ("GET /Observation", "patient/Observation.r", Reason.SCOPE_INSUFFICIENT),
    "edge 104: s alone does not read": ("GET /Observation/1", "patient/Observation.s", Reason.SCOPE_INSUFFICIENT),
    "edge 104: s alone has no instance history": (
        "GET /Observation/1/_history",
        "patient/Observation.s",
        Reason.SCOPE_INSUFFICIENT,
    ),
    "edge 104: r alone has no type history": (
        "GET /Observation/_history",
        "patient/Observation.r",
        Reason.SCOPE_INSUFFICIENT,
    ),
    "a type no scope names": ("GET /Condition/1", "patient/Observation.rs", Reason.SCOPE_INSUFFICIENT),
    "SC-4: writing does not imply reading": (
        "GET /Observation/1",
        "patient/Observation.cud",
        Reason.SCOPE_INSUFFICIENT,
    ),
    "edge 96: a wildcard constraint on a type without the parameter": (
        "GET /Patient",
        "patient/*.rs?category=a",
        Reason.TYPE_OUT_OF_REACH,
    ),
    "leak_16: an unknown parameter in a scope grants nothing": (
        "GET /Observation",
        "patient/Observation.rs?unknown=x",
        Reason.TYPE_OUT_OF_REACH,
    ),
    "SC-21: a chain in a scope grants nothing": (
        "GET /Observation",
        "patient/Observation.rs?patient.birthdate=1990",
        Reason.TYPE_OUT_OF_REACH,
    ),
    "SC-21: a modifier in a scope grants nothing": (
        "GET /Observation",
        "patient/Observation.rs?code:in=http://v",
        Reason.TYPE_OUT_OF_REACH,
    ),
    "a type that belongs to nobody and is not shared": ("GET /Library/1", "patient/*.rs", Reason.TYPE_OUT_OF_REACH),
    "shared types are no open directory": ("GET /Practitioner?name=x", "patient/*.rs", Reason.SEARCH_BY_ID_ONLY),
    "edge 112: _has on a type out of scope": (
        "GET /Patient?_has:Condition:patient:code=x",
        "patient/Patient.rs",
        Reason.PARAMETER_OUT_OF_REACH,
    ),
    "edge 112: a chain into a type out of scope": (
        "GET /Observation?encounter.reason-code=x",
        "patient/Observation.rs",
        Reason.PARAMETER_OUT_OF_REACH,
    ),
    "a chain into a shared type": (
        "GET /Observation?performer:Practitioner.name=x",
        "patient/*.rs",
        Reason.PARAMETER_OUT_OF_REACH,
    ),
    "a chain through a type whose unit has a constraint": (
        "GET /Patient?_has:Observation:patient:code=x",
        "patient/Patient.rs patient/Observation.rs?category=a",
        Reason.PARAMETER_OUT_OF_REACH,
    ),
    "a link that narrowing does not hold": (
        "GET /Observation?encounter.status=finished",
        "patient/*.rs",
        Reason.PARAMETER_OUT_OF_REACH,
    ),
    "_has from everyone's patients into one patient's records": (
        "GET /Patient?_has:Condition:patient:code=x",
        "user/Patient.rs patient/Patient.rs patient/Condition.rs",
        Reason.PARAMETER_OUT_OF_REACH,
    ),
    "sorting by a chain out of scope": (
        "GET /Observation?_sort=encounter.date",
        "patient/Observation.rs",
        Reason.PARAMETER_OUT_OF_REACH,
    ),
    "B13: a second query language": (
        "GET /Observation?_filter=code%20eq%20x",
        "patient/*.rs",
        Reason.PARAMETER_REFUSED,
    ),
    "text search": ("GET /Observation?_content=x", "patient/*.rs", Reason.PARAMETER_REFUSED),
    "a list": ("GET /Observation?_list=7", "patient/*.rs", Reason.PARAMETER_REFUSED),
    "leak_19: a count of what is hidden": (
        "GET /Observation?_summary=count",
        "patient/Observation.rs?category=a&code=b patient/Observation.rs?status=final",
        Reason.COUNT_NOT_EXACT,
    ),
    "leak_05: everything about a patient": (
        "GET /Patient/A/$everything",
        "patient/Patient.r",
        Reason.OPERATION_NOT_ALLOWED,
    ),
    "leak_06: an operation on the type": ("GET /Observation/$lastn", "patient/*.rs", Reason.OPERATION_NOT_ALLOWED),
    "a create without c": ("POST /Observation", "patient/*.ruds", Reason.SCOPE_INSUFFICIENT),
    "an update without u": ("PUT /Observation/1", "patient/*.crds", Reason.SCOPE_INSUFFICIENT),
    "a patch without u": ("PATCH /Observation/1", "patient/*.crds", Reason.SCOPE_INSUFFICIENT),
    "a delete without d": ("DELETE /Observation/1", "patient/*.crus", Reason.SCOPE_INSUFFICIENT),
    "a conditional write without s": ("PUT /Observation?code=x", "patient/*.crud", Reason.SCOPE_INSUFFICIENT),
    "a conditional write by what is hidden": (
        "DELETE /Observation?subject.organization=1",
        "patient/*.cruds",
        Reason.PARAMETER_OUT_OF_REACH,
    ),
    "a change of a shared type": ("PUT /Organization/1", "patient/*.cruds", Reason.TYPE_OUT_OF_REACH),
    "a change of what belongs to nobody": ("POST /Bundle", "patient/*.cruds", Reason.TYPE_OUT_OF_REACH),
    "a Binary without a scope for it": ("POST /Binary", "system/Observation.cruds", Reason.SCOPE_INSUFFICIENT),
    "a Binary by a scope with a constraint, which none shows": (
        "POST /Binary",
        "patient/Binary.c?_tag=x",
        Reason.TYPE_OUT_OF_REACH,
    ),
    "leak_08: a system search for nothing in scope": (
        "GET /?_type=Condition",
        "patient/Observation.rs",
        Reason.SCOPE_INSUFFICIENT,
    ),
    "a whole compartment where the server has none": (
        "GET /Patient/A/*",
        "patient/*.rs",
        Reason.INTERACTION_NOT_SUPPORTED,
    ),
    "a binary under another type's scope": ("GET /Binary/1", "patient/Observation.rs", Reason.SCOPE_INSUFFICIENT),
}


@pytest.mark.requirement("SC-3", "SC-4", "SC-5", "SC-21", "SC-23", "SC-27", "edge-96", "edge-104", "edge-112")
@pytest.mark.parametrize(("request_", "scopes", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_request_is_refused_for(request_: str, scopes: str, reason: Reason) -> None:
    decision = decide_request(request_, make_grant(scopes, user="Practitioner/1"))
    assert isinstance(decision, Deny), decision
    assert decision.reason is reason


CONTEXTS = {
    "no patient in the token": ({"patient": None}, "patient/*.rs", Reason.PATIENT_CONTEXT_MISSING),
    "no user in the token": ({}, "user/*.rs", Reason.USER_REACH_UNKNOWN),
    "a person reaches nothing": ({"user": "Person/1"}, "user/*.rs", Reason.USER_REACH_UNKNOWN),
}


@pytest.mark.requirement("SC-26", "SC-28")
@pytest.mark.parametrize(("given", "scopes", "reason"), CONTEXTS.values(), ids=CONTEXTS)
def test_a_context_that_reaches_nothing_says_why(given: dict[str, str | None], scopes: str, reason: Reason) -> None:
    decision = decide_request("GET /Observation", make_grant(scopes, **given))  # type: ignore[arg-type]
    assert isinstance(decision, Deny)
    assert decision.reason is reason


KEPT = {
    "a read looks at one resource": ("GET /Observation/1", "patient/*.rs", ResourceFilter),
    "a search looks at each match": ("GET /Observation", "patient/*.rs", SearchFilter),
    "a history looks at each version": ("GET /Observation/1/_history", "patient/*.rs", HistoryFilter),
    "a binary asks who vouches for it": ("GET /Binary/1", "patient/*.rs", BinaryFilter),
    "what sees everything needs no look": ("GET /Observation/1", "system/*.rs", PassThrough),
    "a scope for one type still looks at the type": ("GET /Observation/1", "system/Observation.rs", ResourceFilter),
}


@pytest.mark.parametrize(("request_", "scopes", "kind"), KEPT.values(), ids=KEPT)
def test_what_is_kept(request_: str, scopes: str, kind: type) -> None:
    decision = decide_request(request_, make_grant(scopes))
    assert isinstance(decision, Allow)
    assert isinstance(decision.response_filter, kind)


@pytest.mark.parametrize("request_", ["GET /Observation/1/_history/2", "GET /Observation/1/_history"])
def test_leak_15_an_old_version_needs_the_current_one_to_be_readable(request_: str) -> None:
    decision = decide_request(request_, make_grant("patient/*.rs"))
    assert isinstance(decision, Allow)
    assert str(decision.prerequisite) == "Observation/1"


@pytest.mark.parametrize(
    ("user", "reach"),
    [
        ("RelatedPerson/1", PractitionerReach.ALL),
        ("Practitioner/1", PractitionerReach.PANEL),
        ("PractitionerRole/1", PractitionerReach.COMPARTMENT),
    ],
)
def test_a_user_whose_patients_the_token_does_not_tell_must_be_looked_up(user: str, reach: PractitionerReach) -> None:
    decision = decide_request("GET /Observation", make_grant("user/*.rs", user=user, practitioner_reach=reach))
    assert isinstance(decision, NeedUserCompartments)
    assert str(decision.unresolved_reach.user) == user


@pytest.mark.requirement("ID-10")
def test_id_10_the_users_own_resource_is_readable_though_no_scope_names_its_type() -> None:
    grant = make_grant("openid fhirUser patient/Observation.rs", user="Practitioner/9")
    assert upstream_url("GET /Practitioner/9", grant) == "/Practitioner/9"
    assert isinstance(decide_request("GET /Practitioner?_id=9", grant), Deny)
    assert isinstance(
        decide_request("GET /Practitioner/9", make_grant("openid patient/Observation.rs", user="Practitioner/9")), Deny
    )
