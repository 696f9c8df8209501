"""What enforcement would have made of a request: names and numbers, never a value."""

from gateway.policy.decision_types import Allow, Deny, PassThrough, UpstreamRequest
from gateway.policy.judgement.verdict import UNREADABLE
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.policy.shadow.shadow_outcome import COMPARTMENT, ShadowKind, ShadowOutcome, compare_requests, explain_drops
from gateway.scopes.parse_scopes import parse_scopes

RULES = Rules("https://gateway.example/fhir", "http://fhir.example/fhir")


def _allow(path: str, query: str = "", *omitted: str) -> Allow:
    return Allow(UpstreamRequest(path, query), PassThrough(), omitted_parameters=omitted)


def _grant(scopes: str, patient: str | None = "A") -> Grant:
    problem = None if patient else Reason.PATIENT_CONTEXT_MISSING
    scope_values = parse_scopes(scopes).scopes
    return Grant(Access("https://i", "c", None, scope_values, 0.0, patient, problem, scope_text=scopes), RULES)


def test_names_of_what_is_added_changed_and_taken_away_are_told_without_values() -> None:
    enforced = _allow("/Observation", "patient=Patient/A&code=secret&_count=50", "_include=Observation:performer")
    opened = _allow("/Observation", "code=secret&_count=5&_include=Observation:performer&_total=accurate")
    outcome = compare_requests(enforced, opened)
    assert outcome.rewritten == ("_count", "_include", "_total", "patient")
    assert outcome.left_out == ("_include",)
    assert outcome.kind is ShadowKind.SHORTENED


def test_a_search_that_is_sent_to_a_compartment_is_told() -> None:
    outcome = compare_requests(_allow("/Patient/A/Observation"), _allow("/Observation"))
    assert (outcome.rewritten, outcome.kind) == ((COMPARTMENT,), ShadowKind.UNCHANGED)


def test_the_same_request_says_nothing() -> None:
    assert compare_requests(_allow("/Observation", "code=1"), _allow("/Observation", "code=1")) == ShadowOutcome()


def test_a_refusal_is_told_with_its_scope() -> None:
    outcome = ShadowOutcome.refused(Deny(Reason.SCOPE_INSUFFICIENT, "Condition", "patient/Condition.r"))
    assert (outcome.reason, outcome.required_scope) == (Reason.SCOPE_INSUFFICIENT, "patient/Condition.r")
    assert outcome.kind is ShadowKind.REFUSED


def test_a_refusal_that_is_found_later_keeps_what_was_known() -> None:
    known = ShadowOutcome(rewritten=("patient",))
    outcome = known.with_refusal(Deny(Reason.OUT_OF_REACH))
    assert (outcome.reason, outcome.rewritten) == (Reason.OUT_OF_REACH, ("patient",))


def test_each_dropped_record_has_its_reason() -> None:
    dropped = {"Observation": 5, "Practitioner": 2, UNREADABLE: 1}
    assert explain_drops(dropped, {"Observation": 2}, _grant("patient/Observation.rs")) == {
        ("Observation", Reason.RECORD_WITHHELD): 2,
        ("Observation", Reason.OUT_OF_REACH): 3,
        ("Practitioner", Reason.SCOPE_INSUFFICIENT): 2,
        (UNREADABLE, Reason.UPSTREAM_MALFORMED): 1,
    }


def test_a_token_without_a_patient_drops_for_that_reason() -> None:
    drops = explain_drops({"Observation": 1}, {}, _grant("patient/*.rs", None))
    assert drops == {("Observation", Reason.PATIENT_CONTEXT_MISSING): 1}
