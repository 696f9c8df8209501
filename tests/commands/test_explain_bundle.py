"""`smart-gateway explain` says of a batch or transaction what becomes of each entry, and of the whole."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.explaining.explain_error import ExplainError
from gateway.commands.explaining.explain_request import explain_request
from gateway.policy.decision.explanation import Explanation, Outcome
from gateway.policy.reasons import Reason
from tests.commands.test_explain import run


def explain(kind: str, *requests: str, scope: str = "patient/*.rs") -> Explanation:
    entries = [dict(zip(("method", "url"), request.split(" "), strict=True)) for request in requests]
    bundle = {"resourceType": "Bundle", "type": kind, "entry": [{"request": entry} for entry in entries]}
    body = json.dumps(bundle).encode()
    return explain_request(None, "POST", "/", scope=scope, patient="A", user=None, token=None, body=body)


def find_outcomes(explanation: Explanation) -> list[str]:
    return [line.text.split(",")[0] for line in explanation.lines if line.label == "  Outcome"]


def test_each_entry_of_a_batch_has_an_outcome() -> None:
    explanation = explain("batch", "GET Observation?code=x", "DELETE Observation/1", "GET http://elsewhere/Patient/1")
    assert (
        find_outcomes(explanation)
        == ["permitted; resources that fail the verification do not leave the gateway"] + ["refused"] * 2
    )
    assert explanation.outcome is Outcome.DEPENDS
    labels = [(line.label, line.text) for line in explanation.lines if line.label.startswith("Entry")]
    assert labels[1] == ("Entry 1", "DELETE Observation/1")


def test_one_refused_entry_refuses_a_transaction() -> None:
    explanation = explain("transaction", "GET Observation?code=x", "DELETE Observation/1")
    assert (explanation.outcome, explanation.reason) == (Outcome.REFUSED, Reason.SCOPE_INSUFFICIENT)
    assert explanation.remedies == ("the scope patient/Observation.d",)
    permitted = explain("transaction", "GET Observation?code=x", "DELETE Observation/1", scope="patient/*.cruds")
    assert permitted.outcome is Outcome.DEPENDS


def test_exports_and_what_is_no_bundle_are_refused() -> None:
    assert find_outcomes(explain("batch", "GET $export")) == ["refused"]
    assert explain("collection").reason is Reason.BUNDLE_MALFORMED


def test_without_a_body_nothing_can_be_said() -> None:
    with pytest.raises(ExplainError, match="--body"):
        explain_request(None, "POST", "/", scope="patient/*.rs", patient="A", user=None, token=None)


def test_the_bundle_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "batch", "entry": []}
    file.write_text(json.dumps(bundle), encoding="ascii")
    status, output, _ = run("--scope", "patient/*.rs", "--patient", "A", "--body", str(file), "POST", "/")
    assert (status, "every entry has its own answer" in output) == (0, True)
