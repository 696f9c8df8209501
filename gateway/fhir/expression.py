"""The FHIRPath of R4's search parameters, compiled once into closures over plain JSON.

Only what those expressions use is understood (enforcement.md 3): paths, `|`, `as`, `where(resolve() is T)`,
`where(x='y')`, an index, and the one `exists()` of Patient.deceased. Anything else is refused when it is compiled.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.fhir.search_parameters import CHOICES

_Values = list[Any]
_Step = Callable[[_Values], _Values]

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
_TARGET = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?$")


class UnsupportedExpressionError(Exception):
    """The expression uses what is not understood here."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled expression.

    `values` takes a resource, or just its members in `elements`, and never raises: what has an odd shape has no
    values. `elements` are the top-level members that it looks at.
    """

    values: Callable[[Mapping[str, Any]], list[Any]]
    elements: frozenset[str]


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


def _deceased(resource: Mapping[str, Any]) -> list[Any]:
    flag = resource.get("deceasedBoolean")
    return [flag is True or "deceasedDateTime" in resource]


def _compile_branch(branch: str, resource_type: str) -> tuple[Callable[[Mapping[str, Any]], _Values], tuple[str, ...]]:
    root, *rest = _steps(_CAST.sub(r"\1.as(\2)", branch))
    if root != ("name", resource_type) or not rest:
        raise UnsupportedExpressionError(branch)
    path = resource_type
    compiled: list[_Step] = []
    first: tuple[str, ...] = ()
    position = 0
    while position < len(rest):
        kind, argument = rest[position]
        position += 1
        if kind == "name":
            path = f"{path}.{argument}"
            cast = rest[position][1] if position < len(rest) and rest[position][0] == "as" else None
            position += cast is not None
            names = _member_names(path, argument, cast)
            compiled.append(_get(names))
            first = first or names
        else:
            compiled.append(_filter(kind, argument, branch))
    return _composed(tuple(compiled)), first


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


def _get(names: tuple[str, ...]) -> _Step:
    if len(names) == 1:
        only = names[0]

        def get_one(values: _Values) -> _Values:
            found: _Values = []
            for value in values:
                if isinstance(value, Mapping) and only in value:
                    _add(found, value[only])
            return found

        return get_one

    def get_any(values: _Values) -> _Values:
        found: _Values = []
        for value in values:
            if isinstance(value, Mapping):
                for name in names:
                    if name in value:
                        _add(found, value[name])
        return found

    return get_any


def _add(found: _Values, value: Any) -> None:
    if isinstance(value, list):
        found.extend(value)
    elif value is not None:
        found.append(value)


def _filter(kind: str, argument: str, branch: str) -> _Step:
    if kind == "resolves":
        return lambda values: [value for value in values if refers_to(value, argument)]
    if kind == "index":
        index = int(argument)
        return lambda values: values[index : index + 1]
    if kind.startswith("where "):
        field = kind.removeprefix("where ")
        return lambda values: [value for value in values if isinstance(value, Mapping) and value.get(field) == argument]
    raise UnsupportedExpressionError(branch)


def refers_to(value: Any, resource_type: str) -> bool:
    """Whether a Reference names a resource of the type by its literal; nothing is fetched to find out."""
    text = value.get("reference") if isinstance(value, Mapping) else None
    match = _TARGET.search(text) if isinstance(text, str) else None
    return match is not None and match[1] == resource_type


def _composed(steps: Iterable[_Step]) -> Callable[[Mapping[str, Any]], _Values]:
    ordered = tuple(steps)

    def values(resource: Mapping[str, Any]) -> _Values:
        found: _Values = [resource]
        for step in ordered:
            found = step(found)
            if not found:
                break
        return found

    return values
