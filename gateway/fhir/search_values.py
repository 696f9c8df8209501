"""The form of a search value by the type of its parameter (R4 Search 3.1.1.4.6 to 3.1.1.5.15)."""

import re
from collections.abc import Iterable

from gateway.fhir.problems import Problem, RequestError
from gateway.fhir.reference import ID
from gateway.fhir.search_parameters import SearchType

# A value is a list of parts; `\` before one of `\ , | $` takes its meaning away (R4 Search 3.1.1.4.12). A part needs
# at least one character that is neither blank nor a separator: a lenient server drops an empty part, and with the
# last one the whole criterion (hapi.md B2).
_PART = r"[\s|$]*(?:[^\s|$,\\]|\\[\\,|$])(?:[^,\\]|\\[\\,|$])*"
_VALUE = re.compile(rf"{_PART}(?:,{_PART})*")
_STRAY_BACKSLASH = re.compile(r"(?:[^\\]|\\[\\,|$])*\\(?![\\,|$])")

_PREFIX = r"(?:eq|ne|gt|lt|ge|le|sa|eb|ap)?"
_ZONE = r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
_DAY = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_DATE = rf"(?:[0-9]{{4}}(?:-(?:0[1-9]|1[0-2]))?|{_DAY}(?:T{_CLOCK}(?::[0-5][0-9](?:\.[0-9]{{1,9}})?)?{_ZONE}?)?)"
_NUMBER = r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?"

_FORMS = {
    SearchType.DATE: re.compile(_PREFIX + _DATE),
    SearchType.NUMBER: re.compile(_PREFIX + _NUMBER),
    SearchType.QUANTITY: re.compile(rf"{_PREFIX}{_NUMBER}(?:\|[^|]*\|[^|]*)?"),
    # `Patient/` and `/A` are references to nothing that a server may drop.
    SearchType.REFERENCE: re.compile(r"[^\s/](?:\S*[^\s/])?"),
}
_INSTANT = re.compile(rf"{_DAY}T{_CLOCK}:[0-5][0-9](?:\.[0-9]{{1,9}})?{_ZONE}")
_DATE_TIME = re.compile(_DATE)

_HINTS = {
    SearchType.DATE: "A date is written as 2024, 2024-05, 2024-05-01 or 2024-05-01T10:00:00Z; encode '+' as %2B.",
    SearchType.NUMBER: "A number is expected.",
    SearchType.QUANTITY: "A quantity is written as number or number|system|code.",
    SearchType.REFERENCE: "A reference is an id, type/id or an absolute URL.",
}


def check_value(name: str, value: str) -> None:
    """Refuse lists with an empty part and stray backslashes. Raises `RequestError` about the parameter `name`."""
    if _VALUE.fullmatch(value):
        return
    if _STRAY_BACKSLASH.match(value):
        raise RequestError(Problem.PARAMETER_INVALID, name, r"A backslash stands only before one of \ , | $.")
    raise RequestError(Problem.PARAMETER_EMPTY, name, "A comma has nothing beside it.")


def check_typed(name: str, kinds: Iterable[SearchType], value: str) -> None:
    """Refuse a value without modifier that one of the parameter's types cannot have. Raises `RequestError`."""
    for kind in kinds:
        form = _FORMS.get(kind)
        if form is not None and not all(form.fullmatch(part) for part in value.split(",")):
            raise RequestError(Problem.PARAMETER_INVALID, name, _HINTS[kind])


def check_ids(name: str, value: str) -> None:
    """Refuse what is no id, or a list of them: `_id` decides what may come back. Raises `RequestError`."""
    if not all(ID.fullmatch(part) for part in value.split(",")):
        raise RequestError(Problem.PARAMETER_INVALID, name, "Ids are letters, digits, '-' and '.', at most 64.")


def is_instant(value: str) -> bool:
    """Whether it is a FHIR instant: to the second, with a time zone (R4 datatypes.html#instant)."""
    return _INSTANT.fullmatch(value) is not None


def is_date_time(value: str) -> bool:
    """Whether it is a FHIR dateTime of any precision (R4 datatypes.html#dateTime)."""
    return _DATE_TIME.fullmatch(value) is not None
