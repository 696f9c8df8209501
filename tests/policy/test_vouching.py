"""Which targets may vouch for a Provenance, and how a Binary is decided on."""

import json
from typing import Any

import pytest

from gateway.fhir.reference import Reference
from gateway.fhir.request import parse_request
from gateway.fhir.resource import open_resource
from gateway.policy.decision import Allow, KeepBinary, Relay
from gateway.policy.explain import explain
from gateway.policy.grant import Grant
from gateway.policy.judge import Judgement, Targets, belongs, judge
from gateway.policy.reach import Compartments
from tests.policy.grants import PUBLIC, UPSTREAM, asked, grant

OF_A, OF_C = Compartments("Patient", frozenset({"A"})), Compartments("Patient", frozenset({"C"}))
BOTH = "patient/Provenance.r user/Provenance.r"


def judged(held: Grant, *targets: str, **members: Any) -> Judgement:
    """The judgement on reading a Provenance of these targets."""
    provenance = {"resourceType": "Provenance", "id": "p", "target": [{"reference": one} for one in targets], **members}
    return judge(open_resource(json.dumps(provenance).encode()), held.read("Provenance"), held)


def test_the_reach_of_each_unit_that_would_permit_it_counts() -> None:
    held = grant(BOTH, user="Patient/C")
    assert judged(held, "Observation/1") == Targets((Reference("Observation", "1"),), frozenset({OF_A, OF_C}))


def test_a_unit_to_which_a_target_is_a_stranger_does_not_count() -> None:
    held = grant(BOTH.replace("Provenance.r", "Provenance.r?_id=p", 1), user="Patient/C")
    contained = [{"resourceType": "Patient", "id": "C"}]
    assert judged(held, "Observation/1", contained=contained) == Targets(
        (Reference("Observation", "1"),), frozenset({OF_C})
    )


@pytest.mark.parametrize("shared", ["Organization/1", "Practitioner/1", "Medication/1", "Binary/1", "ValueSet/1"])
def test_a_type_that_is_nobodys_vouches_for_nothing(shared: str) -> None:
    held = grant("patient/*.rs")
    assert judged(held, shared) is False
    assert judged(held, shared, "Observation/1") == Targets((Reference("Observation", "1"),), frozenset({OF_A}))


def test_a_target_is_named_once_and_without_its_version() -> None:
    named = ("Observation/1/_history/2", f"{PUBLIC}/Observation/1", f"{UPSTREAM}/Observation/1", "#1", "urn:uuid:1")
    judgement = judged(grant("patient/*.rs"), *named)
    assert judgement == Targets((Reference("Observation", "1"),), frozenset({OF_A}))


BELONGING = {
    "a record of the patient": ({"subject": {"reference": "Patient/A"}}, True),
    "a record of another": ({"subject": {"reference": "Patient/B"}}, False),
    "a record of the patient that contains another": (
        {"subject": {"reference": "Patient/A"}, "contained": [{"resourceType": "Patient", "id": "B"}]},
        False,
    ),
    "a record of nobody": ({}, False),
}


@pytest.mark.parametrize(("members", "expected"), BELONGING.values(), ids=BELONGING)
def test_who_belongs_to_a_compartment(members: dict[str, Any], expected: bool) -> None:
    text = json.dumps({"resourceType": "Observation", "id": "1", **members}).encode()
    assert belongs(open_resource(text), [OF_C, OF_A], grant("patient/*.rs").rules) is expected


def test_what_has_two_meanings_belongs_to_none() -> None:
    twice = b'{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/B","reference":"Patient/A"}}'
    assert not belongs(open_resource(twice), [OF_A], grant("patient/*.rs").rules)


DECIDED = {
    "every record of every type": ("system/*.rs", Relay),
    "every Binary alone": ("system/Binary.rs", KeepBinary),
    "every Binary, and a patient's records": ("system/Binary.rs patient/*.rs", KeepBinary),
    "some Binaries": ("system/Binary.rs?_id=1", KeepBinary),
}


@pytest.mark.parametrize(("scopes", "keep"), DECIDED.values(), ids=DECIDED)
def test_a_binary_leaves_unread_only_to_a_token_for(scopes: str, keep: type) -> None:
    decision = asked("GET /Binary/1", grant(scopes))
    assert isinstance(decision, Allow)
    assert isinstance(decision.keep, keep)


EXPLAINED = {
    "what must vouch for it": (
        "patient/*.rs",
        "Verified      its security context, or a DocumentReference that points at it, must be visible within reach",
    ),
    "that it is judged by itself": (
        "system/Binary.rs",
        "Verified      in JSON it must be the Binary asked for, and within its unit",
    ),
}


@pytest.mark.parametrize(("scopes", "line"), EXPLAINED.values(), ids=EXPLAINED)
def test_an_explanation_of_a_binary_says(scopes: str, line: str) -> None:
    assert line in explain(parse_request("GET", b"/Binary/1", b"", {}, b""), grant(scopes))
