"""What a person types to find a patient, as searches of FHIR: names in any order, a birth date, a record number."""

import re
from datetime import date

_SEPARATORS = re.compile(r"[\s,;]+")
_ISO_DATE = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_DAY_FIRST_DATE = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
_MAX_WORDS = 8

Pairs = list[tuple[str, str]]


def patient_queries(text: str) -> tuple[Pairs, ...]:
    """The searches to try until one finds somebody. Every word of the text must fit.

    `:contains` finds a word inside of a name with several parts. A server may not offer it (HAPI does not, by default).
    """
    words = [word for word in _SEPARATORS.split(text) if word][:_MAX_WORDS]
    if not words:
        return ([],)
    read = [_read_number(word) or ("name", _escape(word)) for word in words]
    inside = [("name:contains", value) if name == "name" else (name, value) for name, value in read]
    as_names = [("name", _escape(word)) for word in words]
    # A word with a digit may still be a name.
    tries = (inside, read, as_names)
    return tuple(pairs for index, pairs in enumerate(tries) if pairs not in tries[:index])


def _read_number(word: str) -> tuple[str, str] | None:
    birth_date = _read_date(word)
    if birth_date is not None:
        return "birthdate", birth_date.isoformat()
    return ("identifier", _escape(word)) if any(map(str.isdigit, word)) else None


def _read_date(word: str) -> date | None:
    iso, day_first = _ISO_DATE.fullmatch(word), _DAY_FIRST_DATE.fullmatch(word)
    numbers = [*map(int, iso.groups())] if iso else [*map(int, day_first.groups())][::-1] if day_first else []
    try:
        return date(*numbers) if numbers else None
    except ValueError:
        return None


def _escape(value: str) -> str:
    """A search value without special characters (FHIR R4 search 3.1.1.3)."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")
