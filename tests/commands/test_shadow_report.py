"""`shadow report` says of each client what enforcement would break, by the lines that the audit log writes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.explaining.explain_request import EXAMPLE_RULES
from gateway.commands.shadowing.report_text import report_lines, verdict
from gateway.commands.shadowing.shadow_report import ClientReport, ShadowReport
from gateway.fhir.request.interaction import Operation, OperationLevel, Read, TypeSearch
from gateway.fhir.search.query import Query
from gateway.policy.reasons import Reason
from gateway.policy.shadow.shadow_outcome import ShadowOutcome
from gateway.scopes.parse_scopes import parse_scopes
from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.decisions.explain_audit_line import explain_audit_line
from gateway.telemetry.line_writer import LineWriter
from tests.telemetry.request_records import AT, access, request_record

LOG = AuditLog(LineWriter(1, close_descriptor=False))
SCOPES = parse_scopes("patient/Observation.rs patient/Encounter.rs").scopes
CONDITION = Read("Condition", "secret-id")
REFUSED = ShadowOutcome(Reason.SCOPE_INSUFFICIENT, "Condition", "patient/Condition.r")
SHORTENED = ShadowOutcome(
    dropped={("Observation", Reason.OUT_OF_REACH): 4, ("Condition", Reason.SCOPE_INSUFFICIENT): 1}
)


def line(shadow: ShadowOutcome | None = None, client: str = "app", **changes: Any) -> bytes:
    """An audit line as it is written."""
    caller = access(scopes=SCOPES, client_id=client)
    return LOG.encode_request(request_record(**{"access": caller, "dropped": {}, "shadow": shadow, **changes}))


def report(*lines: bytes, **options: Any) -> list[ClientReport]:
    """What is said of these lines."""
    shadow_report = ShadowReport(EXAMPLE_RULES, **options)
    shadow_report.add_lines(lines)
    return shadow_report.clients()


def told(*lines: bytes) -> str:
    """The report on one client as text."""
    (client,) = report(*lines)
    return "\n".join(report_lines(client))


def test_a_client_that_loses_nothing_is_ready() -> None:
    (client,) = report(line(ShadowOutcome()), line(ShadowOutcome(rewritten=("patient",))))
    assert client.is_ready
    assert (client.requests, client.in_shadow_mode, client.breaking) == (2, 2, 0)
    assert verdict(client).startswith("Ready to enforce")


def test_refusals_are_grouped_with_the_scope_that_helps() -> None:
    text = told(*[line(REFUSED, interaction=CONDITION)] * 3, line(ShadowOutcome()))
    assert "3  read Condition - scope_insufficient  [5f0c-1]" in text
    assert "would help: the scope patient/Condition.r" in text
    assert text.endswith("This 1 kind of requests would break.")
    assert "secret-id" not in text


def test_records_that_would_be_missing_are_told_by_type_and_reason() -> None:
    text = told(line(SHORTENED), line(SHORTENED))
    assert "2  search-type Observation without 8 Observation - out_of_reach" in text
    assert "2  search-type Observation without 2 Condition - scope_insufficient" in text
    assert "would help: the scope patient/Condition.s" in text
    assert text.endswith("These 2 kinds of requests would break.")


def test_left_out_includes_break_and_a_narrowed_search_does_not() -> None:
    text = told(line(ShadowOutcome(left_out=("_include",), rewritten=("_include", "patient"))))
    assert "search-type Observation (_include)" in text
    assert "search-type Observation (patient)" in text
    assert text.endswith("This 1 kind of requests would break.")


def test_what_is_refused_in_shadow_mode_as_well_breaks() -> None:
    refused = line(None, reason=Reason.WRITES_OFF, status=403, interaction=CONDITION)
    absent = line(ShadowOutcome(), reason=Reason.NOT_FOUND, status=404, interaction=CONDITION)
    text = told(refused, absent, line(None, reason=Reason.NOT_FOUND, status=404))
    assert "Are refused in shadow mode as well:\n          1  read Condition - writes_off" in text
    assert "not_found" not in text


def test_a_failure_of_the_server_is_no_verdict() -> None:
    (client,) = report(line(ShadowOutcome(Reason.UPSTREAM_TIMEOUT)))
    assert not client.is_ready
    assert verdict(client) == "Not known: some requests could not be judged."


def test_an_operation_is_named() -> None:
    operation = Operation(OperationLevel.INSTANCE, "everything", "Patient", "secret-id")
    text = told(line(ShadowOutcome(Reason.OUT_OF_REACH), interaction=operation))
    assert "operation Patient $everything - out_of_reach" in text


def test_only_clients_that_were_in_shadow_mode_are_told_of_each_by_issuer() -> None:
    other = access(scopes=SCOPES, client_id="app", issuer="https://other")
    clients = report(line(REFUSED), line(None, "never"), line(ShadowOutcome(), access=other), line(None, access=None))
    assert [(client.issuer, client.client_id, client.breaking) for client in clients] == [
        ("https://login.example.org", "app", 1),
        ("https://other", "app", 0),
    ]


def test_lines_before_a_moment_and_of_other_clients_are_passed_over() -> None:
    early, late = line(REFUSED), line(ShadowOutcome(), arrived_at=AT + 7200)
    (client,) = report(early, late, line(REFUSED, "other"), since="2026-01-01T01:00:00.000Z", client_id="app")
    assert (client.requests, client.first) == (1, "2026-01-01T02:00:00.250000Z")


@pytest.mark.parametrize(
    "damaged",
    [b"", b"no JSON", b"[1]", b'{"decision_id":"1","client_id":"app","shadow":{"reason":"permitted"}}',
     b'{"decision_id":"1","client_id":"app","shadow":7,"interaction":"read","resource_type":null,"reason":"x"}',
     b'{"event":"token_issued","client_id":"app"}'],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_passed_over(damaged: bytes) -> None:
    (client,) = report(damaged, line(ShadowOutcome()))
    assert client.requests == 1


def test_a_decision_is_explained_as_enforcement_would_have_made_it() -> None:
    explained = explain_audit_line(json.loads(line(REFUSED, interaction=CONDITION)), EXAMPLE_RULES)
    assert explained.reason is Reason.SCOPE_INSUFFICIENT
    assert explained.remedies == ("the scope patient/Condition.r",)
    permitted = explain_audit_line(json.loads(line(SHORTENED)), EXAMPLE_RULES)
    assert (
        permitted.lines[-1].text
        == "permitted; held back: 4 Observation (out_of_reach), 1 Condition (scope_insufficient)"
    )


def _run(*arguments: str, text: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "gateway", "shadow", "report", *arguments]
    return subprocess.run(command, input=text, capture_output=True, check=False)


def test_the_command_reads_files_or_standard_input_and_says_by_its_status_whether_all_are_ready(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(line(ShadowOutcome()))
    ready = _run(str(path))
    assert (ready.returncode, ready.stderr) == (0, b"")
    assert b"app of https://login.example.org\n  1 requests, 1 of them in shadow mode" in ready.stdout
    breaking = _run("--json", "-", text=line(REFUSED, interaction=CONDITION))
    assert breaking.returncode == 1
    (client,) = json.loads(breaking.stdout)
    assert client["findings"] == [
        {
            "kind": "refused", "request": "read Condition", "reason": "scope_insufficient", "lost_type": "",
            "detail": "", "required_scope": "patient/Condition.r", "example": "5f0c-1",
            "remedies": ["the scope patient/Condition.r"], "requests": 1, "records": 0,
        }
    ]  # fmt: skip
    assert _run(str(tmp_path / "absent")).returncode == 2
    assert _run("-", text=line(None)).returncode == 2
    assert _run().returncode == 2
    assert _run("--since", "yesterday", str(path)).returncode == 2


def test_a_search_is_told_by_its_type() -> None:
    assert "search-type Observation" in told(line(SHORTENED, interaction=TypeSearch("Observation", Query())))
