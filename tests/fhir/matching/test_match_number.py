"""Number and quantity criteria: R4 Search, 'number' and 'quantity'."""

from typing import Any

import pytest

from tests.fhir.matching.criteria import matches

UCUM = "http://unitsofmeasure.org"


@pytest.mark.parametrize(
    ("criterion", "stored", "expected"),
    [
        pytest.param("0.5", 0.5, True, id="the same"),
        pytest.param("0.5", 0.549, True, id="within what was written"),
        pytest.param("0.5", 0.55, False, id="above what was written"),
        pytest.param("0.5", 0.45, True, id="the lower bound is inside"),
        pytest.param("0.50", 0.549, False, id="more digits mean less room"),
        pytest.param("eq0.5", 0.5, True, id="eq is the default"),
        pytest.param("5e-1", 0.5, True, id="a negative exponent"),
        pytest.param("ne0.5", 0.6, True, id="ne outside"),
        pytest.param("ne0.5", 0.51, False, id="ne within what was written"),
        pytest.param("gt0.5", 0.51, True, id="gt takes the number as exact"),
        pytest.param("gt0.5", 0.5, False, id="gt is not equal"),
        pytest.param("ge0.5", 0.5, True, id="ge is also equal"),
        pytest.param("ge0.5", 0.49, False, id="ge below"),
        pytest.param("lt0.5", 0.49, True, id="lt below"),
        pytest.param("lt0.5", 0.5, False, id="lt is not equal"),
        pytest.param("le0.5", 0.5, True, id="le is also equal"),
        pytest.param("sa0.5", 0.51, True, id="sa above"),
        pytest.param("sa0.5", 0.5, False, id="sa is not equal"),
        pytest.param("eb0.5", 0.49, True, id="eb below"),
        pytest.param("eb0.5", 0.5, False, id="eb is not equal"),
        pytest.param("1", 1, True, id="a whole number"),
        pytest.param("-1", -1, True, id="a negative number"),
        pytest.param("1", True, False, id="a flag is no number"),
        pytest.param("1", "1", False, id="a string is no number"),
        pytest.param("gt0", float("inf"), False, id="infinity is no number of FHIR"),
        pytest.param("ne0", float("nan"), False, id="nor is what is no number"),
        pytest.param("gt0", 10**400, True, id="a number that no float holds"),
        pytest.param("ne0.5", None, False, id="nothing is not different"),
    ],
)
def test_a_probability_matches_when(criterion: str, stored: Any, expected: bool) -> None:
    members = {"prediction": [{"probabilityDecimal": stored}]}
    assert matches("RiskAssessment", f"probability={criterion}", **members) is expected


def test_ne_must_hold_for_every_number() -> None:
    two = {"prediction": [{"probabilityDecimal": 0.5}, {"probabilityDecimal": 0.9}]}
    assert not matches("RiskAssessment", "probability=ne0.5", **two)
    assert matches("RiskAssessment", "probability=0.5", **two)


def test_a_range_is_no_number() -> None:
    members = {"prediction": [{"probabilityRange": {"low": {"value": 0.5}, "high": {"value": 0.5}}}]}
    assert not matches("RiskAssessment", "probability=0.5", **members)


MG = {"value": 5.4, "unit": "mg", "system": UCUM, "code": "mg"}


@pytest.mark.parametrize(
    ("criterion", "stored", "expected"),
    [
        pytest.param(f"5.4|{UCUM}|mg", MG, True, id="number, system and code"),
        pytest.param(f"5.40|{UCUM}|mg", MG, True, id="more digits of the same number"),
        pytest.param(f"5.4|{UCUM}|g", MG, False, id="another unit is not converted"),
        pytest.param("5.4|urn:other|mg", MG, False, id="another system"),
        pytest.param("5.4||mg", MG, True, id="a code of any system"),
        pytest.param("5.4||milligram", {**MG, "unit": "milligram"}, True, id="a unit"),
        pytest.param(f"5.4|{UCUM}|milligram", {**MG, "unit": "milligram"}, False, id="a unit is of no system"),
        pytest.param("5.4", MG, True, id="a number of any unit"),
        pytest.param("5", MG, True, id="the number rounded as written"),
        pytest.param("gt5", MG, True, id="a prefix"),
        pytest.param(f"lt5|{UCUM}|mg", MG, False, id="a prefix that does not hold"),
        pytest.param(f"ne5.4|{UCUM}|g", MG, False, id="ne in another unit is not known"),
        pytest.param("ge5", {**MG, "comparator": ">"}, False, id="a stored comparator makes it no number"),
        pytest.param("5.4", {"unit": "mg"}, False, id="no value"),
        pytest.param("5.4", {**MG, "value": "5.4"}, False, id="a value that is a string"),
        pytest.param("5.4", [MG], False, id="a list where one was meant"),
        pytest.param("5.4", 5.4, False, id="a bare number"),
    ],
)
def test_a_quantity_matches_when(criterion: str, stored: Any, expected: bool) -> None:
    assert matches("Observation", f"value-quantity={criterion}", valueQuantity=stored) is expected
