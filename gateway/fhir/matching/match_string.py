"""Whether a text starts with the value of a string criterion (R4 Search, 'string')."""

import unicodedata
from collections.abc import Iterator

from gateway.fhir.matching.value_syntax import Values, ValueTest

# The members of HumanName and Address that hold text.
_TEXT_MEMBERS = (
    "text",
    "family",
    "given",
    "prefix",
    "suffix",
    "line",
    "city",
    "district",
    "state",
    "postalCode",
    "country",
)


def compile_string_test(value: str) -> ValueTest:
    """Compile a prefix, compared without case and accents. Raises `ValueError` if it is empty after that."""
    prefix = _fold(value)
    if not prefix.strip():
        raise ValueError("the text is empty")
    return lambda values: any(_fold(text).startswith(prefix) for text in _read_texts(values))


def _fold(text: str) -> str:
    """Remove case and accents. Case folding can add accents (U+0130), so they are removed last."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()


def _read_texts(values: Values) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for name in _TEXT_MEMBERS:
                member = value.get(name)
                yield from (
                    text for text in (member if isinstance(member, list) else (member,)) if isinstance(text, str)
                )
