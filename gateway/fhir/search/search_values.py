"""Syntax checks of search values by the type of the parameter (R4 Search 3.1.1.4.6 to 3.1.1.5.15)."""

import re
from collections.abc import Iterable

from gateway.fhir.reference import ID_PATTERN
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.search_parameters import SearchType

# A value is a list of parts; `\` escapes one of `\ , | $` (R4 Search 3.1.1.4.12). A part needs at least one character
# that is neither blank nor a separator: a lenient server drops an empty part, and the whole criterion if no part is
# left (hapi.md B2).
_LIST_PART = r"[\s|$]*(?:[^\s|$,\\]|\\[\\,|$])(?:[^,\\]|\\[\\,|$])*"
_LIST = re.compile(rf"{_LIST_PART}(?:,{_LIST_PART})*")
_STRAY_BACKSLASH = re.compile(r"(?:[^\\]|\\[\\,|$])*\\(?![\\,|$])")

_PREFIX = r"(?:eq|ne|gt|lt|ge|le|sa|eb|ap)?"
_TIME_ZONE = r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
_DAY = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_DATE = rf"(?:[0-9]{{4}}(?:-(?:0[1-9]|1[0-2]))?|{_DAY}(?:T{_TIME}(?::[0-5][0-9](?:\.[0-9]{{1,9}})?)?{_TIME_ZONE}?)?)"
_NUMBER = r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?"

_VALUE_PATTERNS = {
    SearchType.DATE: re.compile(_PREFIX + _DATE),
    SearchType.NUMBER: re.compile(_PREFIX + _NUMBER),
    SearchType.QUANTITY: re.compile(rf"{_PREFIX}{_NUMBER}(?:\|[^|]*\|[^|]*)?"),
    # `Patient/` and `/A` reference nothing; a server may drop them.
    SearchType.REFERENCE: re.compile(r"[^\s/](?:\S*[^\s/])?"),
}
_INSTANT = re.compile(rf"{_DAY}T{_TIME}:[0-5][0-9](?:\.[0-9]{{1,9}})?{_TIME_ZONE}")
_DATE_TIME = re.compile(_DATE)

_HINTS = {
    SearchType.DATE: "A date is written as 2024, 2024-05, 2024-05-01 or 2024-05-01T10:00:00Z; encode '+' as %2B.",
    SearchType.NUMBER: "A number is expected.",
    SearchType.QUANTITY: "A quantity is written as number or number|system|code.",
    SearchType.REFERENCE: "A reference is an id, type/id or an absolute URL.",
}


def check_list_syntax(name: str, value: str) -> None:
    """Refuse lists with an empty part, and stray backslashes. Raises `RequestError` for the parameter `name`."""
    if _LIST.fullmatch(value):
        return
    if _STRAY_BACKSLASH.match(value):
        raise RequestError(RequestProblem.PARAMETER_INVALID, name, r"A backslash stands only before one of \ , | $.")
    raise RequestError(RequestProblem.PARAMETER_EMPTY, name, "A comma has nothing beside it.")


def check_value_type(name: str, search_types: Iterable[SearchType], value: str) -> None:
    """Refuse a value that does not have the syntax of all the parameter's types. Raises `RequestError`."""
    for search_type in search_types:
        pattern = _VALUE_PATTERNS.get(search_type)
        if pattern is not None and not all(pattern.fullmatch(part) for part in value.split(",")):
            raise RequestError(RequestProblem.PARAMETER_INVALID, name, _HINTS[search_type])


def check_ids(name: str, value: str) -> None:
    """Refuse anything but a list of ids, because `_id` limits the results. Raises `RequestError`."""
    if not all(ID_PATTERN.fullmatch(part) for part in value.split(",")):
        raise RequestError(RequestProblem.PARAMETER_INVALID, name, "Ids are letters, digits, '-' and '.', at most 64.")


def is_instant(value: str) -> bool:
    """Whether a value is a FHIR instant: at least seconds, with a time zone (R4 datatypes.html#instant)."""
    return _INSTANT.fullmatch(value) is not None


def is_date_time(value: str) -> bool:
    """Whether a value is a FHIR dateTime of any precision (R4 datatypes.html#dateTime)."""
    return _DATE_TIME.fullmatch(value) is not None
