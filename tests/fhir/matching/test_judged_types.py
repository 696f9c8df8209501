"""The types for which a criterion can be evaluated are those for which it compiles, found with few checks."""

import pytest

from gateway.fhir.matching import judged_types
from gateway.fhir.matching.criterion import UnsupportedCriterionError, check_value, compile_criterion
from gateway.fhir.matching.judged_types import find_judged_types
from gateway.fhir.search_parameters import SearchParameter, get_search_parameters
from gateway.scopes.resource_types import RESOURCE_TYPES

NAMES = sorted({name for resource_type in RESOURCE_TYPES for name in get_search_parameters(resource_type)})


def compiles(resource_type: str, name: str, modifier: str | None, value: str) -> bool:
    """Whether the criterion can be compiled for the type."""
    try:
        compile_criterion(resource_type, name, modifier, value)
    except UnsupportedCriterionError:
        return False
    return True


@pytest.mark.parametrize(
    "value", ["http://x|a", "a|b|c", "ge2020", "ap2020", "5.4|http://u|mg", "Patient/1", "a\\", "x,,y"]
)
def test_the_types_are_those_for_which_the_criterion_compiles(value: str) -> None:
    for name in [*NAMES, "unknown", "subject.name"]:
        types = frozenset(kind for kind in RESOURCE_TYPES if compiles(kind, name, None, value))
        assert find_judged_types(name, None, value, RESOURCE_TYPES) == types, name


def test_only_the_given_types_are_looked_at_and_no_modifier_is_evaluated() -> None:
    assert find_judged_types("code", None, "a", frozenset({"Observation", "Patient"})) == {"Observation"}
    assert find_judged_types("code", "not", "a", RESOURCE_TYPES) == frozenset()


@pytest.mark.parametrize("name", ["_lastUpdated", "date", "code", "identifier", "unknown", "subject"])
def test_a_value_is_checked_a_few_times_for_all_types_together(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[SearchParameter] = []

    def count(parameter: SearchParameter, value: str) -> None:
        checked.append(parameter)
        check_value(parameter, value)

    monkeypatch.setattr(judged_types, "check_value", count)
    find_judged_types(name, None, "no value of any type|||", RESOURCE_TYPES)
    assert len(checked) <= 20
