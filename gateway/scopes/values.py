"""What the value of a constraint says: its alternatives, parted by commas that no backslash escapes (SC-17)."""

import re
import unicodedata
from itertools import pairwise

# `\` before one of `\ , | $` takes its meaning away (R4 Search 3.1.1.4.12).
_ESCAPED_OR_COMMA = re.compile(r"\\.|(,)", re.DOTALL)
_WELL_ESCAPED = re.compile(r"(?:[^\\]|\\[\\,|$])*")
_SAYS_SOMETHING = re.compile(r"[^\s|$]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

# Control, format and line-separator characters: a person who is asked to agree could not see them, and some of them
# turn the sentence round.
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp"})


def alternatives(value: str) -> tuple[str, ...]:
    """The alternatives, still escaped; total, so that one may be empty where `flaw` was not asked."""
    commas = [found.start() for found in _ESCAPED_OR_COMMA.finditer(value) if found[1]]
    return tuple(value[before + 1 : after] for before, after in pairwise((-1, *commas, len(value))))


def unescaped(alternative: str) -> str:
    """The alternative as it is meant."""
    return _ESCAPE.sub(r"\1", alternative)


def flaw(value: str) -> str | None:
    """What is wrong with a decoded value, as a plain sentence; None where nothing is.

    An alternative with nothing in it is refused: a lenient server drops it, and with the last one the constraint.
    """
    if any(unicodedata.category(character) in _UNSEEN for character in value):
        return "the value holds control characters or others that cannot be seen"
    if not _WELL_ESCAPED.fullmatch(value):
        return "a backslash escapes nothing"
    if not all(map(_SAYS_SOMETHING.search, alternatives(value))):
        return "the value, or one of its alternatives, is empty"
    return None
