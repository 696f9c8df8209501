"""Labels that a record rule names stay as they are, unless the rule says who may change them."""

import json
from typing import Any

import orjson
import pytest

from gateway.fhir.request.content import JsonPatch, WrittenResource, encode_resource
from gateway.fhir.request.interaction import Write, WriteKind
from gateway.fhir.resources.version import ResourceVersion
from gateway.policy.decision.decide_write import decide_write
from gateway.policy.decision_types import AllowWrite, Deny
from gateway.policy.permission.security_labels import SecurityLabelRule
from gateway.policy.reasons import Reason
from gateway.policy.writing.judge_write import judge_write
from gateway.policy.writing.new_state import prepare_content
from gateway.policy.writing.stored_state import StoredState
from tests.policy.grants import make_grant

Resource = dict[str, Any]
RESTRICTED, VERY, NORMAL = ({"system": "urn:c", "code": code} for code in "RVN")
RULE = SecurityLabelRule(
    frozenset({"urn:c|R", "urn:c|V"}),
    user_types=frozenset({"Practitioner"}),
    changing_scopes=frozenset({"urn:declassify"}),
    changing_roles=frozenset({"officer"}),
)


def observation(*labels: Any, **elements: Any) -> Resource:
    meta = {"meta": {"security": list(labels)}} if labels else {}
    return {"resourceType": "Observation", "id": "1", "subject": {"reference": "Patient/A"}, **meta, **elements}


def decide(kind: WriteKind, scopes: str = "user/*.cruds") -> AllowWrite:
    grant = make_grant(scopes, user="Practitioner/p", record_rules=(RULE,))
    decision = decide_write(Write(kind, "Observation", "1"), grant)
    assert isinstance(decision, AllowWrite)
    return decision


def judge(allow: AllowWrite, content: WrittenResource | JsonPatch, stored: Resource) -> Resource | Reason:
    new = prepare_content(allow, content) if isinstance(content, WrittenResource) else content
    state = StoredState(stored, json.dumps(stored).encode(), ResourceVersion("3"))
    judged = new if isinstance(new, Deny) else judge_write(allow, new, state)
    if isinstance(judged, Deny):
        return judged.reason
    sent: Resource = orjson.loads(judged.request.body)
    return sent


def inside(*labels: Any) -> Resource:
    return {"contained": [{"resourceType": "Basic", "id": "x", "meta": {"security": list(labels)}}]}


CHANGES: dict[str, tuple[Resource, Resource, bool]] = {
    "takes the label away": (observation(RESTRICTED), observation(), False),
    "leaves meta out": (observation(RESTRICTED, NORMAL), observation(status="final"), False),
    "puts another label of the rule in its place": (observation(RESTRICTED), observation(VERY), False),
    "adds a label of the rule": (observation(), observation(RESTRICTED), False),
    "takes away one that cannot be read": (observation({"display": "secret"}), observation(), False),
    "spells it without its system": (observation(RESTRICTED), observation({"code": "R"}), False),
    "takes it from what is contained": (observation(**inside(RESTRICTED)), observation(**inside()), False),
    "takes away what is contained": (observation(**inside(RESTRICTED)), observation(), False),
    "moves it to what is contained": (observation(RESTRICTED), observation(**inside(RESTRICTED)), False),
    "keeps it and changes others": (observation(RESTRICTED, NORMAL), observation(RESTRICTED), True),
    "keeps it in another order": (observation(RESTRICTED, VERY), observation(VERY, RESTRICTED), True),
    "changes a record without one": (observation(NORMAL), observation(), True),
}


@pytest.mark.parametrize(("stored", "new", "is_let_through"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("by", ["update", "patch"])
def test_a_write_that(by: str, stored: Resource, new: Resource, is_let_through: bool) -> None:
    """leak_39"""
    if by == "update":
        outcome = judge(decide(WriteKind.UPDATE), encode_resource(new), stored)
    else:
        operations = [{"op": "remove", "path": f"/{name}"} for name in stored if name not in ("resourceType", "id")]
        operations += [
            {"op": "add", "path": f"/{name}", "value": value}
            for name, value in new.items()
            if name not in ("resourceType", "id")
        ]
        outcome = judge(decide(WriteKind.PATCH), JsonPatch(tuple(operations)), stored)
    assert (outcome == new) if is_let_through else (outcome is Reason.LABELS_CHANGED)


def test_who_may_change_labels_is_named_by_the_rule() -> None:
    stored, new = observation(RESTRICTED), observation()
    allowed = decide(WriteKind.UPDATE, "user/*.cruds urn:declassify")
    assert judge(allowed, encode_resource(new), stored) == new


def test_a_token_that_the_rule_limits_can_change_no_label() -> None:
    grant = make_grant("patient/*.cruds urn:declassify", record_rules=(RULE,))
    allowed = decide_write(Write(WriteKind.UPDATE, "Observation", "1"), grant)
    assert isinstance(allowed, AllowWrite)
    assert judge(allowed, encode_resource(observation()), observation(RESTRICTED)) is Reason.RECORD_WITHHELD
    assert judge(allowed, encode_resource(observation(RESTRICTED)), observation()) is Reason.WRITE_OUT_OF_REACH
