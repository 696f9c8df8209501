"""The OperationOutcome of every refusal and failure (FHIR R4, OperationOutcome)."""

from typing import Any

import orjson

REASON_SYSTEM = "urn:smart-fhir-gateway:reason"


def build_operation_outcome(
    *, code: str, reason: str, text: str, severity: str = "error", expression: str | None = None, location: str = ""
) -> dict[str, Any]:
    """An OperationOutcome with one issue.

    `code` is from the issue-type code system, `reason` a stable reason code of this gateway, `text` for people.
    `expression` is the header, parameter or part of the path that is wrong. It must be printable.
    `location` is the FHIRPath of the entry of a Bundle, or empty.
    """
    issue: dict[str, Any] = {
        "severity": severity,
        "code": code,
        "details": {"coding": [{"system": REASON_SYSTEM, "code": reason}], "text": text},
    }
    if expression:
        issue["diagnostics"] = expression
    if location:
        issue["expression"] = [location]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def encode_outcome(outcome: dict[str, Any]) -> bytes:
    """Encode as JSON. The same outcome always has the same bytes."""
    return orjson.dumps(outcome)
