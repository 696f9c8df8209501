"""The compiled closures find what fhirpathpy finds, for every search parameter of R4."""

import copy
import json
import re
from functools import cache
from typing import Any

import fhirpathpy
import pytest
from carebundle import generate_bundle, to_json
from fhirpathpy.models import models

from gateway.fhir.expression import compile_expression
from gateway.fhir.search_parameters import COMMON_PARAMETERS, SearchParameter, SearchType, parameters_of
from gateway.scopes.resource_types import RESOURCE_TYPES
from tests.fhir.evaluator.growing import grow

# fhirpathpy follows no references. What `resolve() is T` can mean without fetching is what the literal says.
_RESOLVES = re.compile(r"resolve\(\) is (\w+)")
_LITERAL = r"reference.matches('^(.*/)?\1/[A-Za-z0-9.-]{1,64}(/_history/[A-Za-z0-9.-]{1,64})?$')"
# R4's expressions say `as` of elements that repeat, where FHIRPath proper wants `ofType`.
_CAST = re.compile(r" as (\w+)\)|\.as\((\w+)\)")


@cache
def oracle(expression: str) -> Any:
    meant = _CAST.sub(
        lambda cast: f".ofType({cast[1]}))" if cast[1] else f".ofType({cast[2]})", _RESOLVES.sub(_LITERAL, expression)
    )
    return fhirpathpy.compile(meant, models["r4"])


def found(values: list[Any]) -> set[str]:
    """Values as a set: `|` of FHIRPath drops duplicates, the closures need not. Its decimals are our floats."""
    return {json.dumps(value, sort_keys=True, default=float) for value in values}


def judged(resource_type: str) -> list[SearchParameter]:
    """The parameters with an expression that is evaluated; Patient.deceased computes and has a test of its own."""
    return [
        one
        for one in parameters_of(resource_type).values()
        if one.type is not SearchType.COMPOSITE and "exists()" not in one.expression
        if one.name not in COMMON_PARAMETERS or resource_type == "Patient"
    ]


@pytest.mark.parametrize("resource_type", sorted(RESOURCE_TYPES))
def test_the_closures_find_what_fhirpath_finds_in(resource_type: str) -> None:
    something = 0
    for parameter in judged(resource_type):
        compiled = compile_expression(parameter.expression, resource_type)
        for seed in range(6):
            resource = grow(parameter.expression, resource_type, seed)
            ours = found(compiled.values(resource))
            # fhirpathpy writes into what it is given.
            assert ours == found(oracle(parameter.expression)(copy.deepcopy(resource), {})), (parameter, resource)
            something += len(ours)
    assert something or not judged(resource_type)


@pytest.mark.parametrize("resource_type", sorted(RESOURCE_TYPES))
def test_the_elements_named_are_all_that_is_looked_at_in(resource_type: str) -> None:
    for parameter in judged(resource_type):
        compiled = compile_expression(parameter.expression, resource_type)
        for seed in range(6):
            resource = grow(parameter.expression, resource_type, seed)
            members = {name: resource[name] for name in compiled.elements if name in resource}
            assert compiled.values(members) == compiled.values(resource), (parameter, resource)


@pytest.mark.parametrize("profile", ["healthy", "type2_diabetes"])
def test_the_closures_find_what_fhirpath_finds_in_the_chart_of_a_patient(profile: str) -> None:
    chart = json.loads(to_json(generate_bundle(profile=profile, seed=7)))
    resources = [entry["resource"] for entry in chart["entry"]]
    assert {"Patient", "Observation", "Encounter"} <= {one["resourceType"] for one in resources}
    for resource in resources:
        for parameter in judged(resource["resourceType"]):
            ours = compile_expression(parameter.expression, resource["resourceType"]).values(resource)
            theirs = oracle(parameter.expression)(copy.deepcopy(resource), {})
            assert found(ours) == found(theirs), (parameter, resource)


@pytest.mark.parametrize(
    "members",
    [{}, {"deceasedBoolean": True}, {"deceasedBoolean": False}, {"deceasedDateTime": "2020-05-01"}],
    ids=["nothing is said", "said to be dead", "said to be alive", "died on a day"],
)
def test_whether_a_patient_is_dead_is_what_fhirpath_says_when(members: dict[str, Any]) -> None:
    expression = parameters_of("Patient")["deceased"].expression
    patient = {"resourceType": "Patient", **members}
    ours = compile_expression(expression, "Patient").values(patient)
    assert ours == oracle(expression)(copy.deepcopy(patient), {})
