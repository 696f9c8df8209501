"""The outcome of an operation, made anew of fixed words and places of what was sent: no text of the server is in it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.fhir.resources.resource import Members, decode_member, iter_nested_resources

# R4 valueset-issue-severity.html and valueset-issue-type.html.
_SEVERITIES = frozenset({"fatal", "error", "warning", "information"})
_CODES = frozenset(
    {
        *("invalid", "structure", "required", "value", "invariant"),
        *("security", "login", "unknown", "expired", "forbidden", "suppressed"),
        *("processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long"),
        *("code-invalid", "extension", "too-costly", "business-rule", "conflict"),
        *("transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"),
        "informational",
    }
)
_DONE = {"severity": "information", "code": "informational"}
_MAX_ISSUES = 1000
_STEP = re.compile(r"\.([A-Za-z]{1,64})(?:\.ofType\(([A-Za-z]{1,64})\))?(?:\[([0-9]{1,4})\])?")


def bound_outcome(members: Members, sent: Mapping[str, Any] | None) -> bytes:
    """An OperationOutcome with what the answer says by severities, codes and places in `sent`, the client's resource.

    The answer may hold its outcomes in Parameters. Raises `MalformedResourceError`.
    """
    root = {name: decode_member(raw) for name, raw in members.items()}
    issues = [issue for outcome in _find_outcomes(root) for issue in _read_issues(outcome, sent)]
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": issues[:_MAX_ISSUES] or [_DONE]})


def bound_issue(issue: Mapping[str, Any]) -> dict[str, Any]:
    """Severity and code of an issue, in words of R4."""
    severity, code = issue.get("severity"), issue.get("code")
    return {
        "severity": severity if isinstance(severity, str) and severity in _SEVERITIES else "error",
        "code": code if isinstance(code, str) and code in _CODES else "processing",
    }


def _find_outcomes(root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for resource in (root, *iter_nested_resources(root)):
        if resource.get("resourceType") == "OperationOutcome":
            yield resource


def _read_issues(outcome: Mapping[str, Any], sent: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    listed = outcome.get("issue")
    for issue in listed if isinstance(listed, list) else ():
        if not isinstance(issue, dict):
            continue
        bounded = bound_issue(issue)
        expressions = issue.get("expression") or issue.get("location")
        places = [_find_place(text, sent) for text in expressions] if isinstance(expressions, list) and sent else []
        if any(places):
            bounded["expression"] = list(dict.fromkeys(place for place in places if place))
        yield bounded


def _find_place(text: Any, sent: Mapping[str, Any]) -> str:
    """The begin of a FHIRPath as far as it leads to what was sent; empty if it does not begin with its type."""
    resource_type = str(sent.get("resourceType"))
    if not isinstance(text, str) or not re.match(rf"{re.escape(resource_type)}(?![A-Za-z])", text):
        return ""
    value: Any = sent
    end = len(resource_type)
    while (step := _STEP.match(text, end)) is not None:
        name, choice, index = step.groups()
        value = _step(value, name if choice is None else f"{name}{choice[:1].upper()}{choice[1:]}", index)
        if value is None:
            break
        end = step.end()
    return text[:end]


def _step(value: Any, name: str, index: str | None) -> Any:
    """What the element of this name is; None if there is none."""
    inner = value[0] if isinstance(value, list) and value else value
    found = inner.get(name) if isinstance(inner, dict) else None
    if index is None:
        return found
    if not isinstance(found, list) or int(index) >= len(found):
        return None
    return found[int(index)]
