"""For which resource types a criterion can be evaluated here, found without compiling it for each of them."""

from collections import defaultdict
from collections.abc import Mapping, Set
from functools import cache

from gateway.fhir.matching.criterion import check_value
from gateway.fhir.matching.fhirpath import UnsupportedExpressionError, compile_expression
from gateway.fhir.search_parameters import SearchParameter, get_search_parameters
from gateway.scopes.resource_types import RESOURCE_TYPES

_ParametersByTypes = Mapping[frozenset[str], SearchParameter]


def find_judged_types(name: str, modifier: str | None, value: str, types: Set[str]) -> frozenset[str]:
    """Those of `types` for which `compile_criterion` compiles the criterion `name=value` without a base URL."""
    if modifier is not None:
        return frozenset()
    return frozenset[str]().union(
        *(
            types & parameter_types
            for parameter_types, parameter in _parameters_by_name().get(name, {}).items()
            if not types.isdisjoint(parameter_types) and _is_valid(parameter, value)
        )
    )


def _is_valid(parameter: SearchParameter, value: str) -> bool:
    try:
        check_value(parameter, value)
    except ValueError:
        return False
    return True


@cache
def _parameters_by_name() -> Mapping[str, _ParametersByTypes]:
    """One parameter for all resource types whose parameter of that name accepts the same values, by name.

    Only of types whose expression can be evaluated.
    """
    alike: defaultdict[tuple[object, ...], dict[str, SearchParameter]] = defaultdict(dict)
    for resource_type in RESOURCE_TYPES:
        for name, parameter in get_search_parameters(resource_type).items():
            if _is_supported(parameter, resource_type):
                is_contact, is_bundle = ".telecom" in parameter.expression, resource_type == "Bundle"
                key = name, parameter.type, parameter.targets, is_contact, is_bundle
                alike[key][resource_type] = parameter
    by_name: defaultdict[str, dict[frozenset[str], SearchParameter]] = defaultdict(dict)
    for group in alike.values():
        parameter = next(iter(group.values()))
        by_name[parameter.name][frozenset(group)] = parameter
    return by_name


def _is_supported(parameter: SearchParameter, resource_type: str) -> bool:
    try:
        compile_expression(parameter.expression, resource_type)
    except UnsupportedExpressionError:
        return False
    return True
