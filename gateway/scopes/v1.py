"""The permission words of SMART 1.0 and the letters that they stand for (checklist SC-8)."""

from typing import Final

from gateway.scopes.model import Letter, ResourceScope

V1_WORDS: Final = {
    word: frozenset(map(Letter, letters)) for word, letters in {"read": "rs", "write": "cud", "*": "cruds"}.items()
}
_WORDS = {letters: word for word, letters in V1_WORDS.items()}


def v1_word(scope: ResourceScope) -> str | None:
    """The word that says just what the scope permits; None where 1.0 cannot say it (SC-11)."""
    return None if scope.constraints else _WORDS.get(scope.letters)
