"""The parameters of an OAuth request: each at most once, empty ones as good as absent (RFC 6749 3.1, edge case 23)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

MAX_PARAMETERS = 200


class MalformedParametersError(Exception):
    """The text is no form, or has more parameters than anybody needs."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Values by name. A name that came twice, with whatever values, is in `repeated` and has no value."""

    values: Mapping[str, str]
    repeated: frozenset[str] = frozenset()

    def get(self, name: str) -> str | None:
        """The value, or None where there is none."""
        return self.values.get(name)

    def repeated_among(self, names: Iterable[str]) -> str | None:
        """The first of the names that came more than once."""
        return next((name for name in names if name in self.repeated), None)


def read_form(text: bytes, *others: bytes) -> Parameters:
    """The parameters of a form body or query, or of several that count as one. Raises `MalformedParametersError`."""
    return collect(pair for one in (text, *others) for pair in read_pairs(one))


def read_json(value: Any) -> Parameters:
    """The parameters of a JSON body, whose members are texts (fixed choice 9). Raises `MalformedParametersError`."""
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise MalformedParametersError("The JSON body must be an object whose members are texts.")
    return collect(value.items())


def collect(pairs: Iterable[tuple[str, str]], most: int = MAX_PARAMETERS) -> Parameters:
    """Parameters of pairs in any order. Raises `MalformedParametersError` for more than `most`."""
    values: dict[str, str] = {}
    seen: set[str] = set()
    repeated: set[str] = set()
    for count, (name, value) in enumerate(pairs, start=1):
        if count > most:
            raise MalformedParametersError(f"More than {most} parameters.")
        if name in seen:
            repeated.add(name)
            values.pop(name, None)
        elif value:
            values[name] = value
        seen.add(name)
    return Parameters(values, frozenset(repeated))


def read_pairs(text: bytes, most: int = MAX_PARAMETERS) -> list[tuple[str, str]]:
    """All names and values of a form in their order. Raises `MalformedParametersError`, for more than `most` too."""
    try:
        return parse_qsl(
            text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most, separator="&"
        )
    except ValueError as error:
        raise MalformedParametersError("The parameters are not a form in UTF-8, or too many.") from error
