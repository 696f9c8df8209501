"""Whether a resource matches one search criterion, evaluated locally and exactly (enforcement.md 3).

The result decides what a scope permits, so nothing uncertain is supported: no modifiers, no approximate comparison, no
code hierarchies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.fhir.matching.fhirpath import UnsupportedExpressionError, compile_expression
from gateway.fhir.matching.match_date import compile_date_test
from gateway.fhir.matching.match_number import compile_number_test, compile_quantity_test
from gateway.fhir.matching.match_reference import compile_canonical_test, compile_reference_test
from gateway.fhir.matching.match_string import compile_string_test
from gateway.fhir.matching.match_token import compile_token_test
from gateway.fhir.matching.value_syntax import ValueTest, split_alternatives, unescape
from gateway.fhir.search_parameters import SearchParameter, SearchType, get_search_parameters

# Its value is a whole resource in a Bundle, not a reference.
_BUNDLE_RESOURCE = "Bundle.entry[0].resource"


class UnsupportedCriterionError(Exception):
    """The criterion cannot be evaluated here, so it grants nothing (SC-23)."""

    def __init__(self, resource_type: str, name: str, explanation: str) -> None:
        super().__init__(f"{resource_type}?{name}: {explanation}")
        self.resource_type = resource_type
        self.name = name
        self.explanation = explanation


@dataclass(frozen=True, slots=True)
class CompiledCriterion:
    """A compiled search criterion.

    `matches` takes a resource as parsed from JSON, or only its members in `elements`, and never raises.
    """

    matches: Callable[[Mapping[str, Any]], bool]
    elements: frozenset[str]
    parameter: SearchParameter


@lru_cache(maxsize=8192)
def compile_criterion(
    resource_type: str, name: str, modifier: str | None, value: str, bases: tuple[str, ...] = ()
) -> CompiledCriterion:
    """Compile the criterion `name=value` for a resource type. Commas in `value` mean OR.

    `bases` are the base URLs of the FHIR server, without trailing slash, for absolute references. Raises
    `UnsupportedCriterionError`.
    """
    parameter = get_search_parameters(resource_type).get(name)
    if parameter is None:
        explanation = "a chain is not evaluated here" if "." in name else "the type has no such search parameter"
        raise UnsupportedCriterionError(resource_type, name, explanation)
    if modifier is not None:
        raise UnsupportedCriterionError(resource_type, name, f"the modifier :{modifier} is not evaluated here")
    try:
        tests = _compile_tests(parameter, value, bases)
        compiled = compile_expression(parameter.expression, resource_type)
    except ValueError as error:
        raise UnsupportedCriterionError(resource_type, name, str(error)) from error
    except UnsupportedExpressionError as error:
        raise UnsupportedCriterionError(resource_type, name, "its FHIRPath expression is not supported") from error
    return CompiledCriterion(_build_matcher(compiled.evaluate, tests), compiled.elements, parameter)


def check_value(parameter: SearchParameter, value: str) -> None:
    """Raise `ValueError` if the parameter cannot have this value here."""
    _compile_tests(parameter, value, ())


def _compile_tests(parameter: SearchParameter, value: str, bases: tuple[str, ...]) -> tuple[ValueTest, ...]:
    return tuple(_compile_test(parameter, alternative, bases) for alternative in split_alternatives(value))


def _build_matcher(
    evaluate: Callable[[Mapping[str, Any]], list[Any]], tests: tuple[ValueTest, ...]
) -> Callable[[Mapping[str, Any]], bool]:
    if len(tests) == 1:
        test = tests[0]
        return lambda resource: test(evaluate(resource))

    def matches(resource: Mapping[str, Any]) -> bool:
        values = evaluate(resource)
        return any(test(values) for test in tests)

    return matches


def _compile_test(parameter: SearchParameter, value: str, bases: tuple[str, ...]) -> ValueTest:
    """Compile one alternative of a value. Raises `ValueError`."""
    match parameter.type:
        case SearchType.TOKEN:
            return compile_token_test(
                value, is_id=parameter.name == "_id", is_contact=".telecom" in parameter.expression
            )
        case SearchType.REFERENCE:
            if parameter.expression == _BUNDLE_RESOURCE:
                raise ValueError("the resources in a Bundle are not evaluated here")
            return compile_reference_test(unescape(value), parameter.targets, bases)
        case SearchType.DATE:
            return compile_date_test(value)
        case SearchType.STRING:
            return compile_string_test(unescape(value))
        case SearchType.URI:
            return _compile_uri_test(unescape(value), is_canonical=parameter.name == "_profile")
        case SearchType.NUMBER:
            return compile_number_test(value)
        case SearchType.QUANTITY:
            return compile_quantity_test(value)
        case SearchType.COMPOSITE | SearchType.SPECIAL:
            raise ValueError(f"parameters of type {parameter.type} are not evaluated here")


def _compile_uri_test(value: str, *, is_canonical: bool) -> ValueTest:
    """Compare the whole URI, exactly (R4 Search, 'uri')."""
    return compile_canonical_test(value) if is_canonical else lambda values: value in values
