"""A language in which every text is the same sign, so that a text that was forgotten stands out."""

from gettext import NullTranslations

from gateway.languages.language import Language

SIGN = "§"


class _Signs(NullTranslations):
    """Keeps the places of values, so that values are still seen."""

    def gettext(self, message: str) -> str:
        return _without_words(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return _without_words(msgid1 if n == 1 else msgid2)


def _without_words(message: str) -> str:
    parts = message.split("%(")
    return SIGN + "".join(f" %({part.partition(')s')[0]})s {SIGN}" for part in parts[1:])


PSEUDO = Language("he", _Signs())
"""It is written from right to left."""
