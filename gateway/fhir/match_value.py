"""How a search value is written: alternatives, parts, escapes and prefixes (R4 Search 3.1.1.4.5)."""

import re
from collections.abc import Callable
from typing import Any

Values = list[Any]
# Whether the values of an element satisfy one alternative of a criterion. It never raises.
Test = Callable[[Values], bool]

# A part ends at a separator that no backslash protects.
_PART = {separator: re.compile(rf"(?:[^\\{separator}]|\\[\\,|$])*") for separator in ",|"}
_ESCAPE = re.compile(r"\\([\\,|$])")
_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.+)", re.DOTALL)


def split(value: str, separator: str) -> list[str]:
    """The parts of a value, still escaped. Raises `ValueError` at a backslash that escapes nothing."""
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


def alternatives(value: str) -> list[str]:
    """The values between commas, still escaped. Raises `ValueError` where one is empty."""
    parts = split(value, ",")
    if not all(part.strip() for part in parts):
        raise ValueError("one of the values is empty")
    return parts


def unescape(text: str) -> str:
    r"""The text meant: `\,` is a comma, and so on."""
    return _ESCAPE.sub(r"\1", text)


def prefixed(value: str) -> tuple[str, str]:
    """The prefix, `eq` where none is written, and the rest. Raises `ValueError` for `ap`, which is no exact test."""
    match = _PREFIXED.fullmatch(value)
    if match is None:
        raise ValueError("the value is empty")
    if match[1] == "ap":
        raise ValueError("an approximate comparison is not judged here")
    return match[1] or "eq", match[2]
