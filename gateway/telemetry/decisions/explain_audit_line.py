"""Explains a decision that was made, from its line of the audit log: neither token nor request is needed."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.fhir.reference import Reference
from gateway.fhir.request.interaction import (
    InstanceHistory,
    Interaction,
    Operation,
    OperationLevel,
    Read,
    SystemHistory,
    SystemSearch,
    TypeHistory,
    TypeSearch,
    VRead,
)
from gateway.policy.decision.decide import decide
from gateway.policy.decision.explain_decision import describe_access, describe_units
from gateway.policy.decision.explanation import Explanation, Line, Outcome, explain_refusal
from gateway.policy.decision.find_remedies import find_remedies
from gateway.policy.decision_types import Deny
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.operation_rule import find_operation_rule
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.policy.remedies import REMEDIES
from gateway.scopes.parse_scopes import parse_scopes

# Stands for an id that the audit line does not have. No decision depends on it.
_ANY_ID = "any"
_PATIENT_PROBLEMS = {Reason.PATIENT_CONTEXT_MISSING, Reason.PATIENT_CONTEXT_INVALID}


class AuditLineError(Exception):
    """The line cannot be read. The message says why."""


def explain_audit_line(fields: Mapping[str, Any], rules: Rules) -> Explanation:
    """The explanation, with the rules of the configuration as they are now. Raises `AuditLineError`."""
    try:
        reason = Reason(fields["reason"])
        words = (fields["interaction"], fields["resource_type"], fields.get("operation"))
        request = f"{fields['method']}: {' '.join(word for word in words if word)}"
        names, outcome = fields.get("parameters") or [], _describe_result(fields)
        lines = [Line("Decision", f"{fields['decision_id']} at {fields['time']}"), Line("Request", request)]
        if "shadow" in fields:
            reason, outcome = Reason(fields["shadow"]["reason"]), _describe_shadow(fields["shadow"])
            lines.append(Line("Shadow mode", "answered all the same; enforcement would have decided as follows"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AuditLineError(f"The audit line cannot be read: {error}.") from error
    if names:
        lines.append(Line("Parameters", f"{', '.join(names)} (values are not in the audit line)"))
    if fields.get("client_id") is None:
        return _finish(tuple(lines), reason, (REMEDIES.get(reason, ""),), outcome)
    grant = Grant(_read_access(fields, reason), rules)
    lines += [*describe_access(grant), *describe_units(fields["resource_type"], grant)]
    return _finish(tuple(lines), reason, _find_remedies(fields, grant, reason), outcome)


def _finish(lines: tuple[Line, ...], reason: Reason, remedies: tuple[str, ...], result: str) -> Explanation:
    if reason is Reason.PERMITTED:
        return Explanation((*lines, Line("Outcome", result)), Outcome.PERMITTED, reason)
    return explain_refusal(lines, reason, remedies)


def _describe_result(fields: Mapping[str, Any]) -> str:
    """How a permitted request ended."""
    dropped = ", ".join(f"{count} {name}" for name, count in fields.get("dropped", {}).items())
    return f"permitted, {fields['status']}; {fields['kept']} resources shown, held back: {dropped or 'none'}"


def _describe_shadow(shadow: Mapping[str, Any]) -> str:
    """What enforcement would have made of a permitted request."""
    dropped = [
        f"{count} {name} ({reason})"
        for name, counts in shadow.get("dropped", {}).items()
        for reason, count in counts.items()
    ]
    parts = f"; parts of the query left out: {', '.join(shadow['left_out'])}" if shadow.get("left_out") else ""
    sent = f"; changed in what is sent: {', '.join(shadow['rewritten'])}" if shadow.get("rewritten") else ""
    return f"permitted; held back: {', '.join(dropped) or 'none'}{parts}{sent}"


def _read_access(fields: Mapping[str, Any], reason: Reason) -> Access:
    """What the token said. An id that the audit log hashes stays as it is: no decision depends on it."""
    kind, _, user_id = (fields.get("user") or "").partition("/")
    text = fields.get("scope") or ""
    patient = fields.get("patient")
    return Access(
        issuer=fields.get("issuer") or "",
        client_id=fields["client_id"],
        subject=fields.get("subject"),
        scopes=parse_scopes(text).scopes,
        expires_at=0.0,
        patient=patient,
        patient_problem=reason if patient is None and reason in _PATIENT_PROBLEMS else None,
        user=Reference(kind, user_id) if user_id else None,
        scope_text=text,
    )


def find_line_remedies(fields: Mapping[str, Any], rules: Rules, reason: Reason) -> tuple[str, ...]:
    """What would help the request of a line against a refusal for `reason`. Raises `KeyError` and `ValueError`."""
    return _find_remedies(fields, Grant(_read_access(fields, reason), rules), reason)


def _find_remedies(fields: Mapping[str, Any], grant: Grant, reason: Reason) -> tuple[str, ...]:
    """Remedies for the type where it alone decided; what helps in general where parameters or the record did."""
    for interaction in _sample_interactions(fields, grant.rules):
        decision = decide(interaction, grant)
        if isinstance(decision, Deny) and decision.reason is reason:
            return find_remedies(interaction, grant, decision)
    return (REMEDIES.get(reason, ""),)


def _sample_interactions(fields: Mapping[str, Any], rules: Rules) -> Iterator[Interaction]:
    """Interactions that the line can be about, without parameters. It does not say at which level an operation was."""
    resource_type, operation = fields["resource_type"], fields.get("operation")
    if operation is None:
        interaction = _sample_interaction(fields["interaction"], resource_type)
        if interaction is not None:
            yield interaction
        return
    method = "GET" if fields["method"] == "HEAD" else fields["method"]
    for level in (OperationLevel.INSTANCE, OperationLevel.TYPE) if resource_type else (OperationLevel.SYSTEM,):
        resource_id = _ANY_ID if level is OperationLevel.INSTANCE else None
        sample = Operation(level, operation.removeprefix("$"), resource_type, resource_id, method=method)
        if find_operation_rule(sample, rules.operations) is not None:
            yield sample


def _sample_interaction(name: str, resource_type: str | None) -> Interaction | None:
    """An interaction of that name without parameters; None for those that no scope decides."""
    match name, resource_type:
        case "search-system", _:
            return SystemSearch()
        case "history-system", _:
            return SystemHistory()
        case "read", str():
            return Read(resource_type, _ANY_ID)
        case "vread", str():
            return VRead(resource_type, _ANY_ID, _ANY_ID)
        case "history-instance", str():
            return InstanceHistory(resource_type, _ANY_ID)
        case "history-type", str():
            return TypeHistory(resource_type)
        case (("search-type" | "search-compartment"), str()):
            return TypeSearch(resource_type)
        case _:
            return None
