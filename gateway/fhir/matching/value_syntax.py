"""The syntax of search values: alternatives, parts, escapes and prefixes (R4 Search 3.1.1.4.5)."""

import re
from collections.abc import Callable
from typing import Any

Values = list[Any]
# Whether the values of an element match one alternative of a criterion. It never raises.
ValueTest = Callable[[Values], bool]

# A part ends at a separator that is not escaped.
_PART = {separator: re.compile(rf"(?:[^\\{separator}]|\\[\\,|$])*") for separator in ",|"}
_ESCAPE = re.compile(r"\\([\\,|$])")
_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.+)", re.DOTALL)


def split_value(value: str, separator: str) -> list[str]:
    """The parts of a value, still escaped. Raises `ValueError` for a backslash that escapes nothing."""
    parts: list[str] = []
    position = 0
    while True:
        match = _PART[separator].match(value, position)
        end = match.end() if match else position
        parts.append(value[position:end])
        if end == len(value):
            return parts
        if value[end] != separator:
            raise ValueError(r"a backslash stands only before one of \ , | $")
        position = end + 1


def split_alternatives(value: str) -> list[str]:
    """The values between commas, still escaped. Raises `ValueError` if one is empty."""
    parts = split_value(value, ",")
    if not all(part.strip() for part in parts):
        raise ValueError("one of the values is empty")
    return parts


def unescape(text: str) -> str:
    r"""The text without FHIR escapes: `\,` becomes a comma, and so on."""
    return _ESCAPE.sub(r"\1", text)


def split_prefix(value: str) -> tuple[str, str]:
    """The prefix (`eq` by default) and the value without it. Raises `ValueError` for `ap`, which is not exact."""
    match = _PREFIXED.fullmatch(value)
    if match is None:
        raise ValueError("the value is empty")
    if match[1] == "ap":
        raise ValueError("an approximate comparison is not evaluated here")
    return match[1] or "eq", match[2]
