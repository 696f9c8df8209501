"""The OperationOutcome that every refusal and failure is answered with (FHIR R4, OperationOutcome)."""

from typing import Any

import orjson

REASON_SYSTEM = "urn:smart-fhir-gateway:reason"


def operation_outcome(
    *, code: str, reason: str, sentence: str, severity: str = "error", expression: str | None = None
) -> dict[str, Any]:
    """One issue: `code` from issue-type, `reason` our stable word, `sentence` for people.

    `expression` names the offender: a header, parameter or path piece, already safe to print.
    """
    issue: dict[str, Any] = {
        "severity": severity,
        "code": code,
        "details": {"coding": [{"system": REASON_SYSTEM, "code": reason}], "text": sentence},
    }
    if expression:
        issue["diagnostics"] = expression
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def encode_outcome(outcome: dict[str, Any]) -> bytes:
    """The same bytes for the same outcome, always."""
    return orjson.dumps(outcome)
