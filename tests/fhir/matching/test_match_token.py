"""Token criteria: R4 Search, 'token', with exact comparison of the system (edge case 116)."""

from typing import Any

import pytest

from tests.fhir.matching.criteria import matches

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LAB = {"coding": [{"system": CATEGORY, "code": "laboratory"}]}
TWO = {"coding": [{"system": "urn:local", "code": "chem"}, {"system": CATEGORY, "code": "laboratory"}]}
BARE = {"coding": [{"code": "laboratory"}]}


@pytest.mark.parametrize(
    ("criterion", "category", "expected"),
    [
        pytest.param(f"{CATEGORY}|laboratory", [LAB], True, id="system and code"),
        pytest.param(f"{CATEGORY}|laboratory", [TWO], True, id="any coding of a concept"),
        pytest.param(f"{CATEGORY}|laboratory", [{"coding": []}, LAB], True, id="any concept"),
        pytest.param(f"{CATEGORY}|Laboratory", [LAB], True, id="a code is compared without case"),
        pytest.param(f"{CATEGORY.upper()}|laboratory", [LAB], False, id="a system is compared with case"),
        pytest.param(f"{CATEGORY}/|laboratory", [LAB], False, id="a system is compared to the last slash"),
        pytest.param(f"{CATEGORY}|lab", [LAB], False, id="not a part of the code"),
        pytest.param(f"{CATEGORY}|chem", [TWO], False, id="system and code must be of one coding"),
        pytest.param(f"{CATEGORY}|laboratory", [BARE], False, id="a system asked for must be there"),
        pytest.param("laboratory", [LAB], True, id="a code alone is of any system"),
        pytest.param("laboratory", [BARE], True, id="a code alone is also of none"),
        pytest.param("|laboratory", [BARE], True, id="a bar first asks for no system"),
        pytest.param("|laboratory", [LAB], False, id="a bar first refuses a system"),
        pytest.param(f"{CATEGORY}|", [LAB], True, id="a system with a bar is of any code"),
        pytest.param("urn:other|", [TWO], False, id="another system with a bar"),
        pytest.param("survey,laboratory", [LAB], True, id="commas are or"),
        pytest.param(r"survey\,laboratory", [LAB], False, id="an escaped comma is part of the code"),
        pytest.param(r"a\,b", [{"coding": [{"code": "a,b"}]}], True, id="a code with a comma"),
        pytest.param(r"a\|b", [{"coding": [{"code": "a|b"}]}], True, id="a code with a bar"),
        pytest.param(r"a\$b", [{"coding": [{"code": "a$b"}]}], True, id="a code with a dollar"),
        pytest.param(r"a\\,laboratory", [LAB], True, id="an escaped backslash escapes no comma"),
        pytest.param(r"a\\", [{"coding": [{"code": "a\\"}]}], True, id="a code that ends with a backslash"),
        pytest.param("laboratory", None, False, id="nothing there"),
        pytest.param("laboratory", [{"text": "laboratory"}], False, id="text is no code"),
        pytest.param("laboratory", [{"coding": [{"display": "laboratory"}]}], False, id="a display is no code"),
        pytest.param("laboratory", [{"coding": {"code": "laboratory"}}], False, id="codings that are no list"),
        pytest.param("laboratory", [{"coding": [["laboratory"]]}], False, id="a coding that is no object"),
        pytest.param("laboratory", [{"coding": "laboratory"}], False, id="codings that are a string"),
        pytest.param("|laboratory", [{"coding": [{"system": "", "code": "laboratory"}]}], False, id="an empty system"),
        pytest.param("|7", [{"coding": [{"code": 7}]}], False, id="a code that is a number"),
    ],
)
def test_a_concept_matches_when(criterion: str, category: Any, expected: bool) -> None:
    members = {} if category is None else {"category": category}
    assert matches("Observation", f"category={criterion}", **members) is expected


@pytest.mark.parametrize(
    ("criterion", "identifier", "expected"),
    [
        pytest.param("urn:mrn|Ab1", {"system": "urn:mrn", "value": "Ab1"}, True, id="system and value"),
        pytest.param("urn:mrn|ab1", {"system": "urn:mrn", "value": "Ab1"}, False, id="a value is compared with case"),
        pytest.param("Ab1", {"system": "urn:mrn", "value": "Ab1"}, True, id="a value of any system"),
        pytest.param("|Ab1", {"value": "Ab1"}, True, id="a value of no system"),
        pytest.param("|Ab1", {"system": "urn:mrn", "value": "Ab1"}, False, id="a value that must have no system"),
        pytest.param("urn:mrn|", {"system": "urn:mrn", "value": "Ab1"}, True, id="any value of a system"),
        pytest.param("usual", {"use": "usual", "system": "urn:mrn", "value": "Ab1"}, False, id="not its use"),
        pytest.param("Ab1", {"system": "urn:mrn", "type": {"text": "Ab1"}}, False, id="not its type"),
        pytest.param("Ab1", {"system": "urn:mrn", "value": ["Ab1"]}, False, id="a value that is a list"),
    ],
)
def test_an_identifier_matches_when(criterion: str, identifier: Any, expected: bool) -> None:
    assert matches("Patient", f"identifier={criterion}", identifier=[identifier]) is expected


@pytest.mark.parametrize(
    ("criterion", "members", "expected"),
    [
        pytest.param("gender=female", {"gender": "female"}, True, id="a code"),
        pytest.param("gender=FEMALE", {"gender": "female"}, True, id="a code without case"),
        pytest.param(
            "gender=http://hl7.org/fhir/administrative-gender|female",
            {"gender": "female"},
            False,
            id="the system of a plain code is not known here",
        ),
        pytest.param("gender=|female", {"gender": "female"}, False, id="nor is a plain code without system"),
        pytest.param("active=true", {"active": True}, True, id="a flag"),
        pytest.param("active=false", {"active": True}, False, id="the other flag"),
        pytest.param("active=false", {}, False, id="a flag that is not there is not false"),
        pytest.param("active=true", {"active": "true"}, True, id="a flag written as a string reads the same"),
        pytest.param("active=true", {"active": 1}, False, id="a number is no flag"),
        pytest.param("_id=A", {"id": "A"}, True, id="an id"),
        pytest.param("_id=a", {"id": "A"}, False, id="an id is compared with case"),
        pytest.param("_id=A,B", {"id": "B"}, True, id="one of several ids"),
        pytest.param("_tag=urn:t|x", {"meta": {"tag": [{"system": "urn:t", "code": "x"}]}}, True, id="a tag"),
        pytest.param("_tag=urn:t|x", {"meta": {"security": [{"system": "urn:t", "code": "x"}]}}, False, id="no tag"),
        pytest.param("_security=urn:s|R", {"meta": {"security": [{"system": "urn:s", "code": "R"}]}}, True, id="label"),
        pytest.param("email=a@b.at", {"telecom": [{"system": "email", "value": "a@b.at"}]}, True, id="an address"),
        pytest.param("email=a@b.at", {"telecom": [{"system": "url", "value": "a@b.at"}]}, False, id="of another kind"),
        pytest.param("telecom=123", {"telecom": [{"system": "phone", "value": "123"}]}, True, id="a number"),
        pytest.param("address-use=home", {"address": [{"use": "home"}]}, True, id="a code inside"),
        pytest.param("deceased=true", {"deceasedDateTime": "2020"}, True, id="dead by a date"),
        pytest.param("deceased=false", {}, True, id="not said to be dead"),
        pytest.param("deceased=false", {"deceasedDateTime": {}}, False, id="death of an odd shape is no life"),
        pytest.param("deceased=false", {"deceasedBoolean": "false"}, False, id="a flag of an odd shape is no flag"),
    ],
)
def test_a_patient_matches_when(criterion: str, members: dict[str, Any], expected: bool) -> None:
    assert matches("Patient", criterion, **members) is expected
