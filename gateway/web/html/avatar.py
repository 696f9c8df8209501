"""A few letters and a colour that stand for an app or a person without a picture."""

from zlib import crc32

TONES = 5
"""How many colour pairs `style.css` has: `--tone-0` to `--tone-4`."""


def initials(name: str) -> str:
    """The first letters of the first and the last word, in capitals; empty when `name` has neither letter nor digit."""
    words = [first for word in name.split() if (first := _first(word))]
    if not words:
        return ""
    return "".join(words if len(words) == 1 else (words[0], words[-1])).upper()


def tone(name: str) -> int:
    """From 0 to `TONES - 1`, always the same for the same name."""
    return crc32(name.encode("utf-8", "replace")) % TONES


def _first(word: str) -> str:
    return next((character for character in word if character.isalnum()), "")
