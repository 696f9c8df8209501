"""Query parameters put together to a `Query`: criteria, and what shapes the answer (R4 Search 3.1.1.5)."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from gateway.fhir.form import Pairs
from gateway.fhir.path import known_type
from gateway.fhir.problems import Problem, RequestError
from gateway.fhir.query import Include, Query, Sort, Summary, Total
from gateway.fhir.search_keys import Types, Vocabulary, leads_to, parse_filter, parse_key
from gateway.fhir.search_parameters import SearchType
from gateway.fhir.search_values import check_value, is_date_time, is_instant
from gateway.scopes.resource_types import RESOURCE_TYPES

MAX_COUNT = 1000

# What each kind of request understands besides criteria; anything else is refused, because servers ignore names that
# begin with an underscore (hapi.md B2).
READ = frozenset({"_elements", "_summary"})
HISTORY = READ | {"_at", "_count", "_since"}
SYSTEM_HISTORY = HISTORY | {"_type"}
SEARCH = READ | {"_count", "_include", "_revinclude", "_sort", "_total"}
SEARCH_OF_TYPES = SEARCH | {"_type"}
NOTHING: frozenset[str] = frozenset()

_RESULT_PARAMETERS = SEARCH_OF_TYPES | SYSTEM_HISTORY
_INCLUDES = frozenset({"_include", "_revinclude"})
# `recurse` is the name that STU3 gave to `iterate`.
_ITERATE = frozenset({"iterate", "recurse"})

_COUNT = re.compile(r"[0-9]{1,9}")
_ELEMENT = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(slots=True)
class _Sorted:
    """The pairs by what they are."""

    criteria: Pairs = field(default_factory=list)
    includes: Pairs = field(default_factory=list)
    single: dict[str, str] = field(default_factory=dict)


def read_result_parameters(pairs: Pairs, allowed: frozenset[str]) -> Query:
    """The query of a read or a history, which has no criteria. Raises `RequestError`."""
    found = _sort_out(pairs, allowed)
    if found.criteria:
        raise RequestError(Problem.PARAMETER_UNKNOWN, found.criteria[0][0])
    return _query(found, (), Vocabulary())


def read_search(pairs: Pairs, allowed: frozenset[str], resource_type: str | None, vocabulary: Vocabulary) -> Query:
    """The query of a search over one type; None is every type, or those that `_type` names. Raises `RequestError`."""
    found = _sort_out(pairs, allowed)
    types: Types = (resource_type,) if resource_type else _types(found.single) or RESOURCE_TYPES
    return _query(found, types, vocabulary)


def read_criteria(pairs: Pairs, resource_type: str, vocabulary: Vocabulary) -> Query:
    """The condition of a conditional write: at least one criterion and nothing else (R4 http.html 3.1.0.8.1).

    Without criteria a server would take every resource of the type for a match (hapi.md B7, B8). Raises
    `RequestError`.
    """
    if not pairs:
        raise RequestError(Problem.QUERY_MALFORMED, hint="A conditional write needs at least one search criterion.")
    return read_search(pairs, NOTHING, resource_type, vocabulary)


def _sort_out(pairs: Pairs, allowed: frozenset[str]) -> _Sorted:
    found = _Sorted()
    for name, value in pairs:
        base, colon, _ = name.partition(":")
        if base not in _RESULT_PARAMETERS:
            found.criteria.append((name, value))
        elif base not in allowed:
            raise RequestError(Problem.PARAMETER_UNKNOWN, name)
        elif base in _INCLUDES:
            found.includes.append((name, value))
        elif colon:
            raise RequestError(Problem.MODIFIER_UNKNOWN, name)
        elif base in found.single:
            raise RequestError(Problem.PARAMETER_REPEATED, name)
        else:
            found.single[base] = value
    return found


def _query(found: _Sorted, types: Types, vocabulary: Vocabulary) -> Query:
    filters = tuple([parse_filter(name, value, types, vocabulary) for name, value in found.criteria])
    includes = tuple([_include(name, value, vocabulary) for name, value in found.includes])
    single = found.single
    if not single:
        return Query(filters, includes)
    return Query(
        filters=filters,
        includes=includes,
        sort=_sort(single, types, vocabulary),
        count=_count(single),
        summary=_choice("_summary", Summary, single),
        elements=_elements(single),
        total=_choice("_total", Total, single),
        types=_types(single),
        since=_moment("_since", single),
        at=_moment("_at", single),
    )


def _invalid(name: str, hint: str) -> RequestError:
    return RequestError(Problem.PARAMETER_INVALID, name, hint)


def _listed(name: str, single: dict[str, str]) -> tuple[str, ...]:
    """The parts of a list, each once."""
    value = single.get(name)
    if value is None:
        return ()
    check_value(name, value)
    return tuple(dict.fromkeys(value.split(",")))


def _types(single: dict[str, str]) -> tuple[str, ...]:
    return tuple(map(known_type, _listed("_type", single)))


def _elements(single: dict[str, str]) -> tuple[str, ...]:
    names = _listed("_elements", single)
    if not all(map(_ELEMENT.fullmatch, names)):
        raise _invalid("_elements", "It lists names of top-level elements.")
    return names


def _count(single: dict[str, str]) -> int | None:
    value = single.get("_count")
    if value is None:
        return None
    if not _COUNT.fullmatch(value):
        raise _invalid("_count", "It is a whole number.")
    return min(int(value), MAX_COUNT)


def _choice(name: str, kind: type[_Choice], single: dict[str, str]) -> _Choice | None:
    value = single.get(name)
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError as error:
        raise _invalid(name, f"It is one of {', '.join(kind)}.") from error


def _moment(name: str, single: dict[str, str]) -> str | None:
    """`_since` is an instant (HAPI refuses less: hapi.md B6), `_at` a dateTime (R4 http.html 3.1.0.14.1)."""
    value = single.get(name)
    if value is None:
        return None
    if not (is_instant(value) if name == "_since" else is_date_time(value)):
        raise _invalid(name, "It is written as 2024-05-01T10:00:00Z; encode '+' as %2B.")
    return value


def _sort(single: dict[str, str], types: Types, vocabulary: Vocabulary) -> tuple[Sort, ...]:
    return tuple(_sort_rule(part, types, vocabulary) for part in _listed("_sort", single))


def _sort_rule(text: str, types: Types, vocabulary: Vocabulary) -> Sort:
    key, kinds = parse_key(text.removeprefix("-"), types, vocabulary, of_all=True)
    if key.hops[-1].modifier is not None:
        raise RequestError(Problem.MODIFIER_UNKNOWN, "_sort", "A sort rule takes no modifier.")
    if not kinds.isdisjoint({SearchType.COMPOSITE, SearchType.SPECIAL}):
        raise _invalid("_sort", f"{key} has no order.")
    return Sort(key, descending=text.startswith("-"))


def _include(name: str, value: str, vocabulary: Vocabulary) -> Include:
    """`[type]:[parameter]`, `[type]:[parameter]:[target]`, `[type]:*` or `*` (R4 Search 3.1.1.5.4)."""
    base, colon, modifier = name.partition(":")
    if colon and modifier not in _ITERATE:
        raise RequestError(Problem.MODIFIER_UNKNOWN, name)
    iterate, reverse = bool(colon), base == "_revinclude"
    if value == "*":
        return Include("*", "*", None, iterate, reverse)
    source, _, rest = value.partition(":")
    parameter, colon, target = rest.partition(":")
    if source not in RESOURCE_TYPES or not _is_link(source, parameter, target if colon else None, vocabulary):
        raise _invalid(name, "It is written as type:parameter or type:parameter:target, of a reference parameter.")
    return Include(source, parameter, target or None, iterate, reverse)


def _is_link(source: str, parameter: str, target: str | None, vocabulary: Vocabulary) -> bool:
    if parameter == "*":
        return target is None
    definition = vocabulary.find(source, parameter)
    if definition is None or definition.type is not SearchType.REFERENCE:
        return False
    return target is None or (target in RESOURCE_TYPES and leads_to(definition, target))
