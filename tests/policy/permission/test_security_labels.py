"""Records with a security label are withheld from tokens that satisfy none of the lists."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.fhir.reference import Reference
from gateway.policy.permission.access import Access
from gateway.policy.permission.security_labels import SecurityLabelRule
from gateway.scopes.model import Letter

SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
RULE = SecurityLabelRule(
    frozenset({f"{SYSTEM}|R", f"{SYSTEM}|V", "PSY"}),
    roles=frozenset({"psychiatrist"}),
    purposes_of_use=frozenset({"urn:p|ETREAT"}),
    scopes=frozenset({"https://example.org/sensitive"}),
    user_types=frozenset({"Practitioner"}),
)
ACCESS = Access("https://issuer.example", "app", "someone", (), 0.0, scope_text="patient/*.rs")
LETTERS = frozenset({Letter.READ})


def coding(code: Any, system: Any = SYSTEM) -> dict[str, Any]:
    return {"system": system, "code": code}


RESOURCES: dict[str, tuple[dict[str, Any], bool]] = {
    "one without meta": ({}, True),
    "one without labels": ({"meta": {"versionId": "1"}}, True),
    "one that is normal": ({"meta": {"security": [coding("N")]}}, True),
    "one that is restricted": ({"meta": {"security": [coding("N"), coding("R")]}}, False),
    "the code in another system": ({"meta": {"security": [coding("R", "urn:other")]}}, True),
    "the code without a system": ({"meta": {"security": [{"code": "V"}]}}, False),
    "a code that counts in every system": ({"meta": {"security": [coding("PSY", "urn:other")]}}, False),
    "a label without a code": ({"meta": {"security": [{"display": "restricted"}]}}, False),
    "a label that is no label": ({"meta": {"security": ["R"]}}, False),
    "labels that are no list": ({"meta": {"security": coding("N")}}, False),
    "a meta that is none": ({"meta": "R"}, False),
    "a meta that is null": ({"meta": None}, False),
    "a labelled one inside": ({"contained": [{"resourceType": "Patient", "meta": {"security": [coding("R")]}}]}, False),
    "a labelled one inside, of no type": ({"contained": [{"meta": {"security": [coding("R")]}}]}, False),
    "one inside": ({"contained": [{"resourceType": "Patient"}]}, True),
    "something else inside": ({"contained": {"meta": {}}}, False),
}


@pytest.mark.parametrize(("resource", "permitted"), RESOURCES.values(), ids=RESOURCES)
def test_a_resource_is_shown_unless_it_may_have_a_label(resource: dict[str, Any], permitted: bool) -> None:
    bound = RULE.bind(ACCESS, LETTERS)
    assert bound is not None
    assert bound.permits(resource) is permitted


ACCESSES: dict[str, tuple[dict[str, Any], bool]] = {
    "no claim": ({}, True),
    "another role": ({"roles": frozenset({"nurse"})}, True),
    "a role": ({"roles": frozenset({"nurse", "psychiatrist"})}, False),
    "a purpose of use": ({"purposes_of_use": frozenset({"urn:p|ETREAT"})}, False),
    "a purpose of use of no system": ({"purposes_of_use": frozenset({"ETREAT"})}, True),
    "a scope": ({"scope_text": "patient/*.rs https://example.org/sensitive"}, False),
    "the beginning of a scope": ({"scope_text": "https://example.org/sensitive2"}, True),
    "a practitioner": ({"user": Reference("Practitioner", "1")}, False),
    "a patient": ({"user": Reference("Patient", "1")}, True),
}


@pytest.mark.parametrize(("claims", "limited"), ACCESSES.values(), ids=ACCESSES)
def test_the_rule_limits_a_token_that_satisfies_no_list(claims: dict[str, Any], limited: bool) -> None:
    assert (RULE.bind(replace(ACCESS, **claims), LETTERS) is not None) is limited
