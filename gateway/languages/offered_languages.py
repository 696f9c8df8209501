"""Which of the offered languages a person reads, by what the browser and the app say."""

import re
from collections.abc import Iterator
from functools import lru_cache

from gateway.languages.language import Language

# RFC 9110 12.5.4, 12.4.2: a language range, and its weight.
_RANGE = re.compile(r"\s*(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*[qQ]=([01](?:\.[0-9]{0,3})?)\s*)?")
# No browser says more. What stands beyond it is not read.
_MAX_LENGTH = 500


class OfferedLanguages:
    """The languages that the operator offers. The default is for who says nothing, or only others."""

    def __init__(self, offered: tuple[Language, ...], default: Language) -> None:
        self._by_tag = {language.tag.lower(): language for language in offered}
        self._default = default
        self._choose = lru_cache(maxsize=256)(self._negotiate)

    def choose(self, accept_language: str, ui_locales: str = "") -> Language:
        """The language for a request, by its `Accept-Language` and the app's `ui_locales` (OIDC Core 3.1.2.1).

        The app asks for what its user has chosen in it, and comes first.
        """
        return self._choose(accept_language[:_MAX_LENGTH], ui_locales[:_MAX_LENGTH])

    def _negotiate(self, accept_language: str, ui_locales: str) -> Language:
        for tag in ui_locales.split():
            if (language := self._look_up(tag)) is not None:
                return language
        for tag in _accepted_ranges(accept_language):
            language = self._default if tag == "*" else self._look_up(tag)
            if language is not None:
                return language
        return self._default

    def _look_up(self, tag: str) -> Language | None:
        """The language of the range, or of the range without its last parts (RFC 4647 3.4)."""
        parts = tag.lower().split("-")
        for length in range(len(parts), 0, -1):
            language = self._by_tag.get("-".join(parts[:length]))
            if language is not None:
                return language
        return None


def _accepted_ranges(header: str) -> Iterator[str]:
    """The ranges that are accepted, the most wanted first. What cannot be read is left out."""
    matches = (_RANGE.fullmatch(part) for part in header.split(","))
    weighted = [(float(match[2] or 1), match[1]) for match in matches if match is not None]
    for weight, tag in sorted(weighted, key=lambda pair: -pair[0]):
        if weight > 0:
            yield tag
