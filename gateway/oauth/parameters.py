"""The parameters of OAuth requests: each at most once, an empty one is absent (RFC 6749 3.1, edge case 23)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_PARAMETERS = 200
# In one value. No honest request has one at all.
_MAX_LONE_PERCENT_SIGNS = 100
_NO_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


class MalformedParametersError(Exception):
    """The parameters cannot be read, or are too many."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Values by name. A repeated name is in `repeated` and has no value, even if its values are the same."""

    values: Mapping[str, str]
    repeated: frozenset[str] = frozenset()

    def get(self, name: str) -> str | None:
        """The value; None if the parameter is absent, empty or repeated."""
        return self.values.get(name)

    def first_repeated(self, names: Iterable[str]) -> str | None:
        """The first of the names that is repeated."""
        return next((name for name in names if name in self.repeated), None)


def read_form(text: bytes, *others: bytes) -> Parameters:
    """The parameters of a query or form body, or of several together. Raises `MalformedParametersError`."""
    return collect_parameters(pair for form in (text, *others) for pair in read_form_pairs(form))


def read_json(value: Any) -> Parameters:
    """The parameters of a JSON object of strings (fixed choice 9). Raises `MalformedParametersError`."""
    if not isinstance(value, dict) or not all(isinstance(member, str) for member in value.values()):
        raise MalformedParametersError("The JSON body must be an object whose members are strings.")
    return collect_parameters(value.items())


def collect_parameters(pairs: Iterable[tuple[str, str]], limit: int = MAX_PARAMETERS) -> Parameters:
    """The parameters of name-value pairs. Raises `MalformedParametersError` for more than `limit`."""
    values: dict[str, str] = {}
    seen: set[str] = set()
    repeated: set[str] = set()
    for count, (name, value) in enumerate(pairs, start=1):
        if count > limit:
            raise MalformedParametersError(f"More than {limit} parameters.")
        if name in seen:
            repeated.add(name)
            values.pop(name, None)
        elif value:
            values[name] = value
        seen.add(name)
    return Parameters(values, frozenset(repeated))


def read_form_pairs(text: bytes, limit: int = MAX_PARAMETERS) -> list[tuple[str, str]]:
    """The name-value pairs of a form, in order. Raises `MalformedParametersError`, also for more than `limit`."""
    if text.count(b"&") >= limit:
        raise MalformedParametersError(f"More than {limit} parameters.")
    try:
        pieces = (piece.partition("=") for piece in text.decode("ascii").split("&") if piece)
        return [(_decode(name), _decode(value)) for name, _, value in pieces]
    except ValueError as error:
        raise MalformedParametersError("The parameters are not a form in UTF-8.") from error


def _decode(text: str) -> str:
    """Decode a name or value of a form; a few percent signs that begin no escape stay. Raises `ValueError`.

    Anyone may send a form that is one long row of escapes, so Python's own escapes are used: they are decoded in C.
    """
    text = text.replace("+", " ")
    if "%" not in text:
        return text
    escaped = text.replace("\\", r"\x5c")
    try:
        decoded = escaped.replace("%", r"\x").encode("ascii").decode("unicode_escape")
    except UnicodeDecodeError:
        whole = _NO_ESCAPE.sub("%25", escaped, _MAX_LONE_PERCENT_SIGNS)
        decoded = whole.replace("%", r"\x").encode("ascii").decode("unicode_escape")
    return decoded.encode("latin-1").decode("utf-8")
