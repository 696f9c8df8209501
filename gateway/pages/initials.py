"""Initials and a colour for an app or a person without a picture."""

from zlib import crc32

TONES = 5
"""The number of colour pairs in `styles/palette.css`: `--tone-0` to `--tone-4`."""


def initials(name: str) -> str:
    """The first letters of the first and the last word, in capitals; empty if `name` has no letter or digit."""
    letters = [letter for word in name.split() if (letter := _first_letter(word))]
    if not letters:
        return ""
    return "".join(letters if len(letters) == 1 else (letters[0], letters[-1])).upper()


def tone_of(name: str) -> int:
    """The colour pair for a name, from 0 to `TONES - 1`. It depends only on the name."""
    return crc32(name.encode("utf-8", "replace")) % TONES


def _first_letter(word: str) -> str:
    return next((character for character in word if character.isalnum()), "")
