"""Reference criteria: R4 Search, 'reference'. Only literal references to this server count."""

from typing import Any

import pytest

from tests.fhir.matching.criteria import PUBLIC, UPSTREAM, matches


@pytest.mark.parametrize("criterion", ["Patient/A", "A", f"{PUBLIC}/Patient/A", f"{UPSTREAM}/Patient/A"])
@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        pytest.param({"reference": "Patient/A"}, True, id="relative"),
        pytest.param({"reference": f"{PUBLIC}/Patient/A"}, True, id="under the public base"),
        pytest.param({"reference": f"{UPSTREAM}/Patient/A"}, True, id="under the upstream base"),
        pytest.param({"reference": "Patient/A/_history/3"}, True, id="a version"),
        pytest.param({"reference": f"{PUBLIC}/Patient/A/_history/3"}, True, id="a version under a base"),
        pytest.param({"reference": "Patient/A", "type": "Patient"}, True, id="with the type declared"),
        pytest.param({"reference": "Patient/A", "type": "Group"}, False, id="another type declared"),
        pytest.param({"reference": "Patient/A", "type": ["Patient"]}, False, id="a type of an odd shape"),
        pytest.param({"reference": "Patient/AA"}, False, id="a longer id"),
        pytest.param({"reference": "Patient/a"}, False, id="an id in another case"),
        pytest.param({"reference": "https://other.example/fhir/Patient/A"}, False, id="another server"),
        pytest.param({"reference": f"{PUBLIC}evil/Patient/A"}, False, id="a base that only begins alike"),
        pytest.param({"reference": f"{PUBLIC}/x/Patient/A"}, False, id="below a base"),
        pytest.param({"reference": "/Patient/A"}, False, id="from the root"),
        pytest.param({"reference": "x/Patient/A"}, False, id="from elsewhere"),
        pytest.param({"reference": "Patient/A/"}, False, id="with a slash at the end"),
        pytest.param({"reference": "Patient/A?x"}, False, id="with a query"),
        pytest.param({"reference": "Patient/A#x"}, False, id="with a fragment"),
        pytest.param({"reference": "Patient/A\n"}, False, id="with a line feed"),
        pytest.param({"reference": "Patient?identifier=A"}, False, id="conditional"),
        pytest.param({"reference": "#A"}, False, id="contained"),
        pytest.param({"reference": "urn:uuid:A"}, False, id="a URN"),
        pytest.param({"identifier": {"value": "A"}}, False, id="by identifier alone"),
        pytest.param({"display": "Patient/A"}, False, id="by display alone"),
        pytest.param({"reference": ["Patient/A"]}, False, id="a reference that is a list"),
        pytest.param("Patient/A", False, id="a string"),
        pytest.param([{"reference": "Group/G"}, {"reference": "Patient/A"}], False, id="a list where one was meant"),
        pytest.param(None, False, id="null"),
    ],
)
def test_a_subject_matches_when_its_reference_is(criterion: str, subject: Any, expected: bool) -> None:
    assert matches("Observation", f"subject={criterion}", subject=subject) is expected
    assert matches("Observation", f"patient={criterion}", subject=subject) is expected


def test_a_bare_id_reaches_only_the_types_that_the_parameter_may_lead_to() -> None:
    assert matches("AllergyIntolerance", "patient=A", patient={"reference": "Patient/A"})
    assert not matches("AllergyIntolerance", "patient=A", patient={"reference": "Group/A"})
    assert matches("Observation", "subject=A", subject={"reference": "Group/A"})
    assert not matches("Observation", "patient=A", subject={"reference": "Group/A"})


@pytest.mark.parametrize(
    ("criterion", "stored", "expected"),
    [
        pytest.param("http://x.example/Q", "http://x.example/Q", True, id="the same"),
        pytest.param("http://x.example/Q", "http://x.example/Q|2.0", True, id="any version where none is asked for"),
        pytest.param("http://x.example/Q|2.0", "http://x.example/Q|2.0", True, id="the version asked for"),
        pytest.param("http://x.example/Q|2.0", "http://x.example/Q|2.1", False, id="another version"),
        pytest.param("http://x.example/Q|2.0", "http://x.example/Q", False, id="no version"),
        pytest.param("http://x.example/q", "http://x.example/Q", False, id="another case"),
        pytest.param("http://x.example/", "http://x.example/Q", False, id="a beginning"),
        pytest.param(f"{PUBLIC}/Questionnaire/1", f"{PUBLIC}/Questionnaire/1", True, id="one under our base"),
    ],
)
def test_a_canonical_matches_when_it_is(criterion: str, stored: str, expected: bool) -> None:
    assert matches("QuestionnaireResponse", f"questionnaire={criterion}", questionnaire=stored) is expected


def test_every_alternative_is_tried() -> None:
    members = {"subject": {"reference": "Patient/B"}}
    assert matches("Observation", "patient=Patient/A,Patient/B", **members)
    assert not matches("Observation", "patient=Patient/A,Patient/C", **members)
