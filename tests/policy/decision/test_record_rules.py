"""Under a record rule nothing counts as wholly permitted: no count, no chain, no response without judgement."""

import json
from typing import Any

import pytest

from gateway.policy.decision.explain_decision import explain
from gateway.policy.decision_types import Allow, Deny, ExportFilter, PassThrough, SearchFilter
from gateway.policy.judgement.judge_export_lines import LineJudge
from gateway.policy.permission.export_permission import export_permission, exports_everything
from gateway.policy.permission.rules import UnnarrowedSearch
from gateway.policy.permission.security_labels import SecurityLabelRule
from gateway.policy.reasons import Reason
from tests.policy.grants import decide_request, make_grant, parse_interaction

LABELS: Any = {"record_rules": (SecurityLabelRule(frozenset({"R"}), scopes=frozenset({"urn:sensitive"})),)}
EVERYTHING = "system/*.rs"


def test_a_token_for_everything_is_judged_record_by_record() -> None:
    grant = make_grant(EVERYTHING, patient=None, **LABELS)
    assert not grant.reads_everything
    assert not exports_everything(grant)
    for request in ("GET /Observation/1", "GET /Observation", "GET /Observation/1/_history", "GET /Binary/1"):
        decision = decide_request(request, grant)
        assert isinstance(decision, Allow)
        assert not isinstance(decision.response_filter, PassThrough)
        assert not getattr(decision.response_filter, "keeps_everything", False), request


def test_a_token_that_the_rule_does_not_limit_is_as_without_it() -> None:
    grant = make_grant(f"{EVERYTHING} urn:sensitive", patient=None, **LABELS)
    assert grant.reads_everything
    assert exports_everything(grant)


REFUSED = {
    "a count": ("GET /Observation?_summary=count", Reason.COUNT_NOT_EXACT),
    "a chain": ("GET /Observation?encounter.status=finished", Reason.PARAMETER_OUT_OF_REACH),
    "a chain back": ("GET /Patient?_has:Observation:patient:code=x", Reason.PARAMETER_OUT_OF_REACH),
}


@pytest.mark.parametrize("scopes", [EVERYTHING, "patient/*.rs"])
@pytest.mark.parametrize(("request_", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_would_tell_of_withheld_records_is_refused(request_: str, reason: Reason, scopes: str) -> None:
    decision = decide_request(request_, make_grant(scopes, **LABELS))
    assert isinstance(decision, Deny)
    assert decision.reason is reason


def test_a_search_is_sent_as_without_the_rule() -> None:
    for policy in UnnarrowedSearch:
        grant = make_grant(EVERYTHING, patient=None, search_without_narrowing=policy, **LABELS)
        decision = decide_request("GET /Observation?code=x&_count=3&_elements=status", grant)
        assert isinstance(decision, Allow)
        assert decision.upstream_request.query == "code=x&_count=3"
        assert isinstance(decision.response_filter, SearchFilter)
        assert not decision.response_filter.permits_all_results


def test_lines_of_an_export_are_withheld_and_counted() -> None:
    grant = make_grant(EVERYTHING, patient=None, **LABELS)
    decision = decide_request("GET /$export?_type=Observation", grant)
    assert isinstance(decision, Allow)
    assert isinstance(decision.response_filter, ExportFilter)
    assert not decision.response_filter.passes_everything
    judge = LineJudge(export_permission(grant, "Observation"), grant)
    open_line = json.dumps({"resourceType": "Observation", "id": "a"}).encode() + b"\n"
    labelled = {"resourceType": "Observation", "id": "b", "meta": {"security": [{"code": "R"}]}}
    kept = judge.judge(open_line + json.dumps(labelled).encode() + b"\n")
    assert [json.loads(line)["id"] for line in kept.splitlines()] == ["a"]
    assert (judge.dropped, judge.withheld) == ({"Observation": 1}, {"Observation": 1})


def test_explain_says_what_the_rule_takes_away() -> None:
    grant = make_grant("patient/*.rs", **LABELS)
    lines = [str(line) for line in explain(parse_interaction("GET /Observation/1"), grant).lines]
    assert any("security_labels: records without the security labels R" in line for line in lines)
    assert any("Unit" in line and "without the security labels R" in line for line in lines)
    lifted = make_grant("patient/*.rs urn:sensitive", **LABELS)
    lines = [str(line) for line in explain(parse_interaction("GET /Observation/1"), lifted).lines]
    assert any("security_labels: not for this token" in line for line in lines)
