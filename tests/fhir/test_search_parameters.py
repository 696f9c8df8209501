"""The tables have exactly the search parameters of R4, and their expressions are supported."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gateway.fhir.matching.fhirpath import UnsupportedExpressionError, compile_expression
from gateway.fhir.search_parameters import CHOICE_TYPES, COMMON_PARAMETERS, SearchType, get_search_parameters
from gateway.scopes.resource_types import RESOURCE_TYPES

ROOT = Path(__file__).resolve().parents[2]
ALL_PARAMETERS = [
    parameter for resource_type in sorted(RESOURCE_TYPES) for parameter in get_search_parameters(resource_type).values()
]
OWN_PARAMETERS = [parameter for parameter in ALL_PARAMETERS if parameter.name not in COMMON_PARAMETERS]

# As listed on the pages of R4 (https://hl7.org/fhir/R4/observation.html#search and so on), without composites.
OBSERVATION = """based-on category code combo-code combo-data-absent-reason combo-value-concept combo-value-quantity
component-code component-data-absent-reason component-value-concept component-value-quantity data-absent-reason date
derived-from device encounter focus has-member identifier method part-of patient performer specimen status subject
value-concept value-date value-quantity value-string"""
PATIENT = """active address address-city address-country address-postalcode address-state address-use birthdate
death-date deceased email family gender general-practitioner given identifier language link name organization phone
phonetic telecom"""
TASK = """authored-on based-on business-status code encounter focus group-identifier identifier intent modified owner
part-of patient performer period priority requester status subject"""


@pytest.mark.parametrize(
    ("resource_type", "names"), [("Observation", OBSERVATION), ("Patient", PATIENT), ("Task", TASK)]
)
def test_a_type_has_the_parameters_that_its_page_lists(resource_type: str, names: str) -> None:
    own_names = {
        parameter.name
        for parameter in get_search_parameters(resource_type).values()
        if parameter.type is not SearchType.COMPOSITE and parameter.name not in COMMON_PARAMETERS
    }
    assert own_names == set(names.split())


def test_there_are_as_many_parameters_of_each_kind_as_hl7_publishes() -> None:
    assert len(RESOURCE_TYPES) == 146
    assert Counter(parameter.type.value for parameter in OWN_PARAMETERS) == {
        "token": 670,
        "reference": 517,
        "string": 199,
        "date": 139,
        "composite": 72,
        "uri": 55,
        "quantity": 40,
        "number": 6,
        "special": 1,
    }


@pytest.mark.parametrize("resource_type", sorted(RESOURCE_TYPES))
def test_the_universal_parameters_are_defined_for(resource_type: str) -> None:
    parameters = get_search_parameters(resource_type)
    assert parameters.keys() >= COMMON_PARAMETERS
    assert parameters["_lastUpdated"].expression == f"{resource_type}.meta.lastUpdated"
    assert parameters["_id"].type is SearchType.TOKEN


@pytest.mark.parametrize("name", ["Nothing", "observation", "Resource", "DomainResource", "", "SubscriptionStatus"])
def test_what_is_no_type_of_r4_has_no_parameters(name: str) -> None:
    assert get_search_parameters(name) == {}


def test_every_expression_compiles_but_for_composites_of_the_whole_resource() -> None:
    refused = set()
    for resource_type in sorted(RESOURCE_TYPES):
        for parameter in get_search_parameters(resource_type).values():
            try:
                compiled = compile_expression(parameter.expression, resource_type)
            except UnsupportedExpressionError:
                refused.add(f"{resource_type}?{parameter.name}")
                assert parameter.type is SearchType.COMPOSITE
            else:
                assert compiled.elements
    assert refused == {
        "Observation?code-value-concept",
        "Observation?code-value-date",
        "Observation?code-value-quantity",
        "Observation?code-value-string",
        "Observation?combo-code-value-concept",
        "Observation?combo-code-value-quantity",
    }


def test_an_expression_speaks_of_its_own_type_alone() -> None:
    assert get_search_parameters("Patient")["gender"].expression == "Patient.gender"
    assert get_search_parameters("Goal")["patient"].expression == "Goal.subject.where(resolve() is Patient)"
    assert get_search_parameters("InsurancePlan")["name"].expression == "InsurancePlan.name | InsurancePlan.alias"


def test_a_reference_to_any_type_names_no_targets() -> None:
    assert get_search_parameters("Provenance")["target"].targets == frozenset()
    assert get_search_parameters("Observation")["subject"].targets == {"Group", "Device", "Patient", "Location"}


@pytest.mark.parametrize(
    ("path", "types"),
    [
        ("Observation.value", {"Quantity", "CodeableConcept", "String", "DateTime", "Period"}),
        ("Condition.onset", {"DateTime", "Age", "Period", "Range", "String"}),
        ("MedicationRequest.medication", {"CodeableConcept", "Reference"}),
        ("ActivityDefinition.useContext.value", {"CodeableConcept", "Quantity", "Range", "Reference"}),
    ],
)
def test_a_choice_element_has_its_types(path: str, types: set[str]) -> None:
    assert types <= set(CHOICE_TYPES[path])


def test_a_null_among_values_is_none_of_them() -> None:
    evaluate = compile_expression("Patient.name.given", "Patient").evaluate
    assert evaluate({"name": [None, {"given": [None, "Maria"]}, {"given": None}]}) == ["Maria"]
    assert compile_expression("Patient.name", "Patient").evaluate({"name": [None]}) == []


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "Patient",
        "Observation.code",
        "Patient.name.first()",
        "Patient.name.where(use = 'home' or true)",
        "Patient.extension('x')",
        "Patient.name.where(given.exists())",
        "Patient.where(active='true')",
        "name",
        "%resource",
    ],
)
def test_an_expression_that_uses_more_is_refused(expression: str) -> None:
    with pytest.raises(UnsupportedExpressionError):
        compile_expression(expression, "Patient")


@pytest.mark.skipif(
    not (ROOT / ".cache/definitions/package/dist/fhir/r4/profiles-types.json").exists(),
    reason="HL7's definitions are not in the cache; `python -m scripts.derive_tables` fetches them with npm",
)
def test_the_tables_are_as_derived() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "scripts.derive_tables", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout) == (0, "")
