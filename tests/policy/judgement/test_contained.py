"""Contained resources: each must state its type, and none may belong to another patient (leak_20)."""

from typing import Any

import orjson
import pytest

from gateway.fhir.request.interaction import Read
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import Allow, ResourceFilter
from gateway.policy.judgement.judge_resource import judge_read_body
from gateway.policy.permission.rules import PractitionerReach
from tests.policy.grants import make_grant

A, B = {"reference": "Patient/A"}, {"reference": "Patient/B"}
CARRIED: dict[str, tuple[Any, bool]] = {
    "a practitioner": ([{"resourceType": "Practitioner", "id": "p"}], True),
    "an observation about the patient": ([{"resourceType": "Observation", "id": "o", "subject": A}], True),
    "an observation about another patient": ([{"resourceType": "Observation", "id": "o", "subject": B}], False),
    "another patient": ([{"resourceType": "Patient", "id": "B"}], False),
    "a contract of another patient, which R4 puts into no compartment": (
        [{"resourceType": "Contract", "id": "c", "subject": [B]}],
        False,
    ),
    "a response of a service for the patient": ([{"resourceType": "GuidanceResponse", "id": "g", "subject": A}], True),
    "a library about another patient": ([{"resourceType": "Library", "id": "l", "subjectReference": B}], False),
    "an object that does not say what it is": ([{"id": "B", "name": [{"family": "Secret"}]}], False),
    "an object that says it in another spelling": ([{"resourcetype": "Patient", "id": "B"}], False),
    "a resource of a type that R4 does not know": ([{"resourceType": "Patients", "id": "B"}], False),
    "one good and one bad": ([{"resourceType": "Practitioner", "id": "p"}, {"id": "B"}], False),
    "a resource that is not in a list": ({"resourceType": "Practitioner", "id": "p"}, False),
    "a text": (["Patient"], False),
    "nothing": ([], True),
}


@pytest.mark.parametrize(("contained", "shown"), CARRIED.values(), ids=CARRIED)
def test_leak_20_a_record_is_judged_by_what_it_contains(contained: Any, shown: bool) -> None:
    decision = decide(Read("Observation", "o"), make_grant("patient/*.rs", patient="A"))
    assert isinstance(decision, Allow)
    assert isinstance(decision.response_filter, ResourceFilter)
    resource = {"resourceType": "Observation", "id": "o", "subject": A, "contained": contained}
    assert judge_read_body(orjson.dumps(resource), decision.response_filter)[1] is shown


def test_a_practitioners_own_record_may_contain_a_colleague() -> None:
    grant = make_grant(
        "user/*.rs", patient=None, user="Practitioner/p", practitioner_reach=PractitionerReach.COMPARTMENT
    )
    decision = decide(Read("Observation", "o"), grant)
    assert isinstance(decision, Allow)
    assert isinstance(decision.response_filter, ResourceFilter)
    performers = [{"reference": "Practitioner/p"}, {"reference": "#c"}]
    colleague = {"resourceType": "Practitioner", "id": "c"}
    resource = {"resourceType": "Observation", "id": "o", "performer": performers, "contained": [colleague]}
    assert judge_read_body(orjson.dumps(resource), decision.response_filter)[1] is True
