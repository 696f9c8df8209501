"""The search for app state: `code` and `subject`, or `code` and `subject:missing=true` (checklist AS-12)."""

from gateway.fhir.app_state.state_codes import StateAddress
from gateway.fhir.app_state.state_resource import parse_subject
from gateway.fhir.matching.value_syntax import split_value, unescape
from gateway.fhir.request.interaction import TypeSearch
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.search.query import Query

_CODE, _SUBJECT, _NO_SUBJECT = "code", "subject", "subject:missing"
_KNOWN = frozenset({_CODE, _SUBJECT, _NO_SUBJECT})


def read_state_search(search: TypeSearch, base: str) -> StateAddress:
    """Which state is asked for. `base` is the FHIR base. Raises `RequestError`."""
    values = _read_values(search.query)
    if _CODE not in values:
        raise RequestError(RequestProblem.PARAMETER_MISSING, _CODE)
    if _SUBJECT in values and _NO_SUBJECT in values:
        raise RequestError(RequestProblem.PARAMETER_REPEATED, _SUBJECT)
    system, code = _read_code(values[_CODE])
    if _SUBJECT in values:
        text = unescape(values[_SUBJECT])
        # The guide's examples have a relative reference in searches, which is one below the FHIR base.
        subject = parse_subject(text, base) or parse_subject(f"{base}/{text}", base)
        if subject is None:
            raise RequestError(RequestProblem.PARAMETER_INVALID, _SUBJECT, f"It is one address below {base}.")
        return StateAddress(system, code, subject)
    if values.get(_NO_SUBJECT) != "true":
        hint = "Send subject, or subject:missing=true for global state."
        raise RequestError(RequestProblem.PARAMETER_MISSING, _SUBJECT, hint)
    return StateAddress(system, code)


def _read_values(query: Query) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in query.pairs():
        if name not in _KNOWN:
            raise RequestError(RequestProblem.PARAMETER_UNKNOWN, name, "App state is found by code and subject.")
        if name in values:
            raise RequestError(RequestProblem.PARAMETER_REPEATED, name)
        values[name] = value
    return values


def _read_code(value: str) -> tuple[str, str]:
    alternatives = split_value(value, ",")
    parts = split_value(alternatives[0], "|")
    if len(alternatives) != 1 or len(parts) != 2 or not all(part.strip() for part in parts):
        raise RequestError(RequestProblem.PARAMETER_INVALID, _CODE, "It is one system and code, with a bar between.")
    return unescape(parts[0]), unescape(parts[1])
