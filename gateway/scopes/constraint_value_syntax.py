"""The value of a constraint: its alternatives, separated by unescaped commas, and its validation (SC-17)."""

import re
import unicodedata
from itertools import pairwise

# `\` escapes one of `\ , | $` (R4 Search 3.1.1.4.12).
_ESCAPED_OR_COMMA = re.compile(r"\\.|(,)", re.DOTALL)
_WELL_ESCAPED = re.compile(r"[^\\]*(?:\\[\\,|$][^\\]*)*")
# Not blank, and well escaped. There is only one way to match a text, so that none takes quadratic time.
_ALTERNATIVE = r"[\s|$]*(?:[^\s|$\\,]|\\[\\,|$])[^\\,]*(?:\\[\\,|$][^\\,]*)*"
_ALTERNATIVES = re.compile(f"{_ALTERNATIVE}(?:,{_ALTERNATIVE})*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

# Control, format and line-separator characters. They are invisible on the consent page, and some of them change the
# text direction.
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp"})


def split_alternatives(value: str) -> tuple[str, ...]:
    """The alternatives, still escaped. They may be empty if `find_flaw` was not called before."""
    if "\\" not in value:
        return tuple(value.split(","))
    commas = [match.start() for match in _ESCAPED_OR_COMMA.finditer(value) if match[1]]
    return tuple(value[start + 1 : end] for start, end in pairwise((-1, *commas, len(value))))


def unescape(alternative: str) -> str:
    """The alternative without FHIR escapes."""
    return _ESCAPE.sub(r"\1", alternative)


def find_flaw(value: str) -> str | None:
    """What is wrong with a decoded value, as a message, or None.

    An empty alternative is refused: a lenient server drops it, and the whole constraint if no alternative is left.
    """
    if not value.isprintable() and any(map(_is_invisible, value)):
        return "the value has control characters or invisible characters"
    if _ALTERNATIVES.fullmatch(value):
        return None
    if not _WELL_ESCAPED.fullmatch(value):
        return "a backslash does not escape a backslash, comma, bar or dollar sign"
    return "the value, or one of its alternatives, is empty"


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _INVISIBLE_CATEGORIES
