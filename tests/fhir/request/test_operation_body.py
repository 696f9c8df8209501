"""The body of an operation has exactly one meaning, or the request is refused."""

import json
from typing import Any

import pytest

from gateway.fhir.request.interaction import Operation, OperationArgument
from gateway.fhir.request.interaction_url import format_interaction_url
from gateway.fhir.request_error import RequestError, RequestProblem
from tests.fhir.request.fhir_requests import FhirRequest

JSON = {"content-type": "application/fhir+json"}
OBSERVATION = {"resourceType": "Observation"}


def post(body: str, **headers: str) -> FhirRequest:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return FhirRequest("POST", "/Patient/A/$everything", {**JSON, **given}, body)


def arguments(body: Any) -> tuple[OperationArgument, ...]:
    interaction = post(json.dumps(body)).parse()
    assert isinstance(interaction, Operation)
    return interaction.arguments


def parameters(*items: Any) -> Any:
    return {"resourceType": "Parameters", "parameter": list(items)}


def test_parameters_are_read_one_by_one() -> None:
    body = parameters({"name": "start", "valueDate": "2020"}, {"name": "resource", "resource": OBSERVATION})
    assert arguments(body) == (
        OperationArgument("start", "valueDate", "2020"),
        OperationArgument("resource", "resource", OBSERVATION, json.dumps(OBSERVATION).encode()),
    )
    assert arguments({"resourceType": "Parameters"}) == ()


def test_a_resource_alone_has_no_name() -> None:
    assert arguments(OBSERVATION) == (OperationArgument("", "resource", OBSERVATION, json.dumps(OBSERVATION).encode()),)


REFUSED = {
    "no resource": ("{}", RequestProblem.BODY_MALFORMED),
    "a list": ("[]", RequestProblem.BODY_MALFORMED),
    "no JSON": ("<Parameters/>", RequestProblem.BODY_MALFORMED),
    "a member twice": ('{"resourceType":"Parameters","resourceType":"Patient"}', RequestProblem.BODY_MALFORMED),
    "a member twice, hidden by an escape": (
        '{"resourceType":"Parameters","parameter":[{"name":"a","n\\u0061me":"b","valueCode":"x"}]}',
        RequestProblem.BODY_MALFORMED,
    ),
    "a number that is none": (
        '{"resourceType":"Parameters","parameter":[{"name":"a","valueDecimal":NaN}]}',
        RequestProblem.BODY_MALFORMED,
    ),
    "depth without end": (
        '{"resourceType":"Parameters","x":' + "[" * 5000 + "]" * 5000 + "}",
        RequestProblem.BODY_MALFORMED,
    ),
    "a second resource beside the parameters": (
        json.dumps({**parameters(), "contained": [OBSERVATION]}),
        RequestProblem.BODY_MALFORMED,
    ),
    "parameters that are no list": (
        '{"resourceType":"Parameters","parameter":{"name":"a"}}',
        RequestProblem.BODY_MALFORMED,
    ),
    "a parameter without a name": (json.dumps(parameters({"valueCode": "x"})), RequestProblem.BODY_MALFORMED),
    "a parameter without a value": (json.dumps(parameters({"name": "a"})), RequestProblem.PARAMETER_INVALID),
    "a parameter with two values": (
        json.dumps(parameters({"name": "a", "valueCode": "x", "valueDate": "2020"})),
        RequestProblem.PARAMETER_INVALID,
    ),
    "a parameter with parts": (
        json.dumps(parameters({"name": "a", "part": [{"name": "b", "valueCode": "x"}]})),
        RequestProblem.PARAMETER_INVALID,
    ),
    "a parameter with an extension": (
        json.dumps(parameters({"name": "a", "valueCode": "x", "extension": []})),
        RequestProblem.PARAMETER_INVALID,
    ),
}


@pytest.mark.parametrize(("body", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_body_is_refused(body: str, problem: RequestProblem) -> None:
    assert post(body).parse_error().problem is problem


MEDIA_TYPES = {
    "none": {"content_type": ""},
    "a form": {"content_type": "application/x-www-form-urlencoded"},
    "XML": {"content_type": "application/fhir+xml"},
    "another character set": {"content_type": "application/fhir+json; charset=latin-1"},
    "another version of FHIR": {"content_type": "application/fhir+json; fhirVersion=5.0"},
    "compression": {"content_encoding": "gzip"},
}


@pytest.mark.parametrize("headers", MEDIA_TYPES.values(), ids=MEDIA_TYPES)
def test_a_body_in_another_form_is_refused(headers: dict[str, str]) -> None:
    assert post('{"resourceType":"Parameters"}', **headers).parse_error().problem is (
        RequestProblem.MEDIA_TYPE_UNSUPPORTED
    )


def test_a_body_may_state_its_character_set_and_the_version_of_fhir() -> None:
    parsed = post('{"resourceType":"Parameters"}', content_type="application/json; charset=UTF-8; fhirVersion=4.0")
    assert isinstance(parsed.parse(), Operation)


def test_an_operation_has_the_url_of_a_get_unless_a_query_cannot_hold_its_body() -> None:
    simple = parameters({"name": "_count", "valueInteger": 2}, {"name": "x", "valueBoolean": True})
    request = FhirRequest("POST", "/Patient/A/$everything?start=2020", JSON, json.dumps(simple))
    assert format_interaction_url(request.parse()) == ("/Patient/A/$everything", "start=2020&_count=2&x=true")
    assert format_interaction_url(post(json.dumps(OBSERVATION)).parse()) == ("", "")


@pytest.mark.parametrize("depth", range(100, 1100, 100))
def test_a_deep_body_is_read_or_refused(depth: int) -> None:
    nested = "[" * depth + "]" * depth
    body = f'{{"resourceType":"Parameters","parameter":[{{"name":"a","resource":{{"x":{nested}}}}}]}}'
    try:
        assert isinstance(post(body).parse(), Operation)
    except RequestError as error:
        assert error.problem is RequestProblem.BODY_MALFORMED
