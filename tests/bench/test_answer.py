"""What is taken for a right answer, and which address a link of it gives."""

from __future__ import annotations

from typing import Any

import pytest

from bench.answer import WrongAnswer, linked, look
from bench.bodies import PATIENT, observation, page_link, searchset


def test_a_page_of_the_patients_own_entries_is_right() -> None:
    look(searchset([PATIENT] * 3), 3)


def test_an_observation_is_right_where_no_entries_are_expected() -> None:
    look(observation("obs-1", PATIENT, 1), None)


@pytest.mark.parametrize(
    ("answer", "entries", "said"),
    [
        pytest.param(searchset([PATIENT] * 2), 3, "2 matches instead of 3", id="an entry is missing"),
        pytest.param(searchset([PATIENT, "b"]), 2, "1 entries of another patient", id="another patient's entry"),
        pytest.param({"resourceType": "OperationOutcome"}, None, "OperationOutcome", id="no Observation"),
        pytest.param({"resourceType": "Bundle"}, 1, "0 matches", id="an empty Bundle"),
    ],
)
def test_any_other_answer_is_wrong(answer: dict[str, Any], entries: int | None, said: str) -> None:
    with pytest.raises(WrongAnswer, match=said):
        look(answer, entries)


def test_a_link_gives_path_and_query_without_the_host_that_the_server_calls_itself() -> None:
    links = {"next": "https://gateway.invalid/fhir/?_page=c2VhbGVk", "previous": page_link(0)}
    page = searchset([PATIENT], links)
    assert linked(page, "next") == "/fhir/?_page=c2VhbGVk"
    assert linked(page, "previous").startswith("/fhir?_getpages=")


def test_a_page_without_the_link_cannot_be_followed() -> None:
    with pytest.raises(WrongAnswer, match="no link to its next page"):
        linked(searchset([PATIENT]), "next")
