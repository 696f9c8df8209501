"""The spelling of the letters of a v2 scope: there is one for each of the 31 sets of letters (SC-3)."""

import itertools
from typing import Final

from gateway.scopes.model import Letter

LETTERS_BY_SPELLING: Final = {
    "".join(letters): frozenset(letters)
    for count in range(1, len(Letter) + 1)
    for letters in itertools.combinations(Letter, count)
}
SPELLING_BY_LETTERS: Final = {letters: spelling for spelling, letters in LETTERS_BY_SPELLING.items()}
