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
    """The definition of a search parameter for one resource type.

    `expression` is the FHIRPath for that type alone. `targets` are the types that a reference may have as its target;
    empty means any.
    """

    name: str
    type: SearchType
    expression: str
    targets: frozenset[str]


# The parameters of every type that can be evaluated on a resource. The others (`_text`, `_list` ...) need an index.
COMMON_PARAMETERS = frozenset({"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"})

# One path, optionally with a filter on the type of the reference target.
_SINGLE_PATH = re.compile(r"(?P<type>[A-Za-z]+)\.(?P<path>[A-Za-z.]+?)(?:\.where\(resolve\(\) is [A-Za-z]+\))?")

_TABLES = Path(__file__).parent / "tables"
_PARAMETERS = json.loads((_TABLES / "search_parameters.json").read_text(encoding="utf-8"))
_ELEMENTS = json.loads((_TABLES / "elements.json").read_text(encoding="utf-8"))

# The path of a choice element as expressions write it, without `[x]`, to its possible type suffixes.
CHOICE_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {path: tuple(types) for path, types in _ELEMENTS["choices"].items()}
)
_REPEATING_PATHS = {name: frozenset(paths) for name, paths in _ELEMENTS["repeating"].items()}


@lru_cache(maxsize=256)
def get_search_parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """The search parameters of a type by name, including the common ones. Empty for a type that is not in R4."""
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


def is_repeating(resource_type: str, path: str) -> bool:
    """Whether an element that search expressions use can repeat. `path` is the element path below the type."""
    return path in _REPEATING_PATHS.get(resource_type, ()) or path in _REPEATING_PATHS["Resource"]


def find_aliases(resource_type: str, name: str) -> frozenset[str]:
    """The parameters that search the same element, including `name`: `patient` is `subject` limited to patients."""
    definitions = get_search_parameters(resource_type)
    if name not in definitions:
        return frozenset({name})
    element = _get_element_path(definitions[name].expression)
    return frozenset(
        alias for alias, definition in definitions.items() if _get_element_path(definition.expression) == element
    )


def find_single_reference_path(resource_type: str, name: str) -> str | None:
    """The element that a reference parameter searches, as a path below the type, if it can hold only one reference.

    None if the element or one of its parents repeats, if there are several elements, or if the parameter is not of
    type reference.
    """
    definition = get_search_parameters(resource_type).get(name)
    if definition is None or definition.type is not SearchType.REFERENCE:
        return None
    match = _SINGLE_PATH.fullmatch(definition.expression)
    if match is None or match["type"] != resource_type:
        return None
    names = match["path"].split(".")
    paths = (".".join(names[: depth + 1]) for depth in range(len(names)))
    return None if any(is_repeating(resource_type, path) for path in paths) else match["path"]


def _get_element_path(expression: str) -> str:
    """The element path of an expression, without a filter by type."""
    return expression.split(".where(", maxsplit=1)[0].strip("() ")
