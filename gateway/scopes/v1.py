"""The permissions of SMART 1.0 (`read`, `write`, `*`) and their v2 letters (SC-8)."""

from typing import Final

from gateway.scopes.model import Letter, ResourceScope

V1_WORDS: Final = {
    word: frozenset(map(Letter, letters)) for word, letters in {"read": "rs", "write": "cud", "*": "cruds"}.items()
}
_WORDS = {letters: word for word, letters in V1_WORDS.items()}


def find_v1_word(scope: ResourceScope) -> str | None:
    """The SMART 1.0 permission that equals the letters of the scope. None if there is none (SC-11)."""
    return None if scope.constraints else _WORDS.get(scope.letters)
