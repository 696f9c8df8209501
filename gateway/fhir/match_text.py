"""Whether a text begins as asked (R4 Search, 'string')."""

import unicodedata
from collections.abc import Iterator

from gateway.fhir.match_value import Test, Values

# The parts of a HumanName and of an Address that hold text.
_PARTS = ("text", "family", "given", "prefix", "suffix", "line", "city", "district", "state", "postalCode", "country")


def string_test(value: str) -> Test:
    """Starts with, without case and accents. Raises `ValueError` where nothing of the value is left to compare."""
    wanted = _folded(value)
    if not wanted.strip():
        raise ValueError("the text is empty")
    return lambda values: any(_folded(text).startswith(wanted) for text in _texts(values))


def _folded(text: str) -> str:
    """Folded case can bring new accents (U+0130), so those go last."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in decomposed if not unicodedata.combining(one)).casefold()


def _texts(values: Values) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for name in _PARTS:
                part = value.get(name)
                yield from (one for one in (part if isinstance(part, list) else (part,)) if isinstance(one, str))
