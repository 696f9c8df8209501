"""The search parameters of FHIR R4, by resource type, as HL7 defines them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from gateway.scopes.resource_types import RESOURCE_TYPES


class SearchType(StrEnum):
    """The search parameter types of R4 (Search 3.1.1.4)."""

    NUMBER = "number"
    DATE = "date"
    STRING = "string"
    TOKEN = "token"
    REFERENCE = "reference"
    COMPOSITE = "composite"
    QUANTITY = "quantity"
    URI = "uri"
    SPECIAL = "special"


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One parameter for one resource type.

    `expression` is the FHIRPath of that type alone; `targets` are the types a reference may lead to, empty for any.
    """

    name: str
    type: SearchType
    expression: str
    targets: frozenset[str]


# Defined for every type and evaluable on it; the other universal ones search an index, not an element.
COMMON_PARAMETERS = frozenset({"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"})

# One path, and perhaps the type that its reference must lead to.
_PLAIN_PATH = re.compile(r"(?P<type>[A-Za-z]+)\.(?P<path>[A-Za-z.]+?)(?:\.where\(resolve\(\) is [A-Za-z]+\))?")

_TABLES = Path(__file__).parent / "tables"
_PARAMETERS = json.loads((_TABLES / "search_parameters.json").read_text(encoding="utf-8"))
_ELEMENTS = json.loads((_TABLES / "elements.json").read_text(encoding="utf-8"))

# Path of a choice element as expressions write it, without `[x]`, to the type suffixes it can have.
CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {path: tuple(types) for path, types in _ELEMENTS["choices"].items()}
)
_REPEATING = {name: frozenset(paths) for name, paths in _ELEMENTS["repeating"].items()}


@lru_cache(maxsize=256)
def parameters_of(resource_type: str) -> Mapping[str, SearchParameter]:
    """The parameters of a type by name, the universal ones among them; none for what is no R4 type."""
    if resource_type not in RESOURCE_TYPES:
        return MappingProxyType({})
    common = {name: row for name, row in _PARAMETERS["Resource"].items() if name in COMMON_PARAMETERS}
    rows = common | _PARAMETERS.get(resource_type, {})
    return MappingProxyType(
        {
            name: SearchParameter(
                name,
                SearchType(kind),
                expression.replace("Resource.", f"{resource_type}.") if name in COMMON_PARAMETERS else expression,
                frozenset(targets),
            )
            for name, (kind, expression, targets) in rows.items()
        }
    )


def repeats(resource_type: str, path: str) -> bool:
    """Whether an element on the way of an expression may stand more than once; `path` is below the type."""
    return path in _REPEATING.get(resource_type, ()) or path in _REPEATING["Resource"]


def aliases(resource_type: str, name: str) -> frozenset[str]:
    """The parameters that read the same element, `name` among them: `patient` is `subject` held to patients."""
    definitions = parameters_of(resource_type)
    if name not in definitions:
        return frozenset({name})
    element = _element(definitions[name].expression)
    return frozenset(other for other, one in definitions.items() if _element(one.expression) == element)


def only_reference(resource_type: str, name: str) -> str | None:
    """The element (its path below the type) that a reference parameter reads, where it holds one reference at most.

    None for all others: an element that repeats, or of which one above it does; several elements; no reference.
    """
    definition = parameters_of(resource_type).get(name)
    if definition is None or definition.type is not SearchType.REFERENCE:
        return None
    match = _PLAIN_PATH.fullmatch(definition.expression)
    if match is None or match["type"] != resource_type:
        return None
    names = match["path"].split(".")
    paths = (".".join(names[: depth + 1]) for depth in range(len(names)))
    return None if any(repeats(resource_type, path) for path in paths) else match["path"]


def _element(expression: str) -> str:
    """The element that an expression reads, without its filter by type."""
    return expression.split(".where(", maxsplit=1)[0].strip("() ")
