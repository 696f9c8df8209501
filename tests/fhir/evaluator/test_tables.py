"""The tables hold R4's search parameters: no more, no less, each with an expression that is understood."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gateway.fhir.expression import UnsupportedExpressionError, compile_expression
from gateway.fhir.search_parameters import CHOICES, COMMON_PARAMETERS, SearchType, parameters_of
from gateway.scopes.resource_types import RESOURCE_TYPES

ROOT = Path(__file__).resolve().parents[3]
EVERY = [one for resource_type in sorted(RESOURCE_TYPES) for one in parameters_of(resource_type).values()]
OWN = [one for one in EVERY if one.name not in COMMON_PARAMETERS]

# As listed on the pages of R4 (https://hl7.org/fhir/R4/observation.html#search and so on), composites left out.
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
    own = {
        one.name
        for one in parameters_of(resource_type).values()
        if one.type is not SearchType.COMPOSITE and one.name not in COMMON_PARAMETERS
    }
    assert own == set(names.split())


def test_there_are_as_many_parameters_of_each_kind_as_hl7_publishes() -> None:
    assert len(RESOURCE_TYPES) == 146
    assert Counter(one.type.value for one in OWN) == {
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
    known = parameters_of(resource_type)
    assert known.keys() >= COMMON_PARAMETERS
    assert known["_lastUpdated"].expression == f"{resource_type}.meta.lastUpdated"
    assert known["_id"].type is SearchType.TOKEN


@pytest.mark.parametrize("name", ["Nothing", "observation", "Resource", "DomainResource", "", "SubscriptionStatus"])
def test_what_is_no_type_of_r4_has_no_parameters(name: str) -> None:
    assert parameters_of(name) == {}


def test_every_expression_compiles_but_for_composites_of_the_whole_resource() -> None:
    refused = set()
    for resource_type in sorted(RESOURCE_TYPES):
        for parameter in parameters_of(resource_type).values():
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
    assert parameters_of("Patient")["gender"].expression == "Patient.gender"
    assert parameters_of("Goal")["patient"].expression == "Goal.subject.where(resolve() is Patient)"
    assert parameters_of("InsurancePlan")["name"].expression == "InsurancePlan.name | InsurancePlan.alias"


def test_a_reference_to_any_type_names_no_targets() -> None:
    assert parameters_of("Provenance")["target"].targets == frozenset()
    assert parameters_of("Observation")["subject"].targets == {"Group", "Device", "Patient", "Location"}


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
    assert types <= set(CHOICES[path])


def test_a_null_among_values_is_none_of_them() -> None:
    given = compile_expression("Patient.name.given", "Patient").values
    assert given({"name": [None, {"given": [None, "Maria"]}, {"given": None}]}) == ["Maria"]
    assert compile_expression("Patient.name", "Patient").values({"name": [None]}) == []


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
    reason="HL7's definitions are not here; `python -m scripts.derive_tables` fetches them with npm",
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
