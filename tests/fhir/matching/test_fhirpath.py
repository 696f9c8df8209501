"""Compiled expressions return what fhirpathpy returns, for every search parameter of R4."""

import copy
import json
import re
from functools import cache
from typing import Any

import fhirpathpy
import pytest
from carebundle import generate_bundle, to_json
from fhirpathpy.models import models

from gateway.fhir.matching.fhirpath import compile_expression
from gateway.fhir.search_parameters import COMMON_PARAMETERS, SearchParameter, SearchType, get_search_parameters
from gateway.scopes.resource_types import RESOURCE_TYPES
from tests.fhir.matching.generate_resource import generate_resource

# fhirpathpy does not resolve references. Without resolving, `resolve() is T` means the type in the literal reference.
_RESOLVES = re.compile(r"resolve\(\) is (\w+)")
_LITERAL = r"reference.matches('^(.*/)?\1/[A-Za-z0-9.-]{1,64}(/_history/[A-Za-z0-9.-]{1,64})?$')"
# R4 uses `as` for repeating elements, where FHIRPath requires `ofType`.
_CAST = re.compile(r" as (\w+)\)|\.as\((\w+)\)")


@cache
def compile_oracle(expression: str) -> Any:
    oracle_expression = _CAST.sub(
        lambda cast: f".ofType({cast[1]}))" if cast[1] else f".ofType({cast[2]})", _RESOLVES.sub(_LITERAL, expression)
    )
    return fhirpathpy.compile(oracle_expression, models["r4"])


def as_set(values: list[Any]) -> set[str]:
    """Values as a set, because `|` of FHIRPath removes duplicates. fhirpathpy's decimals are converted to floats."""
    return {json.dumps(value, sort_keys=True, default=float) for value in values}


def evaluable_parameters(resource_type: str) -> list[SearchParameter]:
    """The parameters whose expression is evaluated. `Patient.deceased` has its own test."""
    return [
        parameter
        for parameter in get_search_parameters(resource_type).values()
        if parameter.type is not SearchType.COMPOSITE and "exists()" not in parameter.expression
        if parameter.name not in COMMON_PARAMETERS or resource_type == "Patient"
    ]


@pytest.mark.parametrize("resource_type", sorted(RESOURCE_TYPES))
def test_the_closures_find_what_fhirpath_finds_in(resource_type: str) -> None:
    value_count = 0
    for parameter in evaluable_parameters(resource_type):
        compiled = compile_expression(parameter.expression, resource_type)
        for seed in range(6):
            resource = generate_resource(parameter.expression, resource_type, seed)
            ours = as_set(compiled.evaluate(resource))
            # fhirpathpy modifies its argument.
            theirs = compile_oracle(parameter.expression)(copy.deepcopy(resource), {})
            assert ours == as_set(theirs), (parameter, resource)
            value_count += len(ours)
    assert value_count or not evaluable_parameters(resource_type)


@pytest.mark.parametrize("resource_type", sorted(RESOURCE_TYPES))
def test_the_elements_named_are_all_that_is_looked_at_in(resource_type: str) -> None:
    for parameter in evaluable_parameters(resource_type):
        compiled = compile_expression(parameter.expression, resource_type)
        for seed in range(6):
            resource = generate_resource(parameter.expression, resource_type, seed)
            members = {name: resource[name] for name in compiled.elements if name in resource}
            assert compiled.evaluate(members) == compiled.evaluate(resource), (parameter, resource)


@pytest.mark.parametrize("profile", ["healthy", "type2_diabetes"])
def test_the_closures_find_what_fhirpath_finds_in_the_chart_of_a_patient(profile: str) -> None:
    chart = json.loads(to_json(generate_bundle(profile=profile, seed=7)))
    resources = [entry["resource"] for entry in chart["entry"]]
    assert {"Patient", "Observation", "Encounter"} <= {resource["resourceType"] for resource in resources}
    for resource in resources:
        for parameter in evaluable_parameters(resource["resourceType"]):
            ours = compile_expression(parameter.expression, resource["resourceType"]).evaluate(resource)
            theirs = compile_oracle(parameter.expression)(copy.deepcopy(resource), {})
            assert as_set(ours) == as_set(theirs), (parameter, resource)


@pytest.mark.parametrize(
    "members",
    [{}, {"deceasedBoolean": True}, {"deceasedBoolean": False}, {"deceasedDateTime": "2020-05-01"}],
    ids=["nothing is said", "said to be dead", "said to be alive", "died on a day"],
)
def test_whether_a_patient_is_dead_is_what_fhirpath_says_when(members: dict[str, Any]) -> None:
    expression = get_search_parameters("Patient")["deceased"].expression
    patient = {"resourceType": "Patient", **members}
    ours = compile_expression(expression, "Patient").evaluate(patient)
    assert ours == compile_oracle(expression)(copy.deepcopy(patient), {})
