"""Writes of records that the token may change but not read: no answer depends on what is stored in them."""

import json
from typing import Any

import orjson
import pytest

from gateway.fhir.request.content import JsonPatch, encode_resource
from gateway.fhir.request.interaction import Write, WriteKind
from gateway.fhir.request_error import RequestError
from gateway.fhir.resources.version import ResourceVersion
from gateway.policy.decision.decide_write import decide_write
from gateway.policy.decision_types import AllowWrite, Deny
from gateway.policy.permission.rules import WriteRules
from gateway.policy.permission.security_labels import SecurityLabelRule
from gateway.policy.reasons import Reason
from gateway.policy.writing.judge_write import judge_write
from gateway.policy.writing.judged_write import JudgedWrite
from gateway.policy.writing.new_state import prepare_content
from gateway.policy.writing.stored_state import StoredState
from tests.policy.grants import make_grant

Resource = dict[str, Any]
CHANGES, READS = "patient/Observation.u", "patient/Observation.ru"
PATCH = Write(WriteKind.PATCH, "Observation", "1")
UPDATE = Write(WriteKind.UPDATE, "Observation", "1")
RESTRICTED, NORMAL = {"system": "urn:c", "code": "R"}, {"system": "urn:c", "code": "N"}


def observation(**elements: Any) -> Resource:
    return {"resourceType": "Observation", "id": "1", "subject": {"reference": "Patient/A"}, **elements}


def allow(write: Write, scopes: str, **rules: Any) -> AllowWrite:
    decision = decide_write(write, make_grant(scopes, **rules))
    assert isinstance(decision, AllowWrite), decision
    return decision


def state(resource: Resource) -> StoredState:
    return StoredState(resource, json.dumps(resource).encode(), ResourceVersion("3"))


def patch(allowed: AllowWrite, operations: list[Resource], stored: Resource) -> Resource | Reason | str:
    """What is stored by a patch, or why it is refused."""
    try:
        judged = judge_write(allowed, JsonPatch(tuple(operations)), state(stored))
    except RequestError as error:
        return str(error.problem)
    if isinstance(judged, Deny):
        return judged.reason
    sent: Resource = orjson.loads(judged.request.body)
    return sent


def put(allowed: AllowWrite, new: Resource, stored: Resource) -> Resource | Reason:
    """What is stored by an update, or why it is refused."""
    content = prepare_content(allowed, encode_resource(new))
    judged = content if isinstance(content, Deny) else judge_write(allowed, content, state(stored))
    if isinstance(judged, Deny):
        return judged.reason
    sent: Resource = orjson.loads(judged.request.body)
    return sent


HIDDEN: tuple[Resource, ...] = (
    observation(),
    observation(note=[{"text": "x"}], valueString="x", component=[{"code": {}}]),
    observation(Note=[1], encounter={"reference": "Encounter/of-nobody"}, extension=[{"url": "urn:uuid:1"}]),
    observation(hasMember=[{"reference": f"Observation/{number}"} for number in range(60)]),
    observation(focus=[{"reference": "Patient?identifier=1"}]),
    observation(performer=[{"reference": "Practitioner/p"}], meta={"security": [RESTRICTED]}),
)
OPERATIONS: dict[str, list[Resource]] = {
    "replaces an element": [{"op": "replace", "path": "/note", "value": [{"text": "y"}]}],
    "adds an element": [{"op": "add", "path": "/valueString", "value": "y"}],
    "removes an element": [{"op": "remove", "path": "/note"}],
    "removes an element and then fails": [{"op": "remove", "path": "/note"}, {"op": "replace", "path": "/id"}],
    "removes an element and replaces another's part": [
        {"op": "remove", "path": "/note"},
        {"op": "replace", "path": "/component/0/code", "value": {}},
    ],
    "appends to an element": [{"op": "add", "path": "/note/-", "value": {"text": "y"}}],
    "replaces a part": [{"op": "replace", "path": "/note/0/text", "value": "y"}],
    "replaces everything": [{"op": "replace", "path": "", "value": observation()}],
    "tests": [{"op": "test", "path": "/note/0/text", "value": "x"}],
    "copies": [{"op": "copy", "from": "/note", "path": "/extension"}],
    "spells an element otherwise": [{"op": "add", "path": "/NOTE", "value": []}],
    "names no element": [{"op": "remove", "path": "/"}],
    "names an element by an escape": [{"op": "remove", "path": "/note~1x"}],
    "takes away whose it is": [{"op": "remove", "path": "/subject"}],
    "takes away who else it may be of": [{"op": "remove", "path": "/performer"}],
    "sets the labels": [{"op": "add", "path": "/meta", "value": {}}],
    "holds a resource at a place where there is none": [
        {"op": "add", "path": "/note", "value": {"resource": observation()}}
    ],
    "refers to another record": [{"op": "add", "path": "/encounter", "value": {"reference": "Encounter/of-nobody"}}],
    "has an operation without a value": [{"op": "add", "path": "/note"}],
    "has an operation that there is not": [{"op": "append", "path": "/note"}],
    "does nothing": [],
}


@pytest.mark.parametrize("operations", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("scopes", [CHANGES, f"{CHANGES} patient/Observation.r?category=laboratory"])
def test_a_patch_is_refused_or_not_whatever_is_stored_if_it(scopes: str, operations: list[Resource]) -> None:
    """leak_38"""
    outcomes = [patch(allow(PATCH, scopes), operations, hidden) for hidden in HIDDEN]
    refusals = {outcome for outcome in outcomes if not isinstance(outcome, dict)}
    assert len(refusals) + (1 if any(isinstance(outcome, dict) for outcome in outcomes) else 0) == 1, outcomes


@pytest.mark.parametrize("operations", OPERATIONS.values(), ids=OPERATIONS)
def test_a_patch_asks_for_the_same_records_whatever_is_stored_if_it(operations: list[Resource]) -> None:
    asked = set()
    for hidden in HIDDEN:
        try:
            judged = judge_write(allow(PATCH, CHANGES), JsonPatch(tuple(operations)), state(hidden))
        except RequestError:
            continue
        if isinstance(judged, JudgedWrite):
            asked.add(judged.records)
    assert len(asked) <= 1


SUCCEEDS = {
    "an element that is there": ([{"op": "replace", "path": "/note", "value": [1]}], {"note": [1]}),
    "an element that is not there": (
        [{"op": "replace", "path": "/issued", "value": "x"}],
        {"note": [0], "issued": "x"},
    ),
    "the last of several operations": (
        [{"op": "add", "path": "/note", "value": [1]}, {"op": "remove", "path": "/note"}],
        {},
    ),
    "an element that is spelled otherwise": ([{"op": "add", "path": "/NOTE", "value": [1]}], {"NOTE": [1]}),
}


@pytest.mark.parametrize(("operations", "elements"), SUCCEEDS.values(), ids=SUCCEEDS)
def test_who_may_not_read_a_record_sets_and_removes_whole_elements(
    operations: list[Resource], elements: Resource
) -> None:
    assert patch(allow(PATCH, CHANGES), operations, observation(note=[0])) == observation(**elements)


def test_who_may_read_a_record_patches_parts_of_it() -> None:
    part = [{"op": "replace", "path": "/note/0/text", "value": "y"}]
    assert patch(allow(PATCH, READS), part, observation(note=[{"text": "x"}])) == observation(note=[{"text": "y"}])
    assert patch(allow(PATCH, READS), part, observation()) == "patch_not_applicable"


def test_what_decides_on_reading_is_not_patched_unread() -> None:
    """leak_36: whether it became readable would tell whether the rest of the constraint is met."""
    scopes = f"{CHANGES} patient/Observation.r?category=laboratory&status=final"
    makes_final = [{"op": "add", "path": "/status", "value": "final"}]
    assert patch(allow(PATCH, scopes), makes_final, observation()) is Reason.PATCH_TEST_REFUSED


def test_the_operator_may_refuse_to_patch_what_is_not_read() -> None:
    rules = WriteRules(patch_unread=False)
    operations = OPERATIONS["replaces an element"]
    assert patch(allow(PATCH, CHANGES, writes=rules), operations, observation()) is Reason.PATCH_TEST_REFUSED
    assert isinstance(patch(allow(PATCH, READS, writes=rules), operations, observation(note=[])), dict)


RULE = SecurityLabelRule(frozenset({"urn:c|R"}), user_types=frozenset({"Patient"}))


@pytest.mark.parametrize("stored", [[], [NORMAL], [RESTRICTED], [RESTRICTED, NORMAL]])
@pytest.mark.parametrize("new", [[], [NORMAL], [RESTRICTED]])
def test_an_update_of_an_unread_record_keeps_the_labels_of_a_rule_and_tells_nothing_of_them(
    stored: list[Resource], new: list[Resource]
) -> None:
    """leak_39: a refusal would tell which labels are stored, so that they are kept whatever the body says."""
    allowed = allow(UPDATE, CHANGES, user="Patient/A", record_rules=(RULE,))
    sent = put(allowed, observation(meta={"security": new}), observation(meta={"security": stored}))
    assert isinstance(sent, dict)
    labels = sent.get("meta", {}).get("security", [])
    assert (RESTRICTED in labels, NORMAL in labels) == (RESTRICTED in [*stored, *new], NORMAL in new)


def test_an_update_of_an_unread_record_keeps_the_labels_of_what_it_contains() -> None:
    allowed = allow(UPDATE, CHANGES, user="Patient/A", record_rules=(RULE,))
    contained = [{"resourceType": "Basic", "id": "x", "meta": {"security": [RESTRICTED]}}]
    sent = put(allowed, observation(), observation(contained=contained))
    assert isinstance(sent, dict)
    assert sent["meta"]["security"] == [RESTRICTED]


@pytest.mark.parametrize("extra", [[], [NORMAL]])
def test_an_update_of_an_unread_record_keeps_the_labels_by_which_the_scope_is_limited(extra: list[Resource]) -> None:
    allowed = allow(UPDATE, f"{CHANGES}?_security=urn:c|R")
    stored = observation(meta={"security": [RESTRICTED, *extra]})
    sent = put(allowed, observation(meta={"security": [RESTRICTED]}), stored)
    assert isinstance(sent, dict)
    assert sent["meta"]["security"] == [RESTRICTED, *extra]


@pytest.mark.parametrize("stored", [[], [RESTRICTED]])
def test_kept_labels_do_not_become_readable(stored: list[Resource]) -> None:
    scopes = f"{CHANGES} patient/Observation.r?category=laboratory"
    allowed = allow(UPDATE, scopes, user="Patient/A", record_rules=(RULE,))
    laboratory = [{"coding": [{"code": "laboratory"}]}]
    new, old = observation(category=laboratory), observation(meta={"security": stored})
    assert put(allowed, new, old) is Reason.WRITE_OUT_OF_REACH


BODIES: dict[str, Resource] = {
    "is plain": observation(),
    "has a label": observation(meta={"security": [RESTRICTED]}),
    "has another label": observation(meta={"security": [NORMAL]}),
    "refers to a record": observation(encounter={"reference": "Encounter/of-nobody"}),
    "refers to many records": observation(hasMember=[{"reference": f"Observation/{one}"} for one in range(40)]),
    "names somebody else": observation(performer=[{"reference": "Patient/B"}]),
    "contains a labelled resource": observation(
        contained=[{"resourceType": "Basic", "id": "x", "meta": {"security": [RESTRICTED]}}]
    ),
    "would be readable": observation(category=[{"coding": [{"code": "laboratory"}]}]),
}
UPDATERS: dict[str, tuple[str, dict[str, Any]]] = {
    "u alone": (CHANGES, {}),
    "u, and r within a constraint": (f"{CHANGES} patient/Observation.r?category=laboratory", {}),
    "u within labels": (f"{CHANGES}?_security=urn:c|R", {}),
    "u, under a rule that it satisfies": (CHANGES, {"user": "Patient/A", "record_rules": (RULE,)}),
    "u for the whole server, under a rule": ("system/Observation.u", {"user": "Patient/A", "record_rules": (RULE,)}),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("scopes", "options"), UPDATERS.values(), ids=UPDATERS)
def test_an_update_is_refused_or_not_whatever_is_stored_if_its_body(
    scopes: str, options: dict[str, Any], body: Resource
) -> None:
    allowed = allow(UPDATE, scopes, **options)
    states = [{**one, "meta": {"security": [RESTRICTED]}} for one in HIDDEN] if "?_security" in scopes else HIDDEN
    outcomes = set[Any]()
    for hidden in states:
        content = prepare_content(allowed, encode_resource(body))
        judged = content if isinstance(content, Deny) else judge_write(allowed, content, state(hidden))
        outcomes.add(judged.reason if isinstance(judged, Deny) else (judged.records, judged.references))
    assert len(outcomes) == 1, outcomes
