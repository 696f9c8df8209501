"""The targets that may vouch for a Provenance, and decisions on Binaries."""

import json
from typing import Any

import pytest

from gateway.fhir.reference import Reference
from gateway.fhir.request.parse_request import parse_request
from gateway.fhir.resources.resource import open_resource
from gateway.policy.decision.explain_decision import explain
from gateway.policy.decision_types import Allow, BinaryFilter, PassThrough
from gateway.policy.judgement.compartment_members import is_member
from gateway.policy.judgement.judge_resource import Judgement, judge_resource
from gateway.policy.judgement.provenance_targets import ProvenanceTargets
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.reach import CompartmentSet
from tests.policy.grants import PUBLIC, UPSTREAM, decide_request, make_grant

OF_A, OF_C = CompartmentSet("Patient", frozenset({"A"})), CompartmentSet("Patient", frozenset({"C"}))
BOTH = "patient/Provenance.r user/Provenance.r"


def judge_provenance(grant: Grant, *targets: str, **members: Any) -> Judgement:
    """The judgement on reading a Provenance of these targets."""
    provenance = {
        "resourceType": "Provenance",
        "id": "p",
        "target": [{"reference": target} for target in targets],
        **members,
    }
    return judge_resource(open_resource(json.dumps(provenance).encode()), grant.read_permission("Provenance"), grant)


def test_the_reach_of_each_unit_that_would_permit_it_counts() -> None:
    grant = make_grant(BOTH, user="Patient/C")
    assert judge_provenance(grant, "Observation/1") == ProvenanceTargets(
        (Reference("Observation", "1"),), frozenset({OF_A, OF_C})
    )


def test_a_unit_to_which_a_target_is_a_stranger_does_not_count() -> None:
    grant = make_grant(BOTH.replace("Provenance.r", "Provenance.r?_id=p", 1), user="Patient/C")
    contained = [{"resourceType": "Patient", "id": "C"}]
    assert judge_provenance(grant, "Observation/1", contained=contained) == ProvenanceTargets(
        (Reference("Observation", "1"),), frozenset({OF_C})
    )


@pytest.mark.parametrize("shared", ["Organization/1", "Practitioner/1", "Medication/1", "Binary/1", "ValueSet/1"])
def test_a_type_that_is_nobodys_vouches_for_nothing(shared: str) -> None:
    grant = make_grant("patient/*.rs")
    assert judge_provenance(grant, shared) is False
    assert judge_provenance(grant, shared, "Observation/1") == ProvenanceTargets(
        (Reference("Observation", "1"),), frozenset({OF_A})
    )


def test_a_target_is_named_once_and_without_its_version() -> None:
    named = ("Observation/1/_history/2", f"{PUBLIC}/Observation/1", f"{UPSTREAM}/Observation/1", "#1", "urn:uuid:1")
    judgement = judge_provenance(make_grant("patient/*.rs"), *named)
    assert judgement == ProvenanceTargets((Reference("Observation", "1"),), frozenset({OF_A}))


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
    assert is_member(open_resource(text), [OF_C, OF_A], make_grant("patient/*.rs").rules) is expected


def test_what_has_two_meanings_belongs_to_none() -> None:
    twice = b'{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/B","reference":"Patient/A"}}'
    assert not is_member(open_resource(twice), [OF_A], make_grant("patient/*.rs").rules)


DECIDED = {
    "every record of every type": ("system/*.rs", PassThrough),
    "every Binary alone": ("system/Binary.rs", BinaryFilter),
    "every Binary, and a patient's records": ("system/Binary.rs patient/*.rs", BinaryFilter),
    "some Binaries": ("system/Binary.rs?_id=1", BinaryFilter),
}


@pytest.mark.parametrize(("scopes", "keep"), DECIDED.values(), ids=DECIDED)
def test_a_binary_leaves_unread_only_to_a_token_for(scopes: str, keep: type) -> None:
    decision = decide_request("GET /Binary/1", make_grant(scopes))
    assert isinstance(decision, Allow)
    assert isinstance(decision.response_filter, keep)


EXPLAINED = {
    "what must vouch for it": (
        b"/Binary/1",
        "patient/*.rs",
        "Verified      its security context, or a record that it is attached to, must be visible within reach",
    ),
    "that two versions are judged": (
        b"/Binary/1/_history/2",
        "patient/*.rs",
        "Verified      its security context, or a record that it is attached to, must be visible within reach; "
        "the same holds for the current version",
    ),
    "that it is judged by itself": (
        b"/Binary/1",
        "system/Binary.rs",
        "Verified      as FHIR JSON, it must be the requested Binary and within its unit",
    ),
}


@pytest.mark.parametrize(("path", "scopes", "line"), EXPLAINED.values(), ids=EXPLAINED)
def test_an_explanation_of_a_binary_says(path: bytes, scopes: str, line: str) -> None:
    explanation = explain(parse_request("GET", path, b"", {}, b""), make_grant(scopes))
    assert line in map(str, explanation.lines)
