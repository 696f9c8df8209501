"""Decisions on operations by the shipped manifest: what is sent, and what is refused before anything is sent."""

from urllib.parse import unquote

import pytest

from gateway.fhir.reference import Reference
from gateway.policy.decision_types import Allow, Deny, MetaFilter
from gateway.policy.permission.rules import WriteRules
from gateway.policy.permission.security_labels import SecurityLabelRule
from gateway.policy.reasons import Reason
from tests.policy.decision.operation_decisions import (
    SHIPPED,
    SWITCHED_ON,
    decide_operation,
    make_rules,
    operation_grant,
)
from tests.policy.grants import PUBLIC, make_grant

SENT = {
    "everything of the patient": ("GET /Patient/A/$everything", "patient/*.rs", "/Patient/A/$everything"),
    "dates and a page size as they were read": (
        "GET /Patient/A/$everything?start=2020&end=2021-05&_count=007",
        "patient/*.rs",
        "/Patient/A/$everything?start=2020&end=2021-05&_count=7",
    ),
    "a page size up to the longest page": (
        "GET /Patient/A/$everything?_count=99999",
        "patient/*.rs",
        "/Patient/A/$everything?_count=1000",
    ),
    "the types that the token reaches": (
        "GET /Patient/A/$everything",
        "patient/Patient.rs patient/Condition.rs",
        "/Patient/A/$everything?_type=Condition,Patient",
    ),
    "the asked types that the token reaches": (
        "GET /Patient/A/$everything?_type=Condition,Goal",
        "patient/Patient.rs patient/Condition.rs",
        "/Patient/A/$everything?_type=Condition",
    ),
    "asked types when none is within reach, since none would mean all": (
        "GET /Patient/A/$everything?_type=Goal",
        "patient/Patient.rs patient/Condition.rs",
        "/Patient/A/$everything?_type=Goal",
    ),
    "types whose letters are in two scopes": (
        "GET /Patient/A/$everything?_type=Condition,Goal",
        "patient/Patient.rs patient/Condition.r patient/Condition.s patient/Goal.r",
        "/Patient/A/$everything?_type=Condition",
    ),
    "all asked types for a token that sees everything": (
        "GET /Patient/A/$everything?_type=Condition,Goal",
        "system/*.rs",
        "/Patient/A/$everything?_type=Condition,Goal",
    ),
    "meta as a read": ("GET /Patient/A/$meta", "patient/Patient.r", "/Patient/A"),
    "documents of the patient": (
        "GET /DocumentReference/$docref?patient=A&type=http://loinc.org|34133-9",
        "patient/DocumentReference.rs",
        "/DocumentReference/$docref?patient=A&type=http://loinc.org|34133-9",
    ),
    "documents of the patient by a reference under the public base": (
        f"GET /DocumentReference/$docref?patient={PUBLIC}/Patient/A",
        "patient/DocumentReference.rs",
        "/DocumentReference/$docref?patient=Patient/A",
    ),
    "last values of the only patient, who need not be named": (
        "GET /Observation/$lastn?max=2",
        "patient/Observation.rs",
        "/Observation/$lastn?max=2&patient=Patient/A",
    ),
    "last values of anybody for a token that sees everybody": (
        "GET /Observation/$lastn?patient=B",
        "system/Observation.rs",
        "/Observation/$lastn?patient=B",
    ),
    "a look-up of a code": (
        "GET /CodeSystem/$lookup?system=http://loinc.org&code=1-8&property=display&property=parent",
        "patient/CodeSystem.r",
        "/CodeSystem/$lookup?system=http://loinc.org&code=1-8&property=display&property=parent",
    ),
    "a document": ("GET /Composition/c/$document", "patient/Composition.r", "/Composition/c/$document"),
}


@pytest.mark.parametrize(("request_", "scopes", "sent"), SENT.values(), ids=SENT)
def test_is_sent(request_: str, scopes: str, sent: str) -> None:
    decision = decide_operation(request_, operation_grant(scopes, operations=SWITCHED_ON))
    assert isinstance(decision, Allow), decision
    assert unquote(decision.upstream_request.target) == sent
    assert decision.upstream_request.body == b""


REFUSED: dict[str, tuple[str, str, Reason, str]] = {
    "everything of all patients": (
        "GET /Patient/$everything",
        "system/*.rs",
        Reason.OPERATION_NOT_ALLOWED,
        "$everything",
    ),
    "everything of an encounter": (
        "GET /Encounter/e/$everything",
        "system/*.rs",
        Reason.OPERATION_NOT_ALLOWED,
        "$everything",
    ),
    "everything with no letter s": ("GET /Patient/A/$everything", "patient/*.r", Reason.SCOPE_INSUFFICIENT, "Patient"),
    "everything with no letter r": ("GET /Patient/A/$everything", "patient/*.s", Reason.SCOPE_INSUFFICIENT, "Patient"),
    "an unknown parameter": (
        "GET /Patient/A/$everything?_elements=id",
        "patient/*.rs",
        Reason.PARAMETER_UNKNOWN,
        "_elements",
    ),
    "a date that is none": (
        "GET /Patient/A/$everything?start=lt2020",
        "patient/*.rs",
        Reason.PARAMETER_INVALID,
        "start",
    ),
    "a date twice": (
        "GET /Patient/A/$everything?start=2020&start=2021",
        "patient/*.rs",
        Reason.PARAMETER_REPEATED,
        "start",
    ),
    "a time without its zone": (
        "GET /Patient/A/$everything?_since=2020-01-01T00:00:00",
        "patient/*.rs",
        Reason.PARAMETER_INVALID,
        "_since",
    ),
    "a type that is none": ("GET /Patient/A/$everything?_type=Foo", "patient/*.rs", Reason.PARAMETER_INVALID, "_type"),
    "an empty page": ("GET /Patient/A/$everything?_count=0", "patient/*.rs", Reason.PARAMETER_INVALID, "_count"),
    "the last values of another patient": (
        "GET /Observation/$lastn?patient=B",
        "patient/Observation.rs",
        Reason.OUT_OF_REACH,
        "patient",
    ),
    "the last values of two patients": (
        "GET /Observation/$lastn?patient=A,B",
        "patient/Observation.rs",
        Reason.PARAMETER_INVALID,
        "patient",
    ),
    "the last values of a Group": (
        "GET /Observation/$lastn?patient=Group/A",
        "patient/Observation.rs",
        Reason.PARAMETER_INVALID,
        "patient",
    ),
    "documents of nobody": (
        "GET /DocumentReference/$docref",
        "patient/DocumentReference.rs",
        Reason.PARAMETER_MISSING,
        "patient",
    ),
    "a report on another patient": (
        "GET /Measure/m/$evaluate-measure?periodStart=2020&periodEnd=2021&subject=Patient/B",
        "patient/MeasureReport.r system/Measure.r",
        Reason.OUT_OF_REACH,
        "subject",
    ),
    "a terminology under a constraint, of which it says nothing": (
        "GET /ValueSet/$expand?url=http://x",
        "patient/ValueSet.r?status=active",
        Reason.SCOPE_INSUFFICIENT,
        "ValueSet",
    ),
    "a terminology without a scope for it": (
        "GET /ValueSet/$expand?url=http://x",
        "patient/CodeSystem.r",
        Reason.SCOPE_INSUFFICIENT,
        "ValueSet",
    ),
    "a map, which is no shared type": (
        "GET /ConceptMap/$translate?code=x",
        "patient/ConceptMap.r",
        Reason.TYPE_OUT_OF_REACH,
        "ConceptMap",
    ),
    "a document that would be stored": (
        "GET /Composition/c/$document?persist=true",
        "patient/Composition.r",
        Reason.PARAMETER_UNKNOWN,
        "persist",
    ),
    "a change by GET": ("GET /Task/$close", "system/Task.u", Reason.METHOD_NOT_ALLOWED, "GET"),
    "a change within limits, since nothing tells what it changes": (
        "POST /Task/$close",
        "patient/Task.u",
        Reason.SCOPE_INSUFFICIENT,
        "Task",
    ),
    "a validation by GET": ("GET /Observation/$validate", "patient/Observation.c", Reason.METHOD_NOT_ALLOWED, "GET"),
    "a validation of nothing": (
        "POST /Observation/$validate",
        "patient/Observation.c",
        Reason.PARAMETER_MISSING,
        "resource",
    ),
    "a validation without the letter c": (
        "POST /Observation/$validate",
        "patient/Observation.rs",
        Reason.SCOPE_INSUFFICIENT,
        "Observation",
    ),
    **{
        f"what ships switched off: {request_}": (request_, "system/*.cruds", Reason.OPERATION_NOT_ALLOWED, name)
        for request_, name in {
            "GET /Observation/$lastn?patient=A ": "$lastn",
            "POST /Patient/$match ": "$match",
            "GET /Measure/m/$evaluate-measure ": "$evaluate-measure",
        }.items()
    },
    **{
        f"what no manifest lists: {request_}": (request_, "system/*.cruds", Reason.OPERATION_NOT_ALLOWED, name)
        for request_, name in {
            "GET /Patient/A/$graphql?query=x": "$graphql",
            "POST /$graphql": "$graphql",
            "POST /$process-message": "$process-message",
            "POST /$import": "$import",
            "POST /$expunge": "$expunge",
            "POST /Patient/A/$expunge": "$expunge",
            "GET /$get-resource-counts": "$get-resource-counts",
            "POST /$mark-all-resources-for-reindexing": "$mark-all-resources-for-reindexing",
            "POST /$hapi.fhir.replace-references": "$hapi.fhir.replace-references",
            "POST /Patient/$hapi.fhir.merge": "$hapi.fhir.merge",
            "POST /Patient/A/$meta-add": "$meta-add",
            "POST /Patient/A/$meta-delete": "$meta-delete",
            "GET /$meta": "$meta",
            "GET /Patient/$meta": "$meta",
            "GET /Patient/A/$diff": "$diff",
        }.items()
    },
}


@pytest.mark.parametrize(("request_", "scopes", "reason", "offender"), REFUSED.values(), ids=REFUSED)
def test_is_refused(request_: str, scopes: str, reason: Reason, offender: str) -> None:
    operations = SHIPPED if request_.endswith(" ") else SWITCHED_ON
    decision = decide_operation(request_.rstrip(), operation_grant(scopes, operations=operations))
    assert isinstance(decision, Deny), decision
    assert (decision.reason, decision.offender) == (reason, offender)


EXCLUDED = {
    "where all writes are off": (WriteRules(allow=False), Reason.WRITES_OFF),
    "of a type that no write touches": (WriteRules(never=frozenset({"Task"})), Reason.WRITE_FORBIDDEN),
}


@pytest.mark.parametrize(("writes", "reason"), EXCLUDED.values(), ids=EXCLUDED)
def test_a_change_by_an_operation_is_refused(writes: WriteRules, reason: Reason) -> None:
    allowed = operation_grant("system/Task.u", operations=SWITCHED_ON)
    assert isinstance(decide_operation("POST /Task/$close", allowed), Allow)
    decision = decide_operation(
        "POST /Task/$close", operation_grant("system/Task.u", operations=SWITCHED_ON, writes=writes)
    )
    assert isinstance(decision, Deny)
    assert decision.reason is reason


DRAWN_ON = ("GET /ValueSet/$expand?url=urn:x", "GET /ValueSet/v/$expand", "GET /CodeSystem/$lookup?code=x&system=urn:x")


@pytest.mark.parametrize("request_", DRAWN_ON)
def test_a_terminology_may_draw_on_what_a_record_rule_withholds_and_is_refused(request_: str) -> None:
    rule = SecurityLabelRule(frozenset({"R"}), scopes=frozenset({"urn:all"}))
    scopes, name = "patient/ValueSet.r patient/CodeSystem.r", request_.partition("?")[0].partition(" ")[2].lstrip("/")
    assert isinstance(decide_operation(request_, operation_grant(scopes)), Allow)
    limited = decide_operation(request_, operation_grant(scopes, record_rules=(rule,)))
    assert isinstance(limited, Deny)
    assert limited.reason is Reason.OPERATION_NOT_ALLOWED
    assert isinstance(decide_operation(request_, operation_grant(f"{scopes} urn:all", record_rules=(rule,))), Allow)
    address = name.replace("/v/", "/[id]/")
    despite = make_rules({address: {"despite_record_rules": True}})
    allowed = operation_grant(scopes, record_rules=(rule,), operations=despite)
    assert isinstance(decide_operation(request_, allowed), Allow)


def test_an_operation_on_a_record_needs_the_record_first() -> None:
    for path in ("/Patient/A/$everything", "/Composition/A/$document"):
        decision = decide_operation(f"GET {path}", operation_grant("patient/*.rs"))
        assert isinstance(decision, Allow)
        assert decision.prerequisite == Reference(path.split("/")[1], "A")
    assert isinstance(decision := decide_operation("GET /Patient/A/$meta", operation_grant("patient/*.rs")), Allow)
    assert isinstance(decision.response_filter, MetaFilter)


def test_a_manifest_without_entries_lets_nothing_through() -> None:
    decision = decide_operation("GET /Patient/A/$everything", make_grant("system/*.cruds"))
    assert decision == Deny(Reason.OPERATION_NOT_ALLOWED, "$everything")


def test_an_entry_for_a_type_comes_before_the_one_for_every_type() -> None:
    operations = make_rules({"Patient/[id]/$meta": {"enabled": False}})
    grant = operation_grant("patient/*.rs", operations=operations)
    assert isinstance(decide_operation("GET /Patient/A/$meta", grant), Deny)
    assert isinstance(decide_operation("GET /Observation/o/$meta", grant), Allow)
