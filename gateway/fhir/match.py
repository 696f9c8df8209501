"""Whether a resource satisfies one search criterion, judged locally and exactly (enforcement.md 3).

This judges what a scope permits, so every doubt is a no: no modifier, no approximation, no hierarchy of codes.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from gateway.fhir.dates import compare, parse_date, spans
from gateway.fhir.expression import UnsupportedExpressionError, compile_expression
from gateway.fhir.reference import ID, Reference, parse_reference
from gateway.fhir.search_parameters import SearchParameter, SearchType, parameters_of

_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.+)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
# Split at `separator` unless a backslash stands before it (R4 Search 3.1.1.4.20).
_UNESCAPED = {separator: re.compile(rf"(?<!\\){re.escape(separator)}") for separator in ",|"}

_Values = list[Any]
_Test = Callable[[_Values], bool]


class UnsupportedCriterionError(Exception):
    """The criterion cannot be judged here, so it grants nothing (SC-23)."""

    def __init__(self, resource_type: str, name: str, why: str) -> None:
        super().__init__(f"{resource_type}?{name}: {why}")
        self.resource_type = resource_type
        self.name = name
        self.why = why


@dataclass(frozen=True, slots=True)
class Criterion:
    """A compiled criterion. `matches` takes a resource, or just its members in `elements`, and never raises."""

    matches: Callable[[Mapping[str, Any]], bool]
    elements: frozenset[str]
    parameter: SearchParameter


@lru_cache(maxsize=8192)
def compile_criterion(
    resource_type: str, name: str, modifier: str | None, value: str, bases: tuple[str, ...] = ()
) -> Criterion:
    """The criterion `name=value` for a resource type; commas in `value` are OR. Raises `UnsupportedCriterionError`."""
    parameter = parameters_of(resource_type).get(name)
    if parameter is None:
        why = "a chain is not judged here" if "." in name else "the type has no such search parameter"
        raise UnsupportedCriterionError(resource_type, name, why)
    if modifier is not None:
        raise UnsupportedCriterionError(resource_type, name, f"the modifier :{modifier} is not judged here")
    try:
        compiled = compile_expression(parameter.expression, resource_type)
        tests = tuple(_test(parameter, one, bases) for one in _split(value, ","))
    except UnsupportedExpressionError as error:
        raise UnsupportedCriterionError(resource_type, name, "its expression is not understood") from error
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise UnsupportedCriterionError(resource_type, name, str(error) or "the value is not valid") from error
    read = compiled.values

    def matches(resource: Mapping[str, Any]) -> bool:
        values = read(resource)
        return bool(values) and any(test(values) for test in tests)

    return Criterion(matches, compiled.elements, parameter)


def _split(value: str, separator: str, most: int = 0) -> list[str]:
    parts = _UNESCAPED[separator].split(value, maxsplit=most)
    if separator == "," and not all(part.strip() for part in parts):
        raise ValueError("one of the values is empty")
    return parts


def _unescaped(text: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", text)


def _test(parameter: SearchParameter, value: str, bases: tuple[str, ...]) -> _Test:
    match parameter.type:
        case SearchType.TOKEN:
            return _token_test(value, exact=parameter.name == "_id")
        case SearchType.REFERENCE:
            return _reference_test(_unescaped(value), bases)
        case SearchType.DATE:
            return _date_test(value)
        case SearchType.STRING:
            return _string_test(_unescaped(value))
        case SearchType.URI:
            return _uri_test(_unescaped(value))
        case SearchType.NUMBER:
            return _number_test(value)
        case SearchType.QUANTITY:
            return _quantity_test(value)
        case SearchType.COMPOSITE | SearchType.SPECIAL:
            raise ValueError(f"parameters of type {parameter.type} are not judged here")


def _token_test(value: str, *, exact: bool) -> _Test:
    """`system|code`, `|code` (no system), `system|` (any code), `code` (any system); R4 Search 3.1.1.4.10.

    A code is compared without case, as clients-and-suites 4.7 asks; a system is compared exactly.
    """
    system, bar, code = value.rpartition("|") if len(_split(value, "|")) == 2 else ("", "", value)
    if len(_split(value, "|")) > 2:
        raise ValueError("a token has at most one bar")
    wanted_system, wanted_code = _unescaped(system), _unescaped(code)
    if not wanted_system and not wanted_code:
        raise ValueError("the token is empty")
    wanted = wanted_code if exact else wanted_code.casefold()

    def test(values: _Values) -> bool:
        for has_system, has_code in _tokens(values):
            if bar and (has_system or "") != wanted_system:
                continue
            if not wanted or (has_code if exact else has_code.casefold()) == wanted:
                return True
        return False

    return test


def _tokens(values: _Values) -> Iterator[tuple[str | None, str]]:
    for value in values:
        if isinstance(value, bool):
            yield None, "true" if value else "false"
        elif isinstance(value, str):
            yield None, value
        elif isinstance(value, Mapping):
            yield from _structured_tokens(value)


def _structured_tokens(value: Mapping[str, Any]) -> Iterator[tuple[str | None, str]]:
    codings = value.get("coding")
    if isinstance(codings, list):
        for coding in codings:
            if isinstance(coding, Mapping):
                yield from _pair(coding, "code")
    else:
        yield from _pair(value, "code" if "code" in value else "value")


def _pair(value: Mapping[str, Any], member: str) -> Iterator[tuple[str | None, str]]:
    """(system, code) of a Coding, an Identifier or a ContactPoint; a Coding may have a system alone."""
    system, code = value.get("system"), value.get(member, "")
    if isinstance(code, str) and (system is None or isinstance(system, str)):
        yield system, code


def _reference_test(value: str, bases: tuple[str, ...]) -> _Test:
    """A literal of this server, by `Type/id`, by bare id, or by either base; or a canonical, exactly."""
    wanted = parse_reference(value, bases)
    if wanted is not None:
        plain = Reference(wanted.resource_type, wanted.id)
        return lambda values: any(_named(one, bases) == plain for one in values)
    if ID.fullmatch(value):
        return lambda values: any((named := _named(one, bases)) is not None and named.id == value for one in values)
    return lambda values: value in values


def _named(value: Any, bases: tuple[str, ...]) -> Reference | None:
    text = value.get("reference") if isinstance(value, Mapping) else None
    reference = parse_reference(text, bases) if isinstance(text, str) else None
    if reference is None:
        return None
    declared = value.get("type")
    if declared is not None and declared != reference.resource_type:
        return None
    return Reference(reference.resource_type, reference.id)


def _prefix_and_rest(value: str) -> tuple[str, str]:
    match = _PREFIXED.fullmatch(value)
    if match is None or match[1] == "ap":
        raise ValueError("an approximate comparison is not judged here" if match else "the value is empty")
    return match[1] or "eq", match[2]


def _date_test(value: str) -> _Test:
    prefix, text = _prefix_and_rest(value)
    asked = parse_date(text)
    return lambda values: any(compare(prefix, stored, asked) for stored in spans(values))


def _string_test(value: str) -> _Test:
    """Starts with, without case and accents (R4 Search 3.1.1.4.8)."""
    wanted = _folded(value)
    return lambda values: any(_folded(text).startswith(wanted) for text in _texts(values))


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(one for one in decomposed if not unicodedata.combining(one)).casefold()


def _texts(values: _Values) -> Iterator[str]:
    """Strings, and the strings of a HumanName or an Address."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            for member, inner in value.items():
                if member not in {"use", "type", "extension", "id", "period"}:
                    yield from (one for one in (inner if isinstance(inner, list) else [inner]) if isinstance(one, str))


def _uri_test(value: str) -> _Test:
    """Exactly; a canonical also without its version where none is asked for."""
    if "|" in value:
        return lambda values: value in values
    return lambda values: any(isinstance(one, str) and one.split("|", 1)[0] == value for one in values)


def _number_test(value: str) -> _Test:
    holds = _comparison(value)
    return lambda values: any(number is not None and holds(number) for number in map(_decimal, values))


def _quantity_test(value: str) -> _Test:
    """`number`, or `number|system|code`, or `number||code` (code or unit); R4 Search 3.1.1.4.11."""
    parts = _split(value, "|")
    if len(parts) not in {1, 3}:
        raise ValueError("a quantity is number, or number|system|code")
    holds = _comparison(parts[0])
    system, code = (_unescaped(parts[1]), _unescaped(parts[2])) if len(parts) == 3 else ("", "")

    def test(values: _Values) -> bool:
        return any(_is_quantity(one, holds, system, code) for one in values if isinstance(one, Mapping))

    return test


def _is_quantity(value: Mapping[str, Any], holds: Callable[[Decimal], bool], system: str, code: str) -> bool:
    number = _decimal(value.get("value"))
    if number is None or value.get("comparator") is not None or not holds(number):
        return False
    if system and value.get("system") != system:
        return False
    return not code or value.get("code") == code or (not system and value.get("unit") == code)


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(repr(value))


def _comparison(value: str) -> Callable[[Decimal], bool]:
    """Implicit precision: 100 means 99.5 up to 100.5 (R4 Search 3.1.1.4.6)."""
    prefix, text = _prefix_and_rest(value)
    if not _NUMBER.fullmatch(text):
        raise ValueError("the value is not a number")
    asked = Decimal(text)
    exponent = asked.as_tuple().exponent
    half = Decimal(5).scaleb(exponent - 1) if isinstance(exponent, int) else Decimal(0)
    outcomes: dict[str, Callable[[Decimal], bool]] = {
        "eq": lambda number: asked - half <= number < asked + half,
        "ne": lambda number: not asked - half <= number < asked + half,
        "gt": lambda number: number > asked,
        "lt": lambda number: number < asked,
        "ge": lambda number: number >= asked,
        "le": lambda number: number <= asked,
        "sa": lambda number: number >= asked + half,
        "eb": lambda number: number < asked - half,
    }
    return outcomes[prefix]
