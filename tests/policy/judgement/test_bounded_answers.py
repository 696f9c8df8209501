"""Answers of `$validate` and of terminology operations, from a server that puts other records into every text."""

import json
from typing import Any

import pytest

from gateway.fhir.resources.resource import Members, read_resource
from gateway.policy.judgement.bounded_outcome import bound_outcome
from gateway.policy.judgement.terminology_answer import is_permitted_definition, keep_terminology_parameters
from gateway.policy.permission.operation_rule import TerminologyAnswer
from gateway.policy.permission.security_labels import SecurityLabelRule
from tests.policy.grants import make_grant

Resource = dict[str, Any]
MARK = "canary of another patient"
SENT: Resource = {
    "resourceType": "Observation",
    "status": "final",
    "valueQuantity": {"value": 1},
    "component": [{"code": {"coding": [{"code": "x"}]}}],
}


def opened(resource: Any) -> Members:
    return read_resource(json.dumps(resource, separators=(",", ":")).encode())[0]


def issue(**members: Any) -> Resource:
    return {"severity": "error", "code": "invalid", **members}


def outcome(*issues: Any, **members: Any) -> Resource:
    return {"resourceType": "OperationOutcome", "issue": list(issues), **members}


PLACES = {
    "an element": ("Observation.status", "Observation.status"),
    "an element of a list": ("Observation.component[0].code", "Observation.component[0].code"),
    "an element of a list without its number": ("Observation.component.code", "Observation.component.code"),
    "an item that was not sent": ("Observation.component[1].code", "Observation"),
    "an element that was not sent": ("Observation.component[0].smith", "Observation.component[0]"),
    "a choice": ("Observation.value.ofType(Quantity).value", "Observation.value.ofType(Quantity).value"),
    "a choice that was not sent": ("Observation.value.ofType(Smith)", "Observation"),
    "a criterion": (f"Observation.where(text='{MARK}')", "Observation"),
    "the record of another patient": ("Patient/b", None),
    "a type that begins alike": ("ObservationOfSmith", None),
    "no text": (17, None),
}


@pytest.mark.parametrize(("said", "kept"), PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("element", ["expression", "location"])
def test_of_a_place_is_kept_what_leads_to_what_was_sent(element: str, said: Any, kept: str | None) -> None:
    found = json.loads(bound_outcome(opened(outcome(issue(**{element: [said]}))), SENT))
    assert found["issue"][0].get("expression") == (None if kept is None else [kept])


OUTCOMES: dict[str, tuple[Resource, list[Resource]]] = {
    "texts": (
        outcome(
            issue(diagnostics=MARK, details={"text": MARK, "coding": [{"code": MARK, "display": MARK}]}),
            text={"div": MARK},
            id=MARK,
            extension=[{"url": MARK}],
        ),
        [issue()],
    ),
    "words that FHIR does not have": (
        outcome(issue(severity=MARK, code=MARK), issue(severity=["error"], code={})),
        [issue(code="processing"), issue(code="processing")],
    ),
    "an outcome in Parameters": (
        {
            "resourceType": "Parameters",
            "parameter": [{"name": MARK, "valueString": MARK}, {"name": "return", "resource": outcome(issue())}],
        },
        [issue()],
    ),
    "no outcome": ({"resourceType": "Parameters"}, [{"severity": "information", "code": "informational"}]),
    "issues that are none": (outcome(MARK, None, []), [{"severity": "information", "code": "informational"}]),
    "issues in no list": (
        {"resourceType": "OperationOutcome", "issue": MARK},
        [{"severity": "information", "code": "informational"}],
    ),
}


@pytest.mark.parametrize(("answer", "issues"), OUTCOMES.values(), ids=OUTCOMES)
def test_of_an_outcome_are_kept_fixed_words_alone(answer: Resource, issues: list[Resource]) -> None:
    found = bound_outcome(opened(answer), SENT)
    assert json.loads(found) == outcome(*issues)
    assert MARK.encode() not in found


LOOKUP = TerminologyAnswer(frozenset({"ValueSet"}), frozenset({"display", "property", "code", "value", "definition"}))
DEFINITION: Resource = {"resourceType": "ValueSet", "status": "active"}
PARAMETERS: dict[str, tuple[Resource, Resource | None]] = {
    "a text": ({"name": "display", "valueString": "Male"}, {"name": "display", "valueString": "Male"}),
    "a number": ({"name": "value", "valueInteger": 1}, {"name": "value", "valueInteger": 1}),
    "a truth": ({"name": "value", "valueBoolean": True}, {"name": "value", "valueBoolean": True}),
    "a code with more beside it": (
        {"name": "value", "valueCoding": {"code": "x", "userSelected": MARK, "extension": [MARK], "display": [MARK]}},
        {"name": "value", "valueCoding": {"code": "x"}},
    ),
    "parts": (
        {"name": "property", "part": [{"name": "code", "valueCode": "x"}, {"name": MARK, "valueString": MARK}]},
        {"name": "property", "part": [{"name": "code", "valueCode": "x"}]},
    ),
    "a definition": ({"name": "definition", "resource": DEFINITION}, {"name": "definition", "resource": DEFINITION}),
    "a parameter that the rule does not name": ({"name": "message", "valueString": MARK}, None),
    "a name with a text in it": ({"name": f"display {MARK}", "valueString": "x"}, None),
    "an extension": ({"name": "display", "extension": [{"url": MARK}]}, None),
    "a reference": ({"name": "value", "valueReference": {"display": MARK}}, None),
    "an attachment": ({"name": "value", "valueAttachment": {"title": MARK}}, None),
    "a name of a person": ({"name": "value", "valueHumanName": {"text": MARK}}, None),
    "a list where a text belongs": ({"name": "display", "valueString": [MARK]}, None),
    "a resource of another type": ({"name": "definition", "resource": {**DEFINITION, "resourceType": "Basic"}}, None),
}


@pytest.mark.parametrize(("said", "kept"), PARAMETERS.values(), ids=PARAMETERS)
def test_of_parameters_are_kept_named_values_of_simple_types(said: Resource, kept: Resource | None) -> None:
    body = {"resourceType": "Parameters", "parameter": [said], "id": MARK}
    found = keep_terminology_parameters(opened(body), LOOKUP, make_grant("patient/ValueSet.r"))
    assert json.loads(found).get("parameter", []) == ([] if kept is None else [kept])
    assert MARK.encode() not in found


def test_a_definition_is_judged_as_a_record_of_its_type() -> None:
    rule = SecurityLabelRule(frozenset({"urn:c|R"}))
    labelled = {**DEFINITION, "meta": {"security": [{"system": "urn:c", "code": "R"}]}}
    limited = make_grant("patient/ValueSet.r", record_rules=(rule,))
    assert is_permitted_definition(opened(DEFINITION), limited)
    assert not is_permitted_definition(opened(labelled), limited)
    assert is_permitted_definition(opened(labelled), make_grant("patient/ValueSet.r"))
    assert not is_permitted_definition(opened(DEFINITION), make_grant("patient/Observation.r"))


@pytest.mark.parametrize(
    "place",
    [lambda hidden: {"compose": hidden}, lambda hidden: {"extension": [{"url": "urn:x", "valueReference": hidden}]}],
    ids=["in an element", "in an extension"],
)
def test_a_definition_in_parameters_hides_none_that_is_withheld(place: Any) -> None:
    rule = SecurityLabelRule(frozenset({"urn:c|R"}))
    hidden = {**DEFINITION, "meta": {"security": [{"system": "urn:c", "code": "R"}]}, "title": MARK}
    said = {"name": "definition", "resource": {**DEFINITION, **place(hidden)}}
    members = opened({"resourceType": "Parameters", "parameter": [said]})
    found = keep_terminology_parameters(members, LOOKUP, make_grant("patient/ValueSet.r", record_rules=(rule,)))
    assert json.loads(found) == {"resourceType": "Parameters"}


def test_a_type_is_no_pattern() -> None:
    found = bound_outcome(opened(outcome(issue(expression=[MARK]))), {"resourceType": f".{{{len(MARK)}}}"})
    assert json.loads(found) == outcome(issue())
    assert bound_outcome(opened(outcome(issue(expression=[MARK]))), {"resourceType": "canary.{20}"}) == found
