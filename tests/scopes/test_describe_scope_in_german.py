"""Sentences about scopes in German: they are put together from parts, and must still be German."""

import re

import pytest
from hypothesis import given

from gateway.languages.language import load_language
from gateway.scopes.describe_scope import describe_scope, describe_scopes
from gateway.scopes.format_scopes import format_scope
from gateway.scopes.labels import TYPE_LABELS
from gateway.scopes.model import ExtensionScope, Scope
from gateway.scopes.parse_scopes import parse_scope
from tests.languages.pseudo_language import PSEUDO, SIGN
from tests.scopes import strategies

GERMAN = load_language("de")
SENTENCES = {
    "patient/Observation.rs": "Messwerte und Befunde aus Ihrer Akte lesen und suchen.",
    "patient/Observation.rs?category=laboratory&date=ge2024-01-01": (
        "Laborwerte aus Ihrer Akte (ab 1. Januar 2024) lesen und suchen."
    ),
    "patient/Observation.r?category=laboratory,vital-signs&date=ge2024&date=lt2025-02": (
        "Laborwerte und Vitalwerte aus Ihrer Akte (ab 2024 und früher als Februar 2025) lesen."
    ),
    "patient/Observation.r?code=http://loinc.org|4548-4,http://snomed.info/sct|7&status=final": (
        "Messwerte und Befunde aus Ihrer Akte mit code = 4548-4 (LOINC) oder 7 (SNOMED CT) und mit status = final "
        "lesen."
    ),
    "patient/Condition.r?onset-date=2024-05,ne2023-02-01": (
        "Beschwerden und Diagnosen aus Ihrer Akte (begonnen im Mai 2024 oder nicht am 1. Februar 2023) lesen."
    ),
    "patient/Condition.r?recorded-date=gt2024-01-01T10:00:00Z": (
        "Beschwerden und Diagnosen aus Ihrer Akte (erfasst später als 1. Januar 2024 um 10:00:00 UTC) lesen."
    ),
    "patient/*.rs": "Alle Arten von Daten aus Ihrer Akte, auch künftig hinzukommende, lesen und suchen.",
    "patient/*.rs?_type=Observation,Condition": (
        "Messwerte und Befunde sowie Beschwerden und Diagnosen aus Ihrer Akte lesen und suchen."
    ),
    "user/*.cruds": (
        "Alle Arten von Daten, auch künftig hinzukommende, hinzufügen, lesen, ändern, löschen und suchen, soweit Sie "
        "selbst dazu berechtigt sind."
    ),
    "user/MedicationAdministration.r": "Verabreichte Medikamente lesen, soweit Sie selbst dazu berechtigt sind.",
    "launch/patient": "Wissen, dass die geöffnete Akte Ihre eigene ist.",
    "launch/encounter": "Wissen, was beim Start der App ausgewählt ist (Aufenthalt).",
    "offline_access": "Zugriff auch behalten, wenn Sie nicht angemeldet sind, bis Sie ihn beenden.",
}


@pytest.mark.parametrize(("text", "expected"), SENTENCES.items(), ids=SENTENCES)
def test_a_scope_as_a_german_sentence(text: str, expected: str) -> None:
    assert describe_scope(parse_scope(text), GERMAN, is_own_record=True) == expected


def test_several_scopes_as_one_german_sentence() -> None:
    scopes = tuple(parse_scope(f"patient/{name}.r") for name in TYPE_LABELS)
    assert describe_scopes(scopes, GERMAN) == (
        "Die in den 25 Zeilen unten beschriebenen Daten aus der Patientenakte lesen."
    )


@strategies.steady
@given(strategies.scopes)
def test_every_word_of_a_sentence_is_translated_or_of_the_scope(scope: Scope) -> None:
    """In a language of one sign, English is nowhere."""
    sentence = describe_scope(scope, PSEUDO, is_own_record=True)
    assert SIGN in sentence
    english = {"whose", "the", "records", "your", "is", "and", "or", "read", "which", "chosen"}
    assert english & set(sentence.lower().split()) <= set(re.findall(r"\w+", format_scope(scope).lower()))
    assert describe_scopes((ExtensionScope("__a"), ExtensionScope("__b")), PSEUDO).startswith(SIGN)
