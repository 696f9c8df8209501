"""Parsing of query parameters into a `Query`: search criteria and result parameters (R4 Search 3.1.1.5)."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from gateway.fhir.check_resource_type import check_resource_type
from gateway.fhir.form_encoding import Pairs
from gateway.fhir.query_limits import MAX_COUNT
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.search.query import Include, Query, SortRule, SummaryMode, TotalMode
from gateway.fhir.search.search_keys import ParameterDefinitions, Types, can_target, parse_criterion, parse_key
from gateway.fhir.search.search_values import check_list_syntax, is_date_time, is_instant
from gateway.fhir.search_parameters import SearchType
from gateway.scopes.resource_types import RESOURCE_TYPES

# The parameters of each kind of request besides search criteria. Any other is refused, because servers ignore unknown
# names that begin with an underscore (hapi.md B2). A whole compartment (`Patient/A/*`) is searched like the system.
READ_PARAMETERS = frozenset({"_elements", "_summary"})
HISTORY_PARAMETERS = READ_PARAMETERS | {"_at", "_count", "_since"}
SYSTEM_HISTORY_PARAMETERS = HISTORY_PARAMETERS | {"_type"}
TYPE_SEARCH_PARAMETERS = READ_PARAMETERS | {"_count", "_include", "_revinclude", "_sort", "_total"}
SYSTEM_SEARCH_PARAMETERS = TYPE_SEARCH_PARAMETERS | {"_type"}
NO_PARAMETERS: frozenset[str] = frozenset()

_RESULT_PARAMETERS = SYSTEM_SEARCH_PARAMETERS | SYSTEM_HISTORY_PARAMETERS
_INCLUDES = frozenset({"_include", "_revinclude"})
# `recurse` is the STU3 name of `iterate`.
_ITERATE_MODIFIERS = frozenset({"iterate", "recurse"})

_COUNT = re.compile(r"[0-9]{1,9}")
_ELEMENT = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")

_Mode = TypeVar("_Mode", bound=StrEnum)


@dataclass(slots=True)
class _ClassifiedPairs:
    """The query parameters of one request, grouped by their purpose."""

    criteria: Pairs = field(default_factory=list)
    includes: Pairs = field(default_factory=list)
    result_parameters: dict[str, str] = field(default_factory=dict)


def parse_result_parameters(pairs: Pairs, allowed: frozenset[str]) -> Query:
    """Parse the query of a read or a history, which takes no search criteria. Raises `RequestError`."""
    classified = _classify_pairs(pairs, allowed)
    if classified.criteria:
        raise RequestError(RequestProblem.PARAMETER_UNKNOWN, classified.criteria[0][0])
    return _build_query(classified, (), ParameterDefinitions())


def parse_search(
    pairs: Pairs, allowed: frozenset[str], resource_type: str | None, definitions: ParameterDefinitions
) -> Query:
    """Parse the query of a search.

    `resource_type` is the searched type; None means the types in `_type`, or every type. Raises `RequestError`.
    """
    classified = _classify_pairs(pairs, allowed)
    types: Types = (resource_type,) if resource_type else _parse_types(classified.result_parameters) or RESOURCE_TYPES
    return _build_query(classified, types, definitions)


def parse_conditional_criteria(pairs: Pairs, resource_type: str, definitions: ParameterDefinitions) -> Query:
    """Parse the criteria of a conditional write: at least one, and no result parameters (R4 http.html 3.1.0.8.1).

    Without criteria every resource of the type would match (hapi.md B7, B8). Raises `RequestError`.
    """
    if not pairs:
        raise RequestError(
            RequestProblem.QUERY_MALFORMED, hint="A conditional write needs at least one search criterion."
        )
    return parse_search(pairs, NO_PARAMETERS, resource_type, definitions)


def _classify_pairs(pairs: Pairs, allowed: frozenset[str]) -> _ClassifiedPairs:
    classified = _ClassifiedPairs()
    for name, value in pairs:
        base, colon, _ = name.partition(":")
        if base not in _RESULT_PARAMETERS:
            classified.criteria.append((name, value))
        elif base not in allowed:
            raise RequestError(RequestProblem.PARAMETER_UNKNOWN, name)
        elif base in _INCLUDES:
            classified.includes.append((name, value))
        elif colon:
            raise RequestError(RequestProblem.MODIFIER_UNKNOWN, name)
        elif base in classified.result_parameters:
            raise RequestError(RequestProblem.PARAMETER_REPEATED, name)
        else:
            classified.result_parameters[base] = value
    return classified


def _build_query(classified: _ClassifiedPairs, types: Types, definitions: ParameterDefinitions) -> Query:
    criteria = tuple([parse_criterion(name, value, types, definitions) for name, value in classified.criteria])
    includes = tuple([_parse_include(name, value, definitions) for name, value in classified.includes])
    result_parameters = classified.result_parameters
    if not result_parameters:
        return Query(criteria, includes)
    return Query(
        criteria=criteria,
        includes=includes,
        sort=_parse_sort(result_parameters, types, definitions),
        count=_parse_count(result_parameters),
        summary=_parse_choice("_summary", SummaryMode, result_parameters),
        elements=_parse_elements(result_parameters),
        total=_parse_choice("_total", TotalMode, result_parameters),
        types=_parse_types(result_parameters),
        since=_parse_time("_since", result_parameters),
        at=_parse_time("_at", result_parameters),
    )


def _invalid_parameter(name: str, hint: str) -> RequestError:
    return RequestError(RequestProblem.PARAMETER_INVALID, name, hint)


def _parse_list(name: str, result_parameters: dict[str, str]) -> tuple[str, ...]:
    """The parts of a comma-separated value, without duplicates."""
    value = result_parameters.get(name)
    if value is None:
        return ()
    check_list_syntax(name, value)
    return tuple(dict.fromkeys(value.split(",")))


def _parse_types(result_parameters: dict[str, str]) -> tuple[str, ...]:
    return tuple(map(check_resource_type, _parse_list("_type", result_parameters)))


def _parse_elements(result_parameters: dict[str, str]) -> tuple[str, ...]:
    names = _parse_list("_elements", result_parameters)
    if not all(map(_ELEMENT.fullmatch, names)):
        raise _invalid_parameter("_elements", "It lists names of top-level elements.")
    return names


def _parse_count(result_parameters: dict[str, str]) -> int | None:
    value = result_parameters.get("_count")
    if value is None:
        return None
    if not _COUNT.fullmatch(value):
        raise _invalid_parameter("_count", "It is a whole number.")
    return min(int(value), MAX_COUNT)


def _parse_choice(name: str, kind: type[_Mode], result_parameters: dict[str, str]) -> _Mode | None:
    value = result_parameters.get(name)
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError as error:
        raise _invalid_parameter(name, f"It is one of {', '.join(kind)}.") from error


def _parse_time(name: str, result_parameters: dict[str, str]) -> str | None:
    """`_since` is an instant (HAPI refuses anything else: hapi.md B6), `_at` a dateTime (R4 http.html 3.1.0.14.1)."""
    value = result_parameters.get(name)
    if value is None:
        return None
    if not (is_instant(value) if name == "_since" else is_date_time(value)):
        raise _invalid_parameter(name, "It is written as 2024-05-01T10:00:00Z; encode '+' as %2B.")
    return value


def _parse_sort(
    result_parameters: dict[str, str], types: Types, definitions: ParameterDefinitions
) -> tuple[SortRule, ...]:
    return tuple(_parse_sort_rule(part, types, definitions) for part in _parse_list("_sort", result_parameters))


def _parse_sort_rule(text: str, types: Types, definitions: ParameterDefinitions) -> SortRule:
    key, search_types = parse_key(text.removeprefix("-"), types, definitions, on_every_type=True)
    if key.links[-1].modifier is not None:
        raise RequestError(RequestProblem.MODIFIER_UNKNOWN, "_sort", "A sort rule takes no modifier.")
    if not search_types.isdisjoint({SearchType.COMPOSITE, SearchType.SPECIAL}):
        raise _invalid_parameter("_sort", f"{key} has no order.")
    return SortRule(key, descending=text.startswith("-"))


def _parse_include(name: str, value: str, definitions: ParameterDefinitions) -> Include:
    """`[type]:[parameter]`, `[type]:[parameter]:[target]`, `[type]:*` or `*` (R4 Search 3.1.1.5.4)."""
    base, colon, modifier = name.partition(":")
    if colon and modifier not in _ITERATE_MODIFIERS:
        raise RequestError(RequestProblem.MODIFIER_UNKNOWN, name)
    iterate, reverse = bool(colon), base == "_revinclude"
    if value == "*":
        return Include("*", "*", None, iterate, reverse)
    source, _, rest = value.partition(":")
    parameter, colon, target = rest.partition(":")
    if source not in RESOURCE_TYPES or not _is_reference_parameter(
        source, parameter, target if colon else None, definitions
    ):
        raise _invalid_parameter(
            name, "It is written as type:parameter or type:parameter:target, of a reference parameter."
        )
    return Include(source, parameter, target or None, iterate, reverse)


def _is_reference_parameter(source: str, parameter: str, target: str | None, definitions: ParameterDefinitions) -> bool:
    if parameter == "*":
        return target is None
    definition = definitions.find(source, parameter)
    if definition is None or definition.type is not SearchType.REFERENCE:
        return False
    return target is None or (target in RESOURCE_TYPES and can_target(definition, target))
