"""A decision on an operation is explained by its audit line, which names the operation."""

import pytest

from gateway.fhir.request.interaction import Operation, OperationLevel
from gateway.policy.reasons import Reason
from gateway.scopes.parse_scopes import parse_scopes
from gateway.settings.model import Settings
from gateway.telemetry.decisions.explain_audit_line import explain_audit_line
from tests.commands.test_explain import audit_line, minimal_settings
from tests.telemetry.request_records import access

EVERYTHING = Operation(OperationLevel.INSTANCE, "everything", "Patient", "A")
LAST_VALUES = Operation(OperationLevel.TYPE, "lastn", "Observation")
REFUSED = {
    "a letter that is missing": (
        EVERYTHING,
        "patient/Patient.r",
        Reason.SCOPE_INSUFFICIENT,
        ["Request       GET: operation Patient $everything", "Would help    the scope patient/Patient.rs"],
    ),
    "an operation that is switched off": (
        LAST_VALUES,
        "patient/*.rs",
        Reason.OPERATION_NOT_ALLOWED,
        ["Would help    the setting operations: Observation/$lastn: {enabled: true}"],
    ),
    "an operation of the system": (
        Operation(OperationLevel.SYSTEM, "expunge", method="POST"),
        "patient/*.rs",
        Reason.OPERATION_NOT_ALLOWED,
        ["Would help    reads and searches instead; the setting operations adds what the manifest lacks"],
    ),
}


@pytest.mark.parametrize(("operation", "scopes", "reason", "lines"), REFUSED.values(), ids=REFUSED)
def test_a_refused_operation_is_explained(operation: Operation, scopes: str, reason: Reason, lines: list[str]) -> None:
    token = access(scopes=parse_scopes(scopes).scopes)
    line = audit_line(method=operation.method, access=token, interaction=operation, reason=reason, status=403, kept=0)
    explanation = explain_audit_line(line, Settings.model_validate(minimal_settings()).rules())
    assert set(lines) <= {str(one) for one in explanation.all_lines()}
