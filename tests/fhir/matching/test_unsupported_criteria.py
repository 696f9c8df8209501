"""Unsupported criteria are refused at compile time, with the parameter and an explanation (SC-23, edge case 96)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.matching.criterion import CompiledCriterion, UnsupportedCriterionError, compile_criterion
from gateway.fhir.search_parameters import get_search_parameters
from gateway.scopes.resource_types import RESOURCE_TYPES
from tests.fhir.matching.criteria import BASES


@pytest.mark.requirement("SC-21", "SC-23", "edge-96")
@pytest.mark.parametrize(
    ("resource_type", "name", "modifier", "value", "why"),
    [
        pytest.param("Observation", "unknown", None, "x", "no such search parameter", id="a parameter not of R4"),
        pytest.param("Patient", "category", None, "x", "no such search parameter", id="a parameter of another type"),
        pytest.param("Nothing", "_id", None, "x", "no such search parameter", id="a type not of R4"),
        pytest.param("Observation", "_text", None, "x", "no such search parameter", id="a search of narrative"),
        pytest.param("Observation", "_filter", None, "x", "no such search parameter", id="a filter expression"),
        pytest.param("Observation", "_list", None, "x", "no such search parameter", id="a search by list"),
        pytest.param("Observation", "_has", None, "x", "no such search parameter", id="a reverse chain"),
        pytest.param("Observation", "subject.name", None, "x", "a chain", id="a chain"),
        pytest.param("Observation", "code", "not", "x", "modifier :not", id="a negation"),
        pytest.param("Observation", "code", "in", "x", "modifier :in", id="a value set"),
        pytest.param("Observation", "code", "missing", "true", "modifier :missing", id="absence"),
        pytest.param("Patient", "name", "exact", "x", "modifier :exact", id="an exact string"),
        pytest.param("Patient", "name", "contains", "x", "modifier :contains", id="a part of a string"),
        pytest.param("Observation", "subject", "Patient", "x", "modifier :Patient", id="a type as modifier"),
        pytest.param("Observation", "code", "", "x", "modifier :", id="an empty modifier"),
        pytest.param("Observation", "code-value-quantity", None, "a$1", "composite", id="a composite"),
        pytest.param("Location", "near", None, "1|2", "special", id="a special parameter"),
        pytest.param("Bundle", "composition", None, "Composition/1", "Bundle", id="a resource inside a Bundle"),
        pytest.param("Observation", "code", None, "", "empty", id="no value"),
        pytest.param("Observation", "code", None, "a,", "empty", id="an empty alternative"),
        pytest.param("Observation", "code", None, " ", "empty", id="a blank"),
        pytest.param("Observation", "code", None, "|", "token", id="a bar alone"),
        pytest.param("Observation", "code", None, "a|b|c", "token", id="two bars"),
        pytest.param("Observation", "code", None, r"a\b", "backslash", id="a stray backslash"),
        pytest.param("Observation", "code", None, "a\\", "backslash", id="a backslash at the end"),
        pytest.param("Patient", "phone", None, "phone|1", "contact point", id="the system of a contact point"),
        pytest.param("Observation", "date", None, "ap2020", "approximate", id="an approximate date"),
        pytest.param("Observation", "date", None, "xx2020", "date", id="a prefix that is none"),
        pytest.param("Observation", "date", None, "eq", "date", id="a prefix alone"),
        pytest.param("Observation", "date", None, "today", "date", id="a word for a date"),
        pytest.param("Observation", "date", None, "2020-02-30", "day", id="a day that is not"),
        pytest.param("Observation", "date", None, "2020-03-05T10Z", "date", id="an hour without minutes"),
        pytest.param("Patient", "name", None, "\u0301", "empty", id="an accent with nothing under it"),
        pytest.param("Observation", "subject", None, "Patient/", "reference", id="a reference to nothing"),
        pytest.param("Observation", "subject", None, "Patient/A/x", "reference", id="a path that is no reference"),
        pytest.param("Observation", "subject", None, "#p", "reference", id="a contained resource"),
        pytest.param("Observation", "subject", None, "Patient/A/_history/1", "version", id="one version"),
        pytest.param("RiskAssessment", "probability", None, "ap1", "approximate", id="an approximate number"),
        pytest.param("RiskAssessment", "probability", None, "1e2", "number", id="a positive exponent"),
        pytest.param("RiskAssessment", "probability", None, "1.", "number", id="a point alone"),
        pytest.param("RiskAssessment", "probability", None, "NaN", "number", id="what is no number"),
        pytest.param("RiskAssessment", "probability", None, "1" * 19, "number", id="more digits than FHIR has"),
        pytest.param("RiskAssessment", "probability", None, "1" * 9999, "number", id="very many digits"),
        pytest.param("Observation", "value-quantity", None, "5|mg", "quantity", id="one bar"),
        pytest.param("Observation", "value-quantity", None, "5||", "code", id="two bars and nothing"),
    ],
)
def test_a_criterion_is_refused_that_has(
    resource_type: str, name: str, modifier: str | None, value: str, why: str
) -> None:
    with pytest.raises(UnsupportedCriterionError) as refused:
        compile_criterion(resource_type, name, modifier, value, BASES)
    assert (refused.value.resource_type, refused.value.name) == (resource_type, name)
    assert why in refused.value.explanation
    assert str(refused.value).startswith(f"{resource_type}?{name}: ")


@pytest.mark.parametrize("name", ["_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"])
def test_the_universal_parameters_are_judged_on_every_type(name: str) -> None:
    value = "2020" if name == "_lastUpdated" else "x"
    for resource_type in RESOURCE_TYPES:
        assert isinstance(compile_criterion(resource_type, name, None, value), CompiledCriterion)


TYPES = st.sampled_from(sorted(RESOURCE_TYPES))


PARAMETERS = TYPES.flatmap(
    lambda resource_type: st.tuples(
        st.just(resource_type), st.sampled_from(sorted(get_search_parameters(resource_type)))
    )
)


@given(PARAMETERS, st.text())
def test_a_value_is_understood_or_refused_and_nothing_else(type_and_name: tuple[str, str], value: str) -> None:
    resource_type, name = type_and_name
    try:
        compiled = compile_criterion(resource_type, name, None, value, BASES)
    except UnsupportedCriterionError:
        return
    assert compiled.matches({"resourceType": resource_type}) in ({False, True} if name == "deceased" else {False})
