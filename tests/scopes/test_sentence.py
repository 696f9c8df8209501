"""Every scope can be said to a person in one plain sentence (checklist SC-25, SC-30)."""

import unicodedata

import pytest
from hypothesis import given

from gateway.scopes.model import Scope
from gateway.scopes.parse import parse_scope
from gateway.scopes.sentence import sentence
from tests.scopes import strategies

SENTENCES = {
    "patient/Observation.rs": "Read and search the patient's Observation records.",
    "patient/Observation.read": "Read and search the patient's Observation records.",
    "patient/Observation.rs?category=laboratory": (
        "Read and search the patient's Observation records whose category is laboratory."
    ),
    "patient/Observation.r?category=a,b&status=final": (
        "Read the patient's Observation records whose category is a or b and whose status is final."
    ),
    "patient/Observation.r?code=a%20b,c%5C,d": 'Read the patient\'s Observation records whose code is "a b" or c,d.',
    "patient/Observation.r?code:not=a": "Read the patient's Observation records whose code:not is a.",
    "patient/*.rs": "Read and search all kinds of the patient's records, now and in future.",
    "patient/*.rs?_security=x": (
        "Read and search all kinds of the patient's records whose security is x, now and in future."
    ),
    "patient/*.rs?_type=Observation,Condition": ("Read and search the patient's Observation and Condition records."),
    "user/*.cruds": (
        "Add, read, change, delete and search all kinds of records, now and in future, "
        "as far as the signed-in user may."
    ),
    "system/Patient.r": "Read Patient records, as far as this client may.",
    "launch": "Know what is open in the health record from which the app is started.",
    "launch/patient": "Know which patient is chosen when the app starts.",
    "launch/relatedperson?role=friend": "Know which relatedperson is chosen when the app starts in the role friend.",
    "openid": "Know who has signed in.",
    "fhirUser": "Know which record on this server is the signed-in user's own.",
    "offline_access": "Keep access while nobody is signed in, until it is revoked.",
    "online_access": "Keep access for as long as the user is signed in.",
    "__photo": "Use what this server calls __photo.",
}


@pytest.mark.requirement("SC-25")
@pytest.mark.parametrize(("text", "expected"), SENTENCES.items(), ids=SENTENCES)
def test_a_scope_as_a_sentence(text: str, expected: str) -> None:
    assert sentence(parse_scope(text)) == expected


@pytest.mark.requirement("SC-25")
@strategies.steady
@given(strategies.scopes)
def test_every_scope_has_one_sentence_that_shows_all_its_characters(scope: Scope) -> None:
    said = sentence(scope)
    assert said[0].isupper()
    assert said.endswith(".")
    assert not {"Cc", "Cf", "Zl", "Zp"} & set(map(unicodedata.category, said))
