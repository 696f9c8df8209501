"""The FHIRPath of R4's search parameters, compiled once into closures over plain JSON.

Only what those expressions use is understood (enforcement.md 3): paths, `|`, `as`, `where(resolve() is T)`,
`where(x='y')`, an index, and the one `exists()` of Patient.deceased. Anything else is refused when it is compiled.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.fhir.search_parameters import CHOICES, repeats

_Values = list[Any]
_Step = Callable[[_Values], _Values]
_Reader = Callable[[Mapping[str, Any]], _Values]

_DECEASED = "Patient.deceased.exists() and Patient.deceased != false"
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<name>[A-Za-z]+)
      | \.as\((?P<as_type>[A-Za-z]+)\)
      | \.where\(resolve\(\)\sis\s(?P<target>[A-Za-z]+)\)
      | \.where\((?P<field>[A-Za-z]+)='(?P<equal>[^']*)'\)
      | \[(?P<index>\d+)\]
      | (?P<dot>\.)
    )""",
    re.VERBOSE,
)
_CAST = re.compile(r"\(([A-Za-z.]+) as ([A-Za-z]+)\)")
_TARGET = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?\Z")


class UnsupportedExpressionError(Exception):
    """The expression uses what is not understood here."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled expression.

    `values` takes a resource as parsed from JSON, or just its members in `elements`, and never raises. A list among
    the values is one that stands where a single value was meant: it has no meaning. The values may be the resource's
    own list, so they are not to be changed. `elements` are the top-level members that it looks at.
    """

    values: Callable[[Mapping[str, Any]], list[Any]]
    elements: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Level:
    """One step down a path: the JSON members that hold the element, and whether it may repeat."""

    names: tuple[str, ...]
    repeats: bool


@lru_cache(maxsize=4096)
def compile_expression(expression: str, resource_type: str) -> Compiled:
    """The closure for an expression of `resource_type`. Raises `UnsupportedExpressionError`."""
    if expression == _DECEASED:
        return Compiled(_deceased, frozenset({"deceasedBoolean", "deceasedDateTime"}))
    branches = [_compile_branch(branch.strip(), resource_type) for branch in _branches(expression)]
    if not branches:
        raise UnsupportedExpressionError("the expression is empty")
    elements = frozenset(name for _, names in branches for name in names)
    if len(branches) == 1:
        return Compiled(branches[0][0], elements)
    closures = tuple(closure for closure, _ in branches)
    return Compiled(lambda resource: [value for closure in closures for value in closure(resource)], elements)


def _branches(expression: str) -> list[str]:
    return [branch for branch in expression.split(" | ") if branch.strip()]


def _deceased(resource: Mapping[str, Any]) -> _Values:
    """Whether deceased: a date is a yes, absence a no; of another shape neither."""
    flag, moment = resource.get("deceasedBoolean"), resource.get("deceasedDateTime")
    if flag is True or isinstance(moment, str):
        return [True]
    return [False] if flag in (None, False) and moment is None else []


def _compile_branch(branch: str, resource_type: str) -> tuple[_Reader, tuple[str, ...]]:
    root, *rest = _steps(_CAST.sub(r"\1.as(\2)", branch))
    if root != ("name", resource_type) or not rest or rest[0][0] != "name":
        raise UnsupportedExpressionError(branch)
    path = resource_type
    levels: list[_Level] = []
    steps: list[_Step] = []
    for position, (kind, argument) in enumerate(rest):
        if kind == "as":
            continue
        if kind == "name":
            path = f"{path}.{argument}"
            after = rest[position + 1] if position + 1 < len(rest) else ("", "")
            names = _member_names(path, argument, after[1] if after[0] == "as" else None)
            levels.append(_Level(names, repeats(resource_type, path.removeprefix(f"{resource_type}."))))
            if len(levels) > 1:
                steps.append(_get(levels[-1]))
        else:
            steps.append(_filter(kind, argument, branch))
    return _reader(levels[0], tuple(steps)), levels[0].names


def _steps(branch: str) -> list[tuple[str, str]]:
    steps: list[tuple[str, str]] = []
    position = 0
    while position < len(branch):
        match = _TOKEN.match(branch, position)
        if match is None:
            raise UnsupportedExpressionError(branch)
        position = match.end()
        match match.lastgroup:
            case "name":
                steps.append(("name", match["name"]))
            case "as_type":
                steps.append(("as", match["as_type"]))
            case "target":
                steps.append(("resolves", match["target"]))
            case "equal":
                steps.append((f"where {match['field']}", match["equal"]))
            case "index":
                steps.append(("index", match["index"]))
            case _:
                pass
    return steps


def _member_names(path: str, name: str, cast: str | None) -> tuple[str, ...]:
    """The JSON members of an element: a choice element has one per type (R4, JSON 2.6.2)."""
    types = CHOICES.get(path, ())
    if cast is None:
        return tuple(name + suffix for suffix in types) or (name,)
    suffix = cast[0].upper() + cast[1:]
    # Some casts repeat the only type an element has; then the member bears the plain name.
    return (name + suffix,) if suffix in types else (name,)


def _reader(level: _Level, steps: tuple[_Step, ...]) -> _Reader:
    """The closure that reads the first level of a resource, then goes on by `steps`."""
    names, listed = level.names, _listed if level.repeats else _single
    only = names[0] if len(names) == 1 else None

    def first(resource: Mapping[str, Any]) -> _Values:
        if only is not None:
            return listed(resource.get(only))
        return [value for name in names for value in listed(resource.get(name))]

    if not steps:
        return first

    def values(resource: Mapping[str, Any]) -> _Values:
        found = first(resource)
        for step in steps:
            if not found:
                break
            found = step(found)
        return found

    return values


def _listed(value: Any) -> _Values:
    """What an element holds. A list of primitives has a null where a value has extensions alone (R4, JSON 2.6.2)."""
    if value is None:
        return []
    if not isinstance(value, list):
        return [value]
    return [one for one in value if one is not None] if None in value else value


def _single(value: Any) -> _Values:
    """What an element holds that cannot repeat. A list there stays one value, of a shape that nothing matches.

    Else a record with two subjects would belong to both (leak_26).
    """
    return [] if value is None else [value]


def _get(level: _Level) -> _Step:
    names, listed = level.names, _listed if level.repeats else _single

    def get(values: _Values) -> _Values:
        found: _Values = []
        for value in values:
            if isinstance(value, dict):
                for name in names:
                    inner = value.get(name)
                    if inner is not None:
                        found += listed(inner)
            elif isinstance(value, list):
                found.append(value)
        return found

    return get


def _filter(kind: str, argument: str, branch: str) -> _Step:
    if kind == "resolves":
        return lambda values: [value for value in values if refers_to(value, argument)]
    if kind == "index":
        index = int(argument)
        return lambda values: values[index : index + 1]
    if kind.startswith("where "):
        field = kind.removeprefix("where ")
        return lambda values: [value for value in values if isinstance(value, dict) and value.get(field) == argument]
    raise UnsupportedExpressionError(branch)


def refers_to(value: Any, resource_type: str) -> bool:
    """Whether a Reference names a resource of the type by its literal; nothing is fetched to find out."""
    text = value.get("reference") if isinstance(value, dict) else None
    match = _TARGET.search(text) if isinstance(text, str) else None
    return match is not None and match[1] == resource_type
