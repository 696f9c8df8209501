"""A reference to a record that a rule withholds is refused like one to no record, whatever the scope reaches."""

import json
from typing import Any

import pytest

from gateway.fhir.reference import Reference
from gateway.fhir.request.content import encode_resource
from gateway.fhir.request.interaction import Write, WriteKind
from gateway.fhir.resources.version import ResourceVersion
from gateway.policy.decision.decide_write import decide_write
from gateway.policy.decision_types import AllowWrite, Deny
from gateway.policy.permission.rules import WriteRules
from gateway.policy.permission.security_labels import SecurityLabelRule
from gateway.policy.reasons import Reason
from gateway.policy.writing.judge_write import judge_write
from gateway.policy.writing.judged_write import JudgedWrite, finish_write
from gateway.policy.writing.new_state import prepare_content
from gateway.policy.writing.stored_state import StoredState
from tests.policy.grants import make_grant

Resource = dict[str, Any]
RULE = SecurityLabelRule(frozenset({"urn:c|R"}))
LABELLED = {"meta": {"security": [{"system": "urn:c", "code": "R"}]}}
SCOPES = ["system/Observation.cru", "patient/Observation.cru", "system/Observation.cru patient/Observation.cru"]
OWNED = {"subject": {"reference": "Patient/A"}}
RECORDS: dict[str, tuple[str, Resource | None, bool]] = {
    "a visit": ("Encounter/x", {"resourceType": "Encounter", **OWNED}, True),
    "a visit that is withheld": ("Encounter/x", {"resourceType": "Encounter", **OWNED, **LABELLED}, False),
    "a visit that there is not": ("Encounter/x", None, False),
    "an organization": ("Organization/x", {"resourceType": "Organization"}, True),
    "an organization that is withheld": ("Organization/x", {"resourceType": "Organization", **LABELLED}, False),
    "an organization that there is not": ("Organization/x", None, False),
}


def observation(*references: str) -> Resource:
    focus = [{"reference": reference} for reference in references]
    return {"resourceType": "Observation", "id": "1", **OWNED, "focus": focus}


def judge(scopes: str, new: Resource, stored: Resource | None, **rules: Any) -> JudgedWrite:
    kind = WriteKind.CREATE if stored is None else WriteKind.UPDATE
    write = Write(kind, "Observation", None if stored is None else "1")
    allow = decide_write(write, make_grant(scopes, **{"record_rules": (RULE,), **rules}))
    assert isinstance(allow, AllowWrite)
    state = None if stored is None else StoredState(stored, json.dumps(stored).encode(), ResourceVersion("3"))
    content = prepare_content(allow, encode_resource(new))
    assert not isinstance(content, Deny)
    judged = judge_write(allow, content, state)
    assert isinstance(judged, JudgedWrite), judged
    return judged


@pytest.mark.parametrize(("reference", "record", "is_accepted"), RECORDS.values(), ids=RECORDS)
@pytest.mark.parametrize("scopes", SCOPES)
def test_a_new_record_may_refer_to(scopes: str, reference: str, record: Resource | None, is_accepted: bool) -> None:
    """leak_43"""
    judged = judge(scopes, observation(reference), None)
    resource_type, _, resource_id = reference.partition("/")
    target = Reference(resource_type, resource_id)
    assert target in judged.records
    known = {one: record if one == target else {"resourceType": "Patient", "id": "A"} for one in judged.records}
    finished = finish_write(judged, known)
    assert (finished.reason if isinstance(finished, Deny) else None) is (
        None if is_accepted else Reason.REFERENCE_OUT_OF_REACH
    )


@pytest.mark.parametrize("scopes", SCOPES)
def test_what_is_stored_already_may_stay(scopes: str) -> None:
    judged = judge(scopes, observation("Encounter/x"), observation("Encounter/x"))
    assert not isinstance(finish_write(judged, {}), Deny)


def test_a_token_that_no_rule_limits_refers_to_anything_on_the_whole_server() -> None:
    assert judge("system/Observation.c", observation("Encounter/x"), None, record_rules=()).records == ()


def test_the_operator_may_leave_out_the_look_up() -> None:
    unchecked = WriteRules(check_references=False)
    assert judge("system/Observation.c", observation("Encounter/x"), None, writes=unchecked).records == ()
