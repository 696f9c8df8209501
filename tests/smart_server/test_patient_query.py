"""What a person types to find a patient: names in any order, a birth date, a record number."""

import pytest

from gateway.smart_server.patients.patient_query import patient_queries

FIRST_TRIES = {
    "": [],
    " , ": [],
    "Ursula Late": [("name:contains", "Ursula"), ("name:contains", "Late")],
    "Late, Ursula": [("name:contains", "Late"), ("name:contains", "Ursula")],
    "1962-03-14": [("birthdate", "1962-03-14")],
    "14.3.1962": [("birthdate", "1962-03-14")],
    "Late 1962-3-14": [("name:contains", "Late"), ("birthdate", "1962-03-14")],
    "4417-0082": [("identifier", "4417-0082")],
    "1962-13-14": [("identifier", "1962-13-14")],
    "A|B$": [("name:contains", "A\\|B\\$")],
}


@pytest.mark.parametrize(("text", "expected"), FIRST_TRIES.items(), ids=repr)
def test_every_word_is_searched_by_what_it_is(text: str, expected: list[tuple[str, str]]) -> None:
    assert patient_queries(text)[0] == expected


def test_where_nobody_is_found_words_are_searched_as_beginnings_and_numbers_as_names() -> None:
    assert patient_queries("Late 2nd") == (
        [("name:contains", "Late"), ("identifier", "2nd")],
        [("name", "Late"), ("identifier", "2nd")],
        [("name", "Late"), ("name", "2nd")],
    )
    assert len(patient_queries("Late")) == 2
    assert len(patient_queries("")) == 1


def test_few_words_are_searched_however_many_are_typed() -> None:
    assert all(len(pairs) <= 8 for pairs in patient_queries("a " * 500))
