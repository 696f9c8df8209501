"""The judgement of writes as a function of values: stored state, content and facts."""

import json
from typing import Any

import pytest

from gateway.fhir.reference import Reference
from gateway.fhir.request.content import JsonPatch, encode_resource
from gateway.fhir.request.interaction import Preconditions, Write, WriteKind
from gateway.fhir.resources.version import ResourceVersion
from gateway.policy.decision.decide_write import decide_write
from gateway.policy.decision_types import AllowWrite, Deny, UpstreamWrite
from gateway.policy.permission.rules import WriteRules
from gateway.policy.reasons import Reason
from gateway.policy.writing.judge_write import judge_write
from gateway.policy.writing.judged_write import JudgedWrite, finish_write
from gateway.policy.writing.new_state import prepare_content
from gateway.policy.writing.stored_state import StoredState
from tests.policy.grants import make_grant

Resource = dict[str, Any]
UPDATE = Write(WriteKind.UPDATE, "Observation", "1")
RESTRICTED, NORMAL = {"system": "urn:c", "code": "R"}, {"system": "urn:c", "code": "N"}


def observation(patient: str = "A", /, **elements: Any) -> Resource:
    """An Observation with the id 1."""
    return {"resourceType": "Observation", "id": "1", "subject": {"reference": f"Patient/{patient}"}, **elements}


def allow(write: Write, scopes: str, **rules: Any) -> AllowWrite:
    """The decision on a write that the scopes do not forbid."""
    decision = decide_write(write, make_grant(scopes, **rules))
    assert isinstance(decision, AllowWrite), decision
    return decision


def stored(resource: Resource, version: str | None = "3") -> StoredState:
    """The stored state of a resource."""
    return StoredState(resource, json.dumps(resource).encode(), ResourceVersion(version))


def judge(allowed: AllowWrite, new: Resource | None, before: StoredState | None) -> JudgedWrite | Reason:
    """The judgement, or why the write is refused."""
    content = None if new is None else prepare_content(allowed, encode_resource(new))
    judged = content if isinstance(content, Deny) else judge_write(allowed, content, before)
    return judged.reason if isinstance(judged, Deny) else judged


LABELS = {
    "the same labels": ([RESTRICTED, NORMAL], [NORMAL, RESTRICTED], None),
    "a label more": ([RESTRICTED], [RESTRICTED, NORMAL], Reason.LABELS_CHANGED),
    "a label less": ([RESTRICTED, NORMAL], [RESTRICTED], Reason.LABELS_CHANGED),
    "none at all": ([RESTRICTED], [], Reason.WRITE_OUT_OF_REACH),
}


@pytest.mark.parametrize(("before", "after", "reason"), LABELS.values(), ids=LABELS)
def test_where_labels_limit_the_scope_an_update_keeps(
    before: list[Resource], after: list[Resource], reason: Reason | None
) -> None:
    limited = allow(UPDATE, "patient/Observation.ru?_security=urn:c|R")
    judged = judge(limited, observation(meta={"security": after}), stored(observation(meta={"security": before})))
    assert isinstance(judged, JudgedWrite) if reason is None else judged is reason
    free = allow(UPDATE, "patient/Observation.u")
    new = observation(meta={"security": after})
    assert isinstance(judge(free, new, stored(observation(meta={"security": before}))), JudgedWrite)


def test_where_labels_limit_the_scope_a_create_has_no_other() -> None:
    limited = allow(Write(WriteKind.CREATE, "Observation"), "patient/Observation.c?_tag=urn:c|R")
    assert isinstance(judge(limited, observation(meta={"tag": [RESTRICTED]}), None), JudgedWrite)
    assert judge(limited, observation(meta={"tag": [RESTRICTED, NORMAL]}), None) is Reason.WRITE_OUT_OF_REACH


def test_stored_and_new_state_are_judged_by_the_same_scope() -> None:
    two = allow(UPDATE, "patient/Observation.u?category=a patient/Observation.u?category=b")
    of_a, of_b = ({"category": [{"coding": [{"code": code}]}]} for code in "ab")
    assert judge(two, observation(**of_b), stored(observation(**of_a))) is Reason.WRITE_OUT_OF_REACH
    assert isinstance(judge(two, observation(**of_a), stored(observation(**of_a))), JudgedWrite)


def test_letters_of_one_scope_do_not_join_the_reach_of_another() -> None:
    """leak_17: the token reads everything, and changes one patient's records."""
    mixed = allow(UPDATE, "system/*.rs patient/Observation.u")
    assert judge(mixed, observation("A"), stored(observation("B"))) is Reason.OUT_OF_REACH
    assert judge(mixed, observation("B"), stored(observation("A"))) is Reason.WRITE_OUT_OF_REACH


def test_what_reads_nothing_of_a_unit_counts_in_full_membership_too() -> None:
    """With `membership: subject` a performer makes no member, but is another patient all the same."""
    other = {"performer": [{"reference": "Patient/B"}]}
    subject_alone = allow(UPDATE, "patient/Observation.u")
    assert judge(subject_alone, observation(**other), stored(observation())) is Reason.WRITE_OUT_OF_REACH
    assert judge(subject_alone, observation(), stored(observation(**other))) is Reason.OUT_OF_REACH


@pytest.mark.parametrize("rules", [WriteRules(), WriteRules(accept_races=True)])
def test_without_a_version_only_an_accepted_race_is_sent(rules: WriteRules) -> None:
    allowed = allow(UPDATE, "patient/Observation.u", writes=rules)
    judged = judge(allowed, observation(), stored(observation(), version=None))
    if not rules.accept_races:
        assert judged is Reason.VERSION_UNKNOWN
        return
    assert isinstance(judged, JudgedWrite)
    assert judged.is_untied
    assert judged.request.if_match is None


def test_the_patients_own_record_cannot_go_to_somebody_else() -> None:
    """So it needs neither a version nor a conditional delete."""
    patient = {"resourceType": "Patient", "id": "A"}
    deleted = judge(allow(Write(WriteKind.DELETE, "Patient", "A"), "patient/Patient.d"), None, stored(patient, None))
    assert isinstance(deleted, JudgedWrite)
    assert deleted.request == UpstreamWrite("DELETE", "/Patient/A")


def test_the_version_that_was_checked_is_sent_along() -> None:
    judged = judge(allow(UPDATE, "patient/Observation.u"), observation(), stored(observation()))
    assert isinstance(judged, JudgedWrite)
    assert judged.request.if_match == "3"
    stale = Write(WriteKind.UPDATE, "Observation", "1", preconditions=Preconditions(if_match="2"))
    assert judge(allow(stale, "patient/Observation.u"), observation(), stored(observation())) is (
        Reason.PRECONDITION_FAILED
    )


NEVER = {
    "its type": frozenset({"Observation"}),
    "itself": frozenset({"Observation/1"}),
}


@pytest.mark.parametrize("never", NEVER.values(), ids=NEVER)
def test_no_write_touches_what_the_operator_excludes_by(never: frozenset[str]) -> None:
    decision = decide_write(UPDATE, make_grant("system/*.cruds", writes=WriteRules(never=never)))
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.WRITE_FORBIDDEN


def test_no_app_makes_the_server_send_records_past_the_gateway() -> None:
    """leak_37"""
    decision = decide_write(Write(WriteKind.CREATE, "Subscription"), make_grant("system/*.cruds"))
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.WRITE_FORBIDDEN


def test_a_condition_does_not_lead_to_what_the_operator_excludes() -> None:
    allowed = allow(UPDATE, "system/*.cruds")
    excluded = AllowWrite(
        UPDATE, allowed.permission, make_grant("system/*.cruds", writes=WriteRules(never=frozenset({"Observation/1"})))
    )
    assert judge(excluded, observation(), stored(observation())) is Reason.WRITE_FORBIDDEN


def test_nothing_is_written_where_writes_are_off() -> None:
    decision = decide_write(UPDATE, make_grant("system/*.cruds", writes=WriteRules(allow=False)))
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.WRITES_OFF


READS_RECENT_ONES = "patient/Observation.u patient/Observation.rs?_lastUpdated=ge2024-01-01"
UNREADABLE_PATCHES: dict[str, tuple[str, list[Resource], Reason]] = {
    "tests a value": (
        "patient/Observation.u",
        [{"op": "test", "path": "/valueString", "value": "x"}],
        Reason.PATCH_TEST_REFUSED,
    ),
    "puts a value where it is judged": (
        "patient/Observation.u",
        [{"op": "copy", "from": "/valueString", "path": "/subject/reference"}],
        Reason.PATCH_TEST_REFUSED,
    ),
    "moves a value where it is judged": (
        "patient/Observation.u",
        [{"op": "move", "from": "/valueString", "path": "/id"}],
        Reason.PATCH_TEST_REFUSED,
    ),
    "makes it a recent one": (READS_RECENT_ONES, [], Reason.WRITE_OUT_OF_REACH),
}


@pytest.mark.parametrize(("scopes", "operations", "reason"), UNREADABLE_PATCHES.values(), ids=UNREADABLE_PATCHES)
def test_who_may_not_read_a_record_learns_nothing_of_it_by_a_patch_that(
    scopes: str, operations: list[Resource], reason: Reason
) -> None:
    """leak_36"""
    old = observation(meta={"versionId": "3", "lastUpdated": "2020-01-01T00:00:00Z"}, valueString="Patient/A")
    patch = Write(WriteKind.PATCH, "Observation", "1")
    judged = judge_write(allow(patch, scopes), JsonPatch(tuple(operations)), stored(old))
    assert isinstance(judged, Deny)
    assert judged.reason is reason


def test_a_reference_of_a_new_record_is_looked_up_whatever_its_id() -> None:
    new = observation(hasMember=[{"reference": "Observation/None"}])
    judged = judge(allow(Write(WriteKind.CREATE, "Observation"), "patient/Observation.c"), new, None)
    assert isinstance(judged, JudgedWrite)
    assert judged.records == (Reference("Observation", "None"),)


ENCOUNTER = Reference("Encounter", "e")
RECORDS: dict[str, tuple[Resource | None, bool]] = {
    "a record of the patient": ({"resourceType": "Encounter", "subject": {"reference": "Patient/A"}}, True),
    "a record of another": ({"resourceType": "Encounter", "subject": {"reference": "Patient/B"}}, False),
    "no record": (None, False),
}


@pytest.mark.parametrize(("record", "is_accepted"), RECORDS.values(), ids=RECORDS)
def test_a_new_reference_may_lead_to(record: Resource | None, is_accepted: bool) -> None:
    new = observation(encounter={"reference": "Encounter/e"})
    judged = judge(allow(UPDATE, "patient/Observation.u"), new, stored(observation()))
    assert isinstance(judged, JudgedWrite)
    assert judged.records == (ENCOUNTER,)
    assert isinstance(finish_write(judged, {ENCOUNTER: record}), UpstreamWrite) is is_accepted


def test_another_scope_may_reach_what_a_body_refers_to() -> None:
    """Each unit is tried for itself: the patient's own, and that of the user's patients."""
    scopes = "patient/Observation.u user/Observation.u"
    grant = make_grant(scopes, user="RelatedPerson/r", patients_of_user=("A", "B"))
    decision = decide_write(UPDATE, grant)
    assert isinstance(decision, AllowWrite)
    judged = judge(decision, observation(encounter={"reference": "Encounter/e"}), stored(observation()))
    assert isinstance(judged, JudgedWrite)
    record = {"resourceType": "Encounter", "subject": {"reference": "Patient/B"}}
    assert isinstance(finish_write(judged, {ENCOUNTER: record}), UpstreamWrite)


def test_references_are_not_looked_up_where_the_operator_says_so() -> None:
    allowed = allow(UPDATE, "patient/Observation.u", writes=WriteRules(check_references=False))
    document = observation(
        encounter={"reference": "Encounter/e"}, focus=[{"reference": "Patient/B"}], extension=[{"url": "Binary/b"}]
    )
    judged = judge(allowed, document, stored(observation()))
    assert isinstance(judged, JudgedWrite)
    assert judged.records == (Reference("Binary", "b"),)
    assert isinstance(finish_write(judged, {Reference("Binary", "b"): {}}), Deny)


BINARIES: dict[str, tuple[Resource, bool]] = {
    "the patient's": ({"securityContext": {"reference": "Patient/A"}}, True),
    "another patient's": ({"securityContext": {"reference": "Patient/B"}}, False),
    "nobody's": ({}, False),
}


@pytest.mark.parametrize(("members", "is_accepted"), BINARIES.values(), ids=BINARIES)
def test_an_attachment_may_point_at_a_binary_that_is(members: Resource, is_accepted: bool) -> None:
    """leak_35: a record that points at a Binary makes it visible, so that this would show another patient's."""
    new = observation(extension=[{"url": "urn:x", "valueAttachment": {"url": "Binary/b"}}])
    judged = judge(allow(UPDATE, "patient/Observation.u"), new, stored(observation()))
    assert isinstance(judged, JudgedWrite)
    binary = {"resourceType": "Binary", "id": "b", **members}
    assert isinstance(finish_write(judged, {Reference("Binary", "b"): binary}), UpstreamWrite) is is_accepted


def test_a_record_about_anybody_does_not_make_a_binary_visible_to_the_same_token() -> None:
    """leak_35: the document would vouch for the Binary, of which the token may see the patient's alone."""
    new = observation(extension=[{"url": "urn:x", "valueAttachment": {"url": "Binary/b"}}])
    mixed = allow(UPDATE, "system/Observation.u patient/Binary.r patient/Observation.rs")
    assert judge(mixed, new, stored(observation())) is Reason.REFERENCE_OUT_OF_REACH
    assert isinstance(judge(mixed, observation(), stored(observation())), JudgedWrite)
    in_other_letters = observation(extension=[{"url": "urn:x", "valueAttachment": {"Url": "Binary/b"}}])
    assert judge(mixed, in_other_letters, stored(observation())) is Reason.REFERENCE_OUT_OF_REACH
    reads_all = allow(UPDATE, "system/Observation.u system/Binary.r patient/Binary.r")
    assert isinstance(judge(reads_all, new, stored(observation())), JudgedWrite)


def test_more_references_than_are_looked_up_are_refused() -> None:
    many = [{"reference": f"Observation/{number}"} for number in range(100, 151)]
    judged = judge(allow(UPDATE, "patient/Observation.u"), observation(hasMember=many), stored(observation()))
    assert judged is Reason.REQUEST_TOO_LARGE
