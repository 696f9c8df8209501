"""Whether a resource satisfies one search criterion, judged locally and exactly (enforcement.md 3).

This judges what a scope permits, so every doubt is a no: no modifier, no approximation, no hierarchy of codes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.fhir.expression import UnsupportedExpressionError, compile_expression
from gateway.fhir.match_date import date_test
from gateway.fhir.match_number import number_test, quantity_test
from gateway.fhir.match_reference import canonical_test, reference_test
from gateway.fhir.match_text import string_test
from gateway.fhir.match_token import token_test
from gateway.fhir.match_value import Test, alternatives, unescape
from gateway.fhir.search_parameters import SearchParameter, SearchType, parameters_of

# Its value is a whole resource inside a Bundle, not a reference to one.
_INSIDE_A_BUNDLE = "Bundle.entry[0].resource"


class UnsupportedCriterionError(Exception):
    """The criterion cannot be judged here, so it grants nothing (SC-23)."""

    def __init__(self, resource_type: str, name: str, why: str) -> None:
        super().__init__(f"{resource_type}?{name}: {why}")
        self.resource_type = resource_type
        self.name = name
        self.why = why


@dataclass(frozen=True, slots=True)
class Criterion:
    """A compiled criterion.

    `matches` takes a resource as parsed from JSON, or just its members in `elements`, and never raises.
    """

    matches: Callable[[Mapping[str, Any]], bool]
    elements: frozenset[str]
    parameter: SearchParameter


@lru_cache(maxsize=8192)
def compile_criterion(
    resource_type: str, name: str, modifier: str | None, value: str, bases: tuple[str, ...] = ()
) -> Criterion:
    """The criterion `name=value` for a resource type; commas in `value` are OR. Raises `UnsupportedCriterionError`.

    `bases` are the base URLs, without trailing slash, under which absolute references are ours.
    """
    parameter = parameters_of(resource_type).get(name)
    if parameter is None:
        why = "a chain is not judged here" if "." in name else "the type has no such search parameter"
        raise UnsupportedCriterionError(resource_type, name, why)
    if modifier is not None:
        raise UnsupportedCriterionError(resource_type, name, f"the modifier :{modifier} is not judged here")
    try:
        tests = tuple(_test(parameter, one, bases) for one in alternatives(value))
        compiled = compile_expression(parameter.expression, resource_type)
    except ValueError as error:
        raise UnsupportedCriterionError(resource_type, name, str(error)) from error
    except UnsupportedExpressionError as error:
        raise UnsupportedCriterionError(resource_type, name, "its expression is not understood") from error
    return Criterion(_matcher(compiled.values, tests), compiled.elements, parameter)


def _matcher(
    read: Callable[[Mapping[str, Any]], list[Any]], tests: tuple[Test, ...]
) -> Callable[[Mapping[str, Any]], bool]:
    if len(tests) == 1:
        only = tests[0]
        return lambda resource: only(read(resource))

    def matches(resource: Mapping[str, Any]) -> bool:
        values = read(resource)
        return any(test(values) for test in tests)

    return matches


def _test(parameter: SearchParameter, value: str, bases: tuple[str, ...]) -> Test:
    """What one alternative demands. Raises `ValueError`."""
    match parameter.type:
        case SearchType.TOKEN:
            return token_test(value, is_id=parameter.name == "_id", is_contact=".telecom" in parameter.expression)
        case SearchType.REFERENCE:
            if parameter.expression == _INSIDE_A_BUNDLE:
                raise ValueError("what a Bundle holds is not judged here")
            return reference_test(unescape(value), parameter.targets, bases)
        case SearchType.DATE:
            return date_test(value)
        case SearchType.STRING:
            return string_test(unescape(value))
        case SearchType.URI:
            return _uri_test(unescape(value), is_canonical=parameter.name == "_profile")
        case SearchType.NUMBER:
            return number_test(value)
        case SearchType.QUANTITY:
            return quantity_test(value)
        case SearchType.COMPOSITE | SearchType.SPECIAL:
            raise ValueError(f"parameters of type {parameter.type} are not judged here")


def _uri_test(value: str, *, is_canonical: bool) -> Test:
    """The whole URI, exactly (R4 Search, 'uri')."""
    return canonical_test(value) if is_canonical else lambda values: value in values
