"""The explanation of a decision, line by line."""

import pytest

from gateway.fhir.request.parse_request import parse_request
from gateway.policy.decision.explain_decision import explain
from gateway.policy.decision.explanation import Outcome
from gateway.policy.reasons import Reason
from gateway.policy.remedies import REMEDIES as FALLBACKS
from tests.policy.grants import make_grant

EXPLAINED = {
    "what is sent": (
        "/Observation?code=1234-5",
        "patient/Observation.rs?category=lab",
        "Sent          GET http://upstream.example/fhir/Observation?patient=Patient/A&category=lab&code=1234-5",
    ),
    "which unit is considered": (
        "/Observation",
        "patient/Observation.rs?category=lab",
        "Unit (s)      patient/Observation.rs?category=lab: Observation in the compartment of Patient/A, "
        "with category as the scope requires",
    ),
    "a refusal with the scope that would help": (
        "/Observation",
        "patient/Observation.r",
        "Would help    the scope patient/Observation.s",
    ),
    "what a refusal is": (
        "/Observation",
        "patient/Observation.r",
        "Outcome       refused, 403 scope_insufficient: No scope of the access token allows this.",
    ),
    "a scope about something else": (
        "/Observation",
        "patient/Condition.rs",
        "Scope         patient/Condition.rs: is about Condition, not Observation",
    ),
    "what must hold first": (
        "/Observation/1/_history",
        "patient/*.rs",
        "First         the current version of Observation/1 must be readable",
    ),
    "an include left out": (
        "/Patient?_revinclude=Observation:subject",
        "patient/Patient.rs",
        "Left out      _revinclude=Observation:subject",
    ),
    "a scope with a modifier, which is not evaluated": (
        "/Observation",
        "patient/Observation.rs?category:not=lab",
        "Scope         patient/Observation.rs?category:not=lab: grants nothing: Observation?category: "
        "the modifier :not is not evaluated here",
    ),
    "a scope with an approximate date": (
        "/Patient/A",
        "patient/Patient.rs?birthdate=ap2000",
        "Scope         patient/Patient.rs?birthdate=ap2000: grants nothing: Patient?birthdate: "
        "an approximate comparison is not evaluated here",
    ),
    "a wildcard scope whose parameter the type does not have": (
        "/Patient/A",
        "patient/*.rs?category=lab",
        "Scope         patient/*.rs?category=lab: grants nothing: Patient?category: "
        "the type has no such search parameter",
    ),
    "a scope that names other types": (
        "/Patient/A",
        "patient/*.rs?_type=Observation",
        "Scope         patient/*.rs?_type=Observation: grants nothing: its _type does not name Patient",
    ),
    "a scope that only writes": (
        "/Patient/A",
        "patient/*.cud",
        "Scope         patient/*.cud: grants nothing for this request, which needs r or s",
    ),
    "a scope whose context the token lacks": (
        "/Patient/A",
        "user/*.rs",
        "Scope         user/*.rs: grants nothing: user_reach_unknown, "
        "The token has user/ scopes, but its user has no known reach.",
    ),
    "a scope for a type outside every compartment": (
        "/Library/1",
        "patient/*.rs",
        "Scope         patient/*.rs: grants nothing: Library belongs to no compartment and is not in "
        "compartments.shared_types",
    ),
    "a read that depends on the record": (
        "/Observation/1",
        "patient/Observation.rs?category=lab",
        "Outcome       404, unless the record is Observation in the compartment of Patient/A, "
        "with category as the scope requires; then 200",
    ),
    "a read of everything": ("/Observation/1", "system/*.rs", "Outcome       permitted, if the record exists"),
    "a page of a search": (
        "/?_page=abc",
        "patient/*.rs",
        "Outcome       depends on the search or history that the link was made for; explain that instead",
    ),
    "what sees everything": ("/Observation/1", "system/*.rs", "Verified      nothing: the token sees every record"),
    "a shared type": (
        "/Practitioner/1",
        "patient/*.rs",
        "Unit (r)      patient/*.rs: any Practitioner by its id (shared type, no open search)",
    ),
}


@pytest.mark.parametrize(("url", "scopes", "line"), EXPLAINED.values(), ids=EXPLAINED)
def test_an_explanation_says(url: str, scopes: str, line: str) -> None:
    path, _, query = url.partition("?")
    explanation = explain(parse_request("GET", path.encode(), query.encode(), {}, b""), make_grant(scopes))
    assert line in [str(line) for line in explanation.all_lines()]


REMEDIES = {
    "the letter that is missing": ("/Observation", "patient/Observation.r", "the scope patient/Observation.s"),
    "the type that is missing": ("/Condition/1", "patient/Observation.rs", "the scope patient/Condition.r"),
    "the scope of an included criterion": (
        "/Observation?subject:Patient.name=x",
        "patient/Observation.rs",
        "the scope patient/Patient.s",
    ),
    "a shared type that may be searched": (
        "/Practitioner?name=x",
        "patient/*.rs",
        "the setting compartments.searchable_shared_types with Practitioner",
    ),
    "a type that may be shared": ("/Library/1", "patient/*.rs", "the setting compartments.shared_types with Library"),
    "a FHIR server that searches compartments": (
        "/Patient/A/*",
        "patient/*.rs",
        "the setting upstream.compartment_search: true, if the FHIR server supports it",
    ),
    "what helps in general": (
        "/Observation/$lastn",
        "patient/*.rs",
        "reads and searches instead; the setting operations adds what the manifest lacks",
    ),
}


@pytest.mark.parametrize(("url", "scopes", "remedy"), REMEDIES.values(), ids=REMEDIES)
def test_a_refusal_ends_with_what_would_help(url: str, scopes: str, remedy: str) -> None:
    path, _, query = url.partition("?")
    explanation = explain(parse_request("GET", path.encode(), query.encode(), {}, b""), make_grant(scopes))
    assert explanation.outcome is Outcome.REFUSED
    assert remedy in explanation.remedies
    assert str(explanation.all_lines()[-1]).startswith("Would help    ")


WRITES = {
    "what is asked first": (
        "PUT /Observation/1",
        "patient/Observation.u",
        "First         GET http://upstream.example/fhir/Observation/1",
    ),
    "what must find one resource": (
        "PATCH /Observation?code=x",
        "patient/Observation.us",
        "First         GET http://upstream.example/fhir/Observation?patient=Patient/A&code=x, which must find one "
        "resource at most",
    ),
    "what must hold for what is stored": (
        "DELETE /Observation/1",
        "patient/Observation.d",
        "Verified      what is stored must be within one of the units, and about nobody else",
    ),
    "what must hold for what the body refers to": (
        "POST /Observation",
        "patient/Observation.c",
        "Verified      records that the body refers to must belong to the same compartment",
    ),
    "what is sent": (
        "PUT /Observation/1",
        "patient/Observation.u",
        "Sent          PUT http://upstream.example/fhir/Observation/1 with If-Match of the version that was verified",
    ),
    "what does not come back": (
        "POST /Observation",
        "patient/Observation.c",
        "Left out      the body of the response: no scope has r for Observation",
    ),
    "whose a Binary has to be": (
        "PUT /Binary/1",
        "patient/Binary.u",
        "Verified      its securityContext, stored and written, must lead into the reach of the unit",
    ),
    "what else vouches for a new Binary": (
        "POST /Binary",
        "patient/Binary.c",
        "Verified      without one, a resource of the same transaction that points at it must be within reach",
    ),
    "to what the delete of a Binary is tied": (
        "DELETE /Binary/1",
        "patient/Binary.d",
        "Sent          DELETE http://upstream.example/fhir/Binary?_id=1 and the time of the version that was verified",
    ),
    "a delete of any Binary": (
        "DELETE /Binary/1",
        "system/Binary.d",
        "Sent          DELETE http://upstream.example/fhir/Binary/1",
    ),
    "on what it depends": ("DELETE /Observation/1", "patient/*.d", "Outcome       depends on what is stored; then 204"),
    "the letter that counts": (
        "PUT /Observation/1",
        "patient/Observation.cd",
        "Scope         patient/Observation.cd: grants nothing for this request, which needs u",
    ),
    "the scope that would help": (
        "PUT /Observation/1",
        "patient/Observation.rs",
        "Would help    the scope patient/Observation.u",
    ),
    "both letters of a conditional write": (
        "DELETE /Observation?code=x",
        "patient/Observation.d",
        "Would help    the scope patient/Observation.s",
    ),
}


@pytest.mark.parametrize(("request_", "scopes", "line"), WRITES.values(), ids=WRITES)
def test_an_explanation_of_a_write_says(request_: str, scopes: str, line: str) -> None:
    method, _, url = request_.partition(" ")
    path, _, query = url.partition("?")
    explanation = explain(parse_request(method, path.encode(), query.encode(), {}, b""), make_grant(scopes))
    assert line in [str(line) for line in explanation.all_lines()]


def test_every_reason_has_a_remedy() -> None:
    assert set(FALLBACKS) == set(Reason) - {Reason.PERMITTED}
