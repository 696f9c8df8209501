"""What is decided, interaction by interaction (enforcement.md 4 and 8), as tables of requests, grants and outcomes."""

import pytest

from gateway.policy.decision import Allow, Deny, KeepBinary, KeepMatches, KeepResource, KeepVersions, Need, Relay
from gateway.policy.reasons import Reason
from gateway.policy.rules import PractitionerReach
from tests.policy.grants import asked, grant, sent

LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"

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
    "leak_09: a batch": ("POST /", "patient/*.cruds", Reason.INTERACTION_NOT_SUPPORTED),
    "a create": ("POST /Observation", "patient/*.cruds", Reason.INTERACTION_NOT_SUPPORTED),
    "a delete": ("DELETE /Observation/1", "patient/*.cruds", Reason.INTERACTION_NOT_SUPPORTED),
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
    decision = asked(request_, grant(scopes, user="Practitioner/1"))
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
    decision = asked("GET /Observation", grant(scopes, **given))  # type: ignore[arg-type]
    assert isinstance(decision, Deny)
    assert decision.reason is reason


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
    assert sent(request_, grant(scopes)) == expected


def test_a_server_with_compartment_search_is_asked_for_the_compartment() -> None:
    held = grant("patient/*.rs", compartment_search=True)
    assert sent("GET /Observation?code=x", held) == "/Patient/A/Observation?code=x"
    assert sent("GET /Patient/A/*", held).startswith("/Patient/A/*?")


def test_leak_12_a_parameter_the_server_does_not_declare_is_not_relied_on() -> None:
    held = grant("patient/*.rs", unsupported_parameters={"Observation": frozenset({"patient", "subject"})})
    decision = asked("GET /Observation", held)
    assert isinstance(decision, Allow)
    assert decision.send.query == ""
    assert isinstance(decision.keep, KeepMatches)
    assert not decision.keep.exact
    other = grant("patient/*.rs", unsupported_parameters={"Observation": frozenset({"patient"})})
    assert sent("GET /Observation", other) == "/Observation?subject=Patient/A"


KEPT = {
    "a read looks at one resource": ("GET /Observation/1", "patient/*.rs", KeepResource),
    "a search looks at each match": ("GET /Observation", "patient/*.rs", KeepMatches),
    "a history looks at each version": ("GET /Observation/1/_history", "patient/*.rs", KeepVersions),
    "a binary asks who vouches for it": ("GET /Binary/1", "patient/*.rs", KeepBinary),
    "what sees everything needs no look": ("GET /Observation/1", "system/*.rs", Relay),
    "a scope for one type still looks at the type": ("GET /Observation/1", "system/Observation.rs", KeepResource),
}


@pytest.mark.parametrize(("request_", "scopes", "kind"), KEPT.values(), ids=KEPT)
def test_what_is_kept(request_: str, scopes: str, kind: type) -> None:
    decision = asked(request_, grant(scopes))
    assert isinstance(decision, Allow)
    assert isinstance(decision.keep, kind)


@pytest.mark.parametrize("request_", ["GET /Observation/1/_history/2", "GET /Observation/1/_history"])
def test_leak_15_an_old_version_needs_the_current_one_to_be_readable(request_: str) -> None:
    decision = asked(request_, grant("patient/*.rs"))
    assert isinstance(decision, Allow)
    assert str(decision.current) == "Observation/1"


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
    assert sent("GET /Observation", grant("user/*.rs", patient=None, **given)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("user", "reach"),
    [
        ("RelatedPerson/1", PractitionerReach.ALL),
        ("Practitioner/1", PractitionerReach.PANEL),
        ("PractitionerRole/1", PractitionerReach.COMPARTMENT),
    ],
)
def test_a_user_whose_patients_the_token_does_not_tell_must_be_looked_up(user: str, reach: PractitionerReach) -> None:
    decision = asked("GET /Observation", grant("user/*.rs", user=user, practitioner_reach=reach))
    assert isinstance(decision, Need)
    assert str(decision.unknown.user) == user


@pytest.mark.requirement("ID-10")
def test_id_10_the_users_own_resource_is_readable_though_no_scope_names_its_type() -> None:
    held = grant("openid fhirUser patient/Observation.rs", user="Practitioner/9")
    assert sent("GET /Practitioner/9", held) == "/Practitioner/9"
    assert isinstance(asked("GET /Practitioner?_id=9", held), Deny)
    assert isinstance(asked("GET /Practitioner/9", grant("openid patient/Observation.rs", user="Practitioner/9")), Deny)
