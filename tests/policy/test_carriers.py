"""Bundles and Parameters that are resources themselves: all that they carry says what it is, and may be seen."""

from typing import Any

import orjson
import pytest

from gateway.fhir.interaction import Read
from gateway.policy.decide import decide
from gateway.policy.decision import Allow, KeepResource
from gateway.policy.judge import judge_resource
from tests.policy.grants import grant

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
    decision = decide(Read(carrier["resourceType"], carrier["id"]), grant(SCOPE, patient="A"))
    assert isinstance(decision, Allow)
    assert isinstance(decision.keep, KeepResource)
    assert judge_resource(orjson.dumps(carrier), decision.keep)[1] is shown
