"""A resource nested in another one where FHIR does not allow it is refused, because the policy would not judge it."""

import json
from typing import Any

import pytest

from gateway.fhir.resources.bundle import read_bundle
from gateway.fhir.resources.resource import MalformedResourceError, read_resource

PATIENT = {"resourceType": "Patient", "id": "B", "name": [{"family": "Secret"}]}
OWN = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/A"}}
NESTED: dict[str, dict[str, Any]] = {
    "beside a reference": {"hasMember": [{"reference": "#x", "resource": PATIENT}]},
    "as an entry of what is no Bundle": {"entry": [{"resource": PATIENT}]},
    "as a parameter of what is no Parameters": {"parameter": [{"name": "p", "resource": PATIENT}]},
    "as the value of an extension": {"extension": [{"url": "urn:x", "valueReference": {"resource": PATIENT}}]},
    "as a member of its own": {"patient": PATIENT},
    "in an element's underscore twin": {"_status": {"extension": [{"resource": PATIENT}]}},
}
HARMLESS: dict[str, dict[str, Any]] = {
    "one in contained, which the policy judges": {"contained": [PATIENT]},
    "the word in a text": {"note": [{"text": 'a "resourceType" of Patient'}]},
    "the word as a value": {"code": {"text": "resourceType"}},
}
RESOURCE_CONTAINERS: dict[str, dict[str, Any]] = {
    "a Bundle": {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": [{"resource": PATIENT}]},
    "Parameters": {"resourceType": "Parameters", "id": "p", "parameter": [{"name": "x", "resource": PATIENT}]},
}


def encode_bundle(*resources: Any) -> bytes:
    return json.dumps(
        {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": resource} for resource in resources]}
    ).encode()


@pytest.mark.parametrize("members", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("compact", [True, False], ids=["compact", "with white space"])
def test_a_resource_with_another_in_an_odd_place_has_no_meaning(members: dict[str, Any], compact: bool) -> None:
    text = json.dumps({**OWN, **members}, separators=(",", ":") if compact else None).encode()
    with pytest.raises(MalformedResourceError):
        read_resource(text)


@pytest.mark.parametrize("members", NESTED.values(), ids=NESTED)
def test_on_a_page_it_is_left_out_alone(members: dict[str, Any]) -> None:
    bundle = read_bundle(encode_bundle(OWN, {**OWN, **members}, OWN))
    assert [bool(entry.resource) for entry in bundle.entry] == [True, False, True]


def test_an_entry_that_names_no_type_does_not_make_up_for_one_that_names_two() -> None:
    bundle = read_bundle(encode_bundle({**OWN, "patient": PATIENT}, {"id": "untyped"}))
    assert bundle.entry[0].resource == {}


def escape_resource_type(value: Any, resource_type: str) -> bytes:
    """Encode as JSON, with an escape in the member name `resourceType` of that type."""
    plain = json.dumps(value)
    return plain.replace(f'"resourceType": "{resource_type}"', f'"resource\\u0054ype": "{resource_type}"').encode()


@pytest.mark.parametrize("members", NESTED.values(), ids=NESTED)
def test_an_escape_in_the_name_hides_no_resource(members: dict[str, Any]) -> None:
    with pytest.raises(MalformedResourceError):
        read_resource(escape_resource_type({**OWN, **members}, "Patient"))
    text = json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": {**OWN, **members}}]})
    assert read_bundle(escape_resource_type(json.loads(text), "Patient")).entry[0].resource == {}


@pytest.mark.parametrize("decoy", ["Bundle", "Basic"])
def test_an_escape_elsewhere_does_not_make_up_for_a_resource_too_many(decoy: str) -> None:
    entries = [{"resource": {**OWN, "patient": PATIENT}}, {"resource": {"resourceType": "Basic", "id": "b"}}]
    bundle = read_bundle(escape_resource_type({"resourceType": "Bundle", "type": "searchset", "entry": entries}, decoy))
    assert bundle.entry[0].resource == {}


def test_the_one_element_of_r4_that_has_the_name_is_no_resource() -> None:
    scenario = {
        "resourceType": "ExampleScenario",
        "id": "e",
        "instance": [{"resourceId": "i", "resourceType": "Patient"}],
    }
    assert read_resource(json.dumps(scenario).encode())[0]
    with pytest.raises(MalformedResourceError):
        read_resource(json.dumps({**scenario, "instance": [{"resourceId": "i", **PATIENT}]}).encode())


@pytest.mark.parametrize("members", HARMLESS.values(), ids=HARMLESS)
def test_what_is_no_resource_in_an_odd_place_passes(members: dict[str, Any]) -> None:
    assert read_resource(json.dumps({**OWN, **members}).encode())[0]
    assert read_bundle(encode_bundle({**OWN, **members})).entry[0].resource


@pytest.mark.parametrize("carrier", RESOURCE_CONTAINERS.values(), ids=RESOURCE_CONTAINERS)
def test_what_carries_resources_by_its_nature_is_left_to_the_policy(carrier: dict[str, Any]) -> None:
    assert read_resource(json.dumps(carrier).encode())[0]
    assert read_bundle(encode_bundle(carrier)).entry[0].resource
