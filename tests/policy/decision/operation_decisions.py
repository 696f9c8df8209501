"""Decisions on operations under the shipped manifest, for tests."""

import json
from collections.abc import Mapping
from typing import Any

from gateway.fhir.request.parse_request import parse_request
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import Decision
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.operation_rule import OperationAddress, OperationRule
from gateway.settings.enforcement.operation_entry import OperationEntry
from gateway.settings.enforcement.operations import operation_rules
from tests.policy.grants import make_grant


def make_rules(entries: Mapping[str, Any] | None = None) -> Mapping[OperationAddress, OperationRule]:
    """The shipped manifest with these changes."""
    return operation_rules({name: OperationEntry.model_validate(entry) for name, entry in (entries or {}).items()})


SHIPPED = make_rules()
SWITCHED_ON = make_rules(
    {
        "Observation/$lastn": {"enabled": True},
        "Patient/$match": {"enabled": True},
        "Measure/[id]/$evaluate-measure": {"enabled": True},
        "Task/$close": {"needs": ["Task.u"], "affects_state": True, "answer": "outcome"},
    }
)


def operation_grant(scopes: str, **options: Any) -> Grant:
    """The grant of a token with these scopes, under the shipped manifest unless `operations` are others."""
    return make_grant(scopes, **{"operations": SHIPPED, **options})


def decide_operation(request: str, grant: Grant, body: Any = None) -> Decision:
    """The decision on a request, written as `GET /Path?query`, with a body in JSON."""
    method, _, target = request.partition(" ")
    path, _, query = target.partition("?")
    headers = {b"content-type": b"application/fhir+json"} if body is not None else {}
    encoded = b"" if body is None else json.dumps(body).encode()
    return decide(parse_request(method, path.encode(), query.encode(), headers, encoded), grant)


def parameters(*items: Mapping[str, Any]) -> Any:
    """Parameters."""
    return {"resourceType": "Parameters", "parameter": list(items)}
