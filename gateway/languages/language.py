"""A language of the pages, and the texts in it.

The texts in the code are the English ones. `%(name)s` stands for a value, in the code as in the templates. A text that
is translated only later is marked by `gettext_noop`, so that `make translations` finds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

DOMAIN = "pages"
"""The name of the catalogues' files."""

_CATALOGUES = files("gateway.languages").joinpath("catalogues")
_RIGHT_TO_LEFT = frozenset({"ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})


def gettext_noop(text: str) -> str:
    """The text itself, marked for the catalogues."""
    return text


@dataclass(frozen=True, slots=True)
class Language:
    """A language by its tag (BCP 47). What its catalogue lacks is English."""

    tag: str
    translations: NullTranslations

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """Where its lines start."""
        return "rtl" if self.tag.partition("-")[0] in _RIGHT_TO_LEFT else "ltr"

    def gettext(self, text: str, **values: object) -> str:
        """The text in this language, with its values."""
        return self.translations.gettext(text) % values

    def join(self, words: Sequence[str], last_two: str) -> str:
        """The words as a list in a sentence. `last_two` has the values `words`, all but the last, and `last`."""
        if len(words) == 1:
            return words[0]
        return self.gettext(last_two, words=self.gettext(", ").join(words[:-1]), last=words[-1])


ENGLISH = Language("en", NullTranslations())


def available_tags() -> frozenset[str]:
    """The tags of all languages that there is a catalogue for, and of English."""
    folders = (folder.name for folder in _CATALOGUES.iterdir() if _catalogue_of(folder.name).is_file())
    return frozenset({ENGLISH.tag, *folders})


@cache
def load_language(tag: str) -> Language:
    """The language with its compiled catalogue. `tag` is one of `available_tags`."""
    if tag == ENGLISH.tag:
        return ENGLISH
    with _catalogue_of(tag).open("rb") as catalogue:
        return Language(tag, GNUTranslations(catalogue))


def _catalogue_of(tag: str) -> Traversable:
    return _CATALOGUES.joinpath(tag, "LC_MESSAGES", f"{DOMAIN}.mo")
