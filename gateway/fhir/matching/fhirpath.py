"""The FHIRPath of R4's search parameters, compiled once into closures over plain JSON.

It supports only what those expressions use (enforcement.md 3): paths, `|`, `as`, `where(resolve() is T)`,
`where(x='y')`, an index, and the one `exists()` of Patient.deceased. Compiling any other expression raises an error.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.fhir.search_parameters import CHOICE_TYPES, is_repeating

_Values = list[Any]
_Transform = Callable[[_Values], _Values]
_Evaluator = Callable[[Mapping[str, Any]], _Values]

_DECEASED_EXPRESSION = "Patient.deceased.exists() and Patient.deceased != false"
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
_LITERAL_REFERENCE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?\Z")


class UnsupportedExpressionError(Exception):
    """The expression uses FHIRPath that is not supported here."""


@dataclass(frozen=True, slots=True)
class CompiledExpression:
    """A compiled expression.

    `evaluate` takes a resource as parsed from JSON, or only its members in `elements`, and never raises. A list among
    the returned values is a list in place of a single value, so it must not match anything. The returned list may be a
    list of the resource itself and must not be changed. `elements` are the top-level members that it reads.
    """

    evaluate: Callable[[Mapping[str, Any]], list[Any]]
    elements: frozenset[str]


@dataclass(frozen=True, slots=True)
class _ElementMembers:
    """The JSON members that can hold an element, and whether the element can repeat."""

    names: tuple[str, ...]
    is_repeating: bool


@lru_cache(maxsize=4096)
def compile_expression(expression: str, resource_type: str) -> CompiledExpression:
    """Compile an expression for `resource_type`. Raises `UnsupportedExpressionError`."""
    if expression == _DECEASED_EXPRESSION:
        return CompiledExpression(_evaluate_deceased, frozenset({"deceasedBoolean", "deceasedDateTime"}))
    branches = [_compile_branch(branch.strip(), resource_type) for branch in _split_union(expression)]
    if not branches:
        raise UnsupportedExpressionError("the expression is empty")
    elements = frozenset(name for _, names in branches for name in names)
    if len(branches) == 1:
        return CompiledExpression(branches[0][0], elements)
    closures = tuple(closure for closure, _ in branches)
    return CompiledExpression(lambda resource: [value for closure in closures for value in closure(resource)], elements)


def _split_union(expression: str) -> list[str]:
    return [branch for branch in expression.split(" | ") if branch.strip()]


def _evaluate_deceased(resource: Mapping[str, Any]) -> _Values:
    """True for a date, False if both members are absent, no value for anything malformed."""
    flag, date_time = resource.get("deceasedBoolean"), resource.get("deceasedDateTime")
    if flag is True or isinstance(date_time, str):
        return [True]
    return [False] if flag in (None, False) and date_time is None else []


def _compile_branch(branch: str, resource_type: str) -> tuple[_Evaluator, tuple[str, ...]]:
    root, *tokens = _tokenize(_CAST.sub(r"\1.as(\2)", branch))
    if root != ("name", resource_type) or not tokens or tokens[0][0] != "name":
        raise UnsupportedExpressionError(branch)
    path = resource_type
    elements: list[_ElementMembers] = []
    transforms: list[_Transform] = []
    for position, (kind, argument) in enumerate(tokens):
        if kind == "as":
            continue
        if kind == "name":
            path = f"{path}.{argument}"
            next_token = tokens[position + 1] if position + 1 < len(tokens) else ("", "")
            names = _get_member_names(path, argument, next_token[1] if next_token[0] == "as" else None)
            elements.append(_ElementMembers(names, is_repeating(resource_type, path.removeprefix(f"{resource_type}."))))
            if len(elements) > 1:
                transforms.append(_compile_member_access(elements[-1]))
        else:
            transforms.append(_compile_filter(kind, argument, branch))
    return _build_evaluator(elements[0], tuple(transforms)), elements[0].names


def _tokenize(branch: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(branch):
        match = _TOKEN.match(branch, position)
        if match is None:
            raise UnsupportedExpressionError(branch)
        position = match.end()
        match match.lastgroup:
            case "name":
                tokens.append(("name", match["name"]))
            case "as_type":
                tokens.append(("as", match["as_type"]))
            case "target":
                tokens.append(("resolves", match["target"]))
            case "equal":
                tokens.append((f"where {match['field']}", match["equal"]))
            case "index":
                tokens.append(("index", match["index"]))
            case _:
                pass
    return tokens


def _get_member_names(path: str, name: str, cast: str | None) -> tuple[str, ...]:
    """The JSON members of an element. A choice element has one per type (R4, JSON 2.6.2)."""
    types = CHOICE_TYPES.get(path, ())
    if cast is None:
        return tuple(name + suffix for suffix in types) or (name,)
    suffix = cast[0].upper() + cast[1:]
    # Some casts name the only type of an element that is no choice. Its member has no suffix.
    return (name + suffix,) if suffix in types else (name,)


def _build_evaluator(root: _ElementMembers, transforms: tuple[_Transform, ...]) -> _Evaluator:
    """Build the closure that reads the root element from a resource and then applies the transforms."""
    names, read_values = root.names, _read_repeating if root.is_repeating else _read_single
    single_name = names[0] if len(names) == 1 else None

    def evaluate_root(resource: Mapping[str, Any]) -> _Values:
        if single_name is not None:
            return read_values(resource.get(single_name))
        return [value for name in names for value in read_values(resource.get(name))]

    if not transforms:
        return evaluate_root

    def evaluate_path(resource: Mapping[str, Any]) -> _Values:
        values = evaluate_root(resource)
        for transform in transforms:
            if not values:
                break
            values = transform(values)
        return values

    return evaluate_path


def _read_repeating(value: Any) -> _Values:
    """The values of a repeating element. A null stands for a primitive that has only extensions (R4, JSON 2.6.2)."""
    if value is None:
        return []
    if not isinstance(value, list):
        return [value]
    return [item for item in value if item is not None] if None in value else value


def _read_single(value: Any) -> _Values:
    """The value of an element that cannot repeat. A list stays one value, which nothing matches.

    Otherwise a resource with two subjects would belong to both compartments (leak_26).
    """
    return [] if value is None else [value]


def _compile_member_access(element: _ElementMembers) -> _Transform:
    names, read_values = element.names, _read_repeating if element.is_repeating else _read_single

    def access_member(values: _Values) -> _Values:
        members: _Values = []
        for value in values:
            if isinstance(value, dict):
                for name in names:
                    member = value.get(name)
                    if member is not None:
                        members += read_values(member)
            elif isinstance(value, list):
                members.append(value)
        return members

    return access_member


def _compile_filter(kind: str, argument: str, branch: str) -> _Transform:
    if kind == "resolves":
        return lambda values: [value for value in values if is_reference_to(value, argument)]
    if kind == "index":
        index = int(argument)
        return lambda values: values[index : index + 1]
    if kind.startswith("where "):
        field = kind.removeprefix("where ")
        return lambda values: [value for value in values if isinstance(value, dict) and value.get(field) == argument]
    raise UnsupportedExpressionError(branch)


def is_reference_to(value: Any, resource_type: str) -> bool:
    """Whether a literal Reference has a target of the type. The target is not fetched."""
    text = value.get("reference") if isinstance(value, dict) else None
    match = _LITERAL_REFERENCE.search(text) if isinstance(text, str) else None
    return match is not None and match[1] == resource_type
