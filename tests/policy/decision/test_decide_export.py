"""Decisions on the kick-off of an export: which scopes count, and what is sent."""

import pytest

from gateway.policy.decision.explain_decision import explain
from gateway.policy.decision.explanation import Outcome
from gateway.policy.decision_types import Allow, Deny
from gateway.policy.permission.export_permission import export_permission
from gateway.policy.permission.rules import ExportRules
from gateway.policy.reasons import Reason
from tests.policy.grants import decide_request, make_grant, parse_interaction, upstream_url

LABORATORY = "system/Observation.rs?category=laboratory"

SENT = {
    # write-cases O02
    ("system/*.rs", "GET /$export"): "/$export",
    ("system/*.cruds", "GET /Patient/$export?_type=Patient"): "/Patient/$export?_type=Patient",
    ("system/Patient.rs", "GET /$export"): "/$export?_type=Patient",
    ("system/Patient.rs", "GET /Patient/$export?_type=Patient,Observation"): "/Patient/$export?_type=Patient",
    ("system/Patient.rs?active=true", "GET /$export"): "/$export?_type=Patient&_typeFilter=Patient%3Factive%3Dtrue",
    ("system/Patient.rs user/*.rs patient/*.rs", "GET /$export"): "/$export?_type=Patient",
    # letters of two scopes
    ("system/Patient.r system/Patient.s", "GET /$export"): "/$export?_type=Patient",
    ("system/Patient.read", "GET /$export"): "/$export?_type=Patient",
    ("system/Patient.r?active=true system/Patient.s", "GET /$export"): (
        "/$export?_type=Patient&_typeFilter=Patient%3Factive%3Dtrue"
    ),
    # types that are not exported of patients, unless they are named
    ("system/Patient.rs system/Group.rs system/Slot.rs", "GET /Patient/$export"): "/Patient/$export?_type=Patient",
    ("system/Patient.rs system/Medication.rs", "GET /Patient/$export?_type=Medication"): (
        "/Patient/$export?_type=Medication"
    ),
    ("system/Medication.rs", "GET /Patient/$export"): "/Patient/$export?_type=Medication",
    # what a constraint looks at must not be left out
    (LABORATORY, "GET /$export?_elements=status"): (
        "/$export?_type=Observation&_typeFilter=Observation%3Fcategory%3Dlaboratory"
    ),
    ("system/Patient.rs", "GET /$export?includeAssociatedData=LatestProvenanceResources"): "/$export?_type=Patient",
    # a reference to the gateway is one to the server
    ("system/*.rs", "GET /$export?_typeFilter=Observation%3Fsubject%3Dhttps://gateway.example/fhir/Patient/a"): (
        "/$export?_typeFilter=Observation%3Fsubject%3DPatient/a"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("scopes", "request_line"), SENT)
def test_what_is_sent_asks_for_what_is_granted(scopes: str, request_line: str) -> None:
    assert upstream_url(request_line, make_grant(scopes)) == SENT[scopes, request_line]


REFUSED = {
    ("user/*.rs", "GET /$export"): ("system/*.rs", Reason.SCOPE_INSUFFICIENT),
    ("patient/*.rs", "GET /Patient/$export?_type=Patient"): ("system/Patient.rs", Reason.SCOPE_INSUFFICIENT),
    ("system/Observation.r?category=a system/Observation.s?category=b", "GET /$export"): (
        "system/*.rs",
        Reason.SCOPE_INSUFFICIENT,
    ),
    ("system/Patient.rs", "GET /Group/g/$export"): ("system/Group.r", Reason.SCOPE_INSUFFICIENT),
    ("system/Patient.rs", "GET /$export?_typeFilter=Patient%3F_has:Observation:patient:code%3Dx"): (
        "",
        Reason.PARAMETER_OUT_OF_REACH,
    ),
    ("system/Patient.rs", "GET /$export?_type=Patient&_typeFilter=Observation%3Fcode%3Dx"): (
        "",
        Reason.PARAMETER_INVALID,
    ),
    ("system/Patient.rs", "GET /$export?_typeFilter=Patient%3F_filter%3Dx"): ("", Reason.PARAMETER_REFUSED),
    ("system/*.rs", "GET /Observation/$export"): ("", Reason.OPERATION_NOT_ALLOWED),
    ("system/*.cruds", "POST /$import"): ("", Reason.OPERATION_NOT_ALLOWED),
}


@pytest.mark.parametrize(("scopes", "request_line"), REFUSED)
def test_what_is_not_granted_is_refused(scopes: str, request_line: str) -> None:
    decision = decide_request(request_line, make_grant(scopes))
    assert isinstance(decision, Deny)
    assert (decision.required_scope, decision.reason) == REFUSED[scopes, request_line]


def test_what_is_left_out_is_said() -> None:
    request = "GET /$export?_type=Observation,Patient&_elements=id&includeAssociatedData=LatestProvenanceResources"
    decision = decide_request(request, make_grant(LABORATORY))
    assert isinstance(decision, Allow)
    omitted = ("_type=Patient", "includeAssociatedData=LatestProvenanceResources", "_elements")
    assert decision.omitted_parameters == omitted


def test_a_group_must_be_readable_unless_the_operator_says_otherwise() -> None:
    decision = decide_request("GET /Group/g/$export", make_grant("system/Patient.rs system/Group.r"))
    assert isinstance(decision, Allow)
    assert str(decision.prerequisite) == "Group/g"
    grant = make_grant("system/Patient.rs", exports=ExportRules(group_needs_scope=False))
    decision = decide_request("GET /Group/g/$export", grant)
    assert isinstance(decision, Allow)
    assert decision.prerequisite is None


def test_filters_are_neither_sent_nor_accepted_where_the_server_knows_none() -> None:
    grant = make_grant(LABORATORY, exports=ExportRules(type_filters=False))
    assert upstream_url("GET /$export", grant) == "/$export?_type=Observation"
    refused = decide_request("GET /$export?_typeFilter=Observation%3Fcode%3Dx", grant)
    assert isinstance(refused, Deny)
    assert refused.reason is Reason.PARAMETER_REFUSED


def test_exports_that_are_off_are_refused() -> None:
    decision = decide_request("GET /$export", make_grant("system/*.rs", exports=ExportRules(allow=False)))
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.OPERATION_NOT_ALLOWED


def test_a_scope_that_covers_the_type_does_not_lend_its_letters_to_all_of_it() -> None:
    permission = export_permission(make_grant("system/Patient.r?active=true system/Patient.s"), "Patient")
    assert permission.permits({"resourceType": "Patient", "active": True})
    assert not permission.permits({"resourceType": "Patient", "active": False})


def test_an_explanation_says_what_is_sent_and_what_would_help() -> None:
    lines = explain(parse_interaction("GET /$export"), make_grant(LABORATORY)).lines
    texts = {line.label: line.text for line in lines}
    assert texts["Sent"].endswith("/$export?_type=Observation&_typeFilter=Observation%3Fcategory%3Dlaboratory")
    assert (texts["Verified"], "respond-async" in texts["Outcome"]) == ("each line of each file by itself", True)
    refused = explain(parse_interaction("GET /Group/g/$export"), make_grant("system/Patient.rs"))
    assert refused.remedies == ("the scope system/Group.r", "the setting bulk_export.group_needs_scope: false")
    assert explain(parse_interaction("GET /$export-file?_file=x"), make_grant(LABORATORY)).outcome is Outcome.DEPENDS
