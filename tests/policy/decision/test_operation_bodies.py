"""Operations with a body: what of it is sent, and what makes it refused before anything is sent."""

import json
from typing import Any

import pytest

from gateway.fhir.reference import Reference
from gateway.policy.decision_types import Allow, Deny
from gateway.policy.operation_filter import OperationFilter
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.rules import WriteRules
from gateway.policy.reasons import Reason
from tests.policy.decision.operation_decisions import SWITCHED_ON, decide_operation, operation_grant, parameters

OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
OF_A = {**OBSERVATION, "subject": {"reference": "Patient/A"}}
OF_B = {**OBSERVATION, "subject": {"reference": "Patient/B"}}

BODIES: dict[str, tuple[str, Any, str]] = {
    "a value set that is sent along": (
        "POST /ValueSet/$expand",
        parameters(
            {"name": "valueSet", "resource": {"resourceType": "ValueSet"}}, {"name": "filter", "valueString": "x"}
        ),
        '{"resourceType":"Parameters","parameter":[{"name":"valueSet","resource":{"resourceType": "ValueSet"}},'
        '{"name":"filter","valueString":"x"}]}',
    ),
    "a resource without Parameters around it": (
        "POST /Observation/$validate?mode=create",
        OF_A,
        '{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"create"},'
        f'{{"name":"resource","resource":{json.dumps(OF_A)}}}]}}',
    ),
    "a code that is sent along": (
        "POST /CodeSystem/$lookup",
        parameters({"name": "coding", "valueCoding": {"system": "http://x", "code": "y"}}),
        '{"resourceType":"Parameters","parameter":[{"name":"coding","valueCoding":{"system":"http://x","code":"y"}}]}',
    ),
}


@pytest.mark.parametrize(("request_", "body", "sent"), BODIES.values(), ids=BODIES)
def test_is_sent_as_parameters(request_: str, body: Any, sent: str) -> None:
    decision = decide_operation(request_, operation_grant("patient/*.cruds patient/Observation.c"), body)
    assert isinstance(decision, Allow), decision
    assert decision.upstream_request.body.decode() == sent


def test_values_that_fit_a_query_are_sent_as_one_wherever_they_came_from() -> None:
    body = parameters({"name": "_count", "valueInteger": 3}, {"name": "start", "valueDate": "2020-01-01"})
    decision = decide_operation("POST /Patient/A/$everything", operation_grant("patient/*.rs"), body)
    assert isinstance(decision, Allow)
    assert decision.upstream_request.target == "/Patient/A/$everything?_count=3&start=2020-01-01"


REFUSED_BODIES: dict[str, tuple[str, Any, Reason]] = {
    "the record of another patient": ("/Observation/$validate", OF_B, Reason.WRITE_OUT_OF_REACH),
    "two patients": (
        "/Observation/$validate",
        {**OF_A, "performer": [{"reference": "Patient/B"}]},
        Reason.WRITE_OUT_OF_REACH,
    ),
    "a search in the place of a reference": (
        "/Observation/$validate",
        {**OF_A, "encounter": {"reference": "Encounter?identifier=x"}},
        Reason.REFERENCE_REFUSED,
    ),
    "a resource of another type": ("/Observation/$validate", {"resourceType": "Patient"}, Reason.PARAMETER_INVALID),
    "another record than the address": ("/Observation/o/$validate", {**OF_A, "id": "p"}, Reason.PARAMETER_INVALID),
    "a mode that asks whether the record may be deleted": (
        "/Observation/o/$validate",
        parameters({"name": "resource", "resource": OF_A}, {"name": "mode", "valueCode": "delete"}),
        Reason.PARAMETER_INVALID,
    ),
    "a parameter in the query and in the body": (
        "/Observation/$validate?mode=create",
        parameters({"name": "resource", "resource": OF_A}, {"name": "mode", "valueCode": "create"}),
        Reason.PARAMETER_REPEATED,
    ),
    "a value of another kind": (
        "/Patient/A/$everything",
        parameters({"name": "start", "valueString": "2020"}),
        Reason.PARAMETER_INVALID,
    ),
    "a resource where none belongs": ("/Patient/A/$everything", OF_A, Reason.PARAMETER_UNKNOWN),
    "a Patient in the place of a value set": (
        "/ValueSet/$expand",
        parameters({"name": "valueSet", "resource": {"resourceType": "Patient"}}),
        Reason.PARAMETER_INVALID,
    ),
    "a value set that refers to a record": (
        "/ValueSet/$expand",
        parameters(
            {
                "name": "valueSet",
                "resource": {"resourceType": "ValueSet", "extension": [{"valueReference": {"reference": "Patient/B"}}]},
            }
        ),
        Reason.PARAMETER_INVALID,
    ),
    "demographics with a reference to a record": (
        "/Patient/$match",
        {"resourceType": "Patient", "link": [{"other": {"reference": "Patient/B"}}]},
        Reason.PARAMETER_INVALID,
    ),
    "a Coding with more than a code": (
        "/CodeSystem/$lookup",
        parameters({"name": "coding", "valueCoding": {"code": "y", "extension": []}}),
        Reason.PARAMETER_INVALID,
    ),
}


@pytest.mark.parametrize(("path", "body", "reason"), REFUSED_BODIES.values(), ids=REFUSED_BODIES)
def test_a_body_is_refused(path: str, body: Any, reason: Reason) -> None:
    grant = operation_grant("patient/*.cruds", operations=SWITCHED_ON)
    decision = decide_operation(f"POST {path}", grant, body)
    assert isinstance(decision, Deny), decision
    assert decision.reason is reason


def looked_up(grant: Grant, body: Any) -> list[Reference]:
    """The records that are looked up before the resource is sent."""
    decision = decide_operation("POST /Observation/$validate", grant, body)
    assert isinstance(decision, Allow), decision
    assert isinstance(decision.response_filter, OperationFilter)
    return [record for sent in decision.response_filter.sent_references for record in sent.records]


def test_the_references_of_a_resource_are_looked_up_before_it_is_sent() -> None:
    body = {**OF_A, "encounter": {"reference": "Encounter/e"}}
    scopes = "patient/Observation.c"
    assert looked_up(operation_grant(scopes), body) == [Reference("Encounter", "e")]
    unchecked_writes = operation_grant(scopes, writes=WriteRules(check_references=False))
    assert looked_up(unchecked_writes, body) == [Reference("Encounter", "e")]
    assert looked_up(operation_grant("system/Observation.c"), body) == []


def test_a_new_resource_that_refers_to_its_own_id_refers_to_a_record() -> None:
    body = {**OF_A, "id": "b-1", "hasMember": [{"reference": "Observation/b-1"}]}
    assert looked_up(operation_grant("patient/Observation.c"), body) == [Reference("Observation", "b-1")]
