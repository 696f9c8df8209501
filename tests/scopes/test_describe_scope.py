"""The sentence for each scope on the consent page (SC-25, SC-30)."""

import unicodedata

import pytest
from hypothesis import given

from gateway.languages.language import ENGLISH
from gateway.scopes.describe_scope import describe_scope
from gateway.scopes.labels import TYPE_LABELS, phrase_for_type
from gateway.scopes.model import Scope
from gateway.scopes.parse_scopes import parse_scope
from gateway.scopes.resource_types import RESOURCE_TYPES
from tests.scopes import strategies

OBSERVATION = "http://terminology.hl7.org/CodeSystem/observation-category"
SENTENCES = {
    "patient/Observation.rs": "Read and search the patient's measurements and results.",
    "patient/Observation.read": "Read and search the patient's measurements and results.",
    "patient/Observation.rs?category=laboratory": "Read and search the patient's laboratory results.",
    f"patient/Observation.rs?category={OBSERVATION}|laboratory&date=ge2024-01-01": (
        "Read and search the patient's laboratory results, from 1 January 2024 on."
    ),
    f"patient/Observation.r?category={OBSERVATION}|laboratory,vital-signs&date=ge2024&date=lt2025-02": (
        "Read the patient's laboratory results and vital signs, from 2024 on and before February 2025."
    ),
    "patient/Observation.rs?category=http://other.example|laboratory": (
        "Read and search the patient's measurements and results whose category is laboratory (other.example)."
    ),
    "patient/Observation.rs?category=laboratory&category=vital-signs": (
        "Read and search the patient's measurements and results whose category is laboratory "
        "and whose category is vital-signs."
    ),
    "patient/Observation.rs?category:not=laboratory": (
        "Read and search the patient's measurements and results whose category is not laboratory."
    ),
    "patient/Observation.r?category=a,b&status=final": (
        "Read the patient's measurements and results whose category is a or b and whose status is final."
    ),
    "patient/Observation.r?code=http://loinc.org|4548-4,http://snomed.info/sct|7": (
        "Read the patient's measurements and results whose code is 4548-4 (LOINC) or 7 (SNOMED CT)."
    ),
    "patient/Observation.r?code=http://LOINC|1,urn:oid:1.2|": (
        "Read the patient's measurements and results whose code is 1 (http://LOINC) or any code of urn:oid:1.2."
    ),
    "patient/Observation.r?code=a%20b,c%5C,d,7(LOINC)": (
        'Read the patient\'s measurements and results whose code is "a b", "c,d" or "7(LOINC)".'
    ),
    "patient/Observation.r?date=ge2024-13": "Read the patient's measurements and results whose date is ge2024-13.",
    "patient/Condition.r?recorded-date=gt2024-01-01T10:00:00%2B01:00": (
        "Read the patient's problems and diagnoses, recorded after 1 January 2024 at 10:00:00 (UTC+01:00)."
    ),
    "patient/Condition.r?onset-date=2024-05,ne2023-02-01": (
        "Read the patient's problems and diagnoses, begun in May 2024 or not on 1 February 2023."
    ),
    "patient/Condition.r?abatement-date:missing=true": (
        "Read the patient's problems and diagnoses whose abatement date is missing."
    ),
    "patient/Condition.r?_text:exact=a": "Read the patient's problems and diagnoses whose text:exact is a.",
    "patient/MolecularSequence.r": "Read the patient's genetic sequences.",
    "patient/*.rs": "Read and search all kinds of the patient's records, now and in future.",
    "patient/*.rs?_security=x": (
        "Read and search all kinds of the patient's records whose security is x, now and in future."
    ),
    "patient/*.rs?_type=Observation,Condition": (
        "Read and search the patient's measurements and results and also problems and diagnoses."
    ),
    "user/*.cruds": (
        "Add, read, change, delete and search all kinds of records, now and in future, limited to what you are allowed."
    ),
    "user/ActivityDefinition.r": "Read ActivityDefinition records, limited to what you are allowed.",
    "system/Patient.r": (
        "Read name, address and other personal details, limited to what this app is allowed by itself."
    ),
    "launch": "Know what is open in the health record from which the app is started.",
    "launch/patient": "Know which patient is chosen when the app starts.",
    "launch/relatedperson?role=friend": (
        "Know which relative or friend is chosen when the app starts in the role friend."
    ),
    "openid": "Know who you are: the account with which you have signed in.",
    "fhirUser": "Know which record on this server is your own.",
    "offline_access": "Keep access while you are not signed in, until you end it.",
    "online_access": "Keep access for as long as you are signed in.",
    "__photo": "Use the permission that this server calls __photo.",
}
OWN = {
    "patient/Observation.rs": "Read and search your measurements and results.",
    "patient/*.rs": "Read and search all kinds of your records, now and in future.",
    "launch/patient": "Know that the record it opens is yours.",
}


@pytest.mark.requirement("SC-25")
@pytest.mark.parametrize(("text", "expected"), OWN.items(), ids=OWN)
def test_a_patient_reads_about_your_own_record(text: str, expected: str) -> None:
    assert describe_scope(parse_scope(text), is_own_record=True) == expected


def test_every_type_that_a_user_chooses_between_has_words_within_a_sentence() -> None:
    phrases = [phrase_for_type(resource_type, ENGLISH) for resource_type in TYPE_LABELS]
    assert all(phrase[0].islower() for phrase in phrases)
    assert len({*phrases, *(phrase_for_type(name, ENGLISH) for name in RESOURCE_TYPES)}) == len(RESOURCE_TYPES)


@pytest.mark.requirement("SC-25")
@pytest.mark.parametrize(("text", "expected"), SENTENCES.items(), ids=SENTENCES)
def test_a_scope_as_a_sentence(text: str, expected: str) -> None:
    assert describe_scope(parse_scope(text)) == expected


@pytest.mark.requirement("SC-25")
@strategies.steady
@given(strategies.scopes)
def test_every_scope_has_one_sentence_that_shows_all_its_characters(scope: Scope) -> None:
    sentence = describe_scope(scope)
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert not {"Cc", "Cf", "Zl", "Zp"} & set(map(unicodedata.category, sentence))
