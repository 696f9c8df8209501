"""Bundles and Parameters as resources: every resource inside must state its type and be visible by itself."""

from typing import Any

import orjson
import pytest

from gateway.fhir.request.interaction import Read
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import Allow, ResourceFilter
from gateway.policy.judgement.judge_resource import judge_read_body
from tests.policy.grants import make_grant

SCOPE = "patient/*.rs system/Bundle.rs system/Parameters.rs"
OWN = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/A"}}
STRANGE = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/B"}}
UNTYPED = {"id": "B", "name": [{"family": "Secret"}]}
CODED = {"resourceType": "AuditEvent", "id": "e", "outcome": "0", "agent": [{"who": {"reference": "Patient/A"}}]}


def document(*entries: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": list(entries)}


def parameters(*parameters: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "id": "p", "parameter": list(parameters)}


CARRIERS: dict[str, tuple[dict[str, Any], bool]] = {
    "a Bundle of what may be seen": (document({"resource": OWN}), True),
    "a Bundle of what may be seen and has an outcome of its own": (document({"resource": CODED}), True),
    "a Bundle of another patient's": (document({"resource": OWN}, {"resource": STRANGE}), False),
    "a Bundle of what does not say its type": (document({"resource": UNTYPED}), False),
    "a Bundle with a response without a type": (document({"response": {"outcome": UNTYPED}}), False),
    "a Bundle in a Bundle, of what does not say its type": (
        document({"resource": document({"resource": UNTYPED})}),
        False,
    ),
    "Parameters of what may be seen": (parameters({"name": "x", "resource": OWN}), True),
    "Parameters of what does not say its type": (parameters({"name": "x", "resource": UNTYPED}), False),
    "a part of Parameters that does not": (
        parameters({"name": "x", "part": [{"name": "y", "resource": UNTYPED}]}),
        False,
    ),
    "a text in the place of a resource": (document({"resource": "Patient"}), False),
}


@pytest.mark.parametrize(("carrier", "shown"), CARRIERS.values(), ids=CARRIERS)
def test_leak_20_a_carrier_is_shown_if_all_that_it_carries_may_be(carrier: dict[str, Any], shown: bool) -> None:
    decision = decide(Read(carrier["resourceType"], carrier["id"]), make_grant(SCOPE, patient="A"))
    assert isinstance(decision, Allow)
    assert isinstance(decision.response_filter, ResourceFilter)
    assert judge_read_body(orjson.dumps(carrier), decision.response_filter)[1] is shown
