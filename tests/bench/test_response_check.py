"""Which responses are accepted, and the targets of their links."""

from __future__ import annotations

from typing import Any

import pytest

from bench.bodies import BUNDLED, PATIENT, observation, page_link, searchset
from bench.response_check import WrongResponse, check_answers, check_resource, link_target
from bench.written_bodies import transaction_response


def test_a_page_of_the_patients_own_entries_is_right() -> None:
    check_resource(searchset([PATIENT] * 3), 3)


def test_an_observation_is_right_where_no_entries_are_expected() -> None:
    check_resource(observation("obs-1", PATIENT, 1), None)


@pytest.mark.parametrize(
    ("resource", "entries", "message"),
    [
        pytest.param(searchset([PATIENT] * 2), 3, "2 matches instead of 3", id="an entry is missing"),
        pytest.param(searchset([PATIENT, "b"]), 2, "1 entries of another patient", id="another patient's entry"),
        pytest.param({"resourceType": "OperationOutcome"}, None, "OperationOutcome", id="no Observation"),
        pytest.param({"resourceType": "Bundle"}, 1, "0 matches", id="an empty Bundle"),
    ],
)
def test_any_other_answer_is_wrong(resource: dict[str, Any], entries: int | None, message: str) -> None:
    with pytest.raises(WrongResponse, match=message):
        check_resource(resource, entries)


def test_a_bundle_of_answers_is_right() -> None:
    check_answers(transaction_response(), BUNDLED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"entry": []}, "0 answers", id="no answers"),
        pytest.param({"entry": [{"response": {"status": "404 Not Found"}}] * BUNDLED}, "404", id="a refusal"),
    ],
)
def test_any_other_bundle_of_answers_is_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongResponse, match=message):
        check_answers(transaction_response() | change, BUNDLED)


def test_a_link_gives_path_and_query_without_the_host_that_the_server_calls_itself() -> None:
    links = {"next": "https://gateway.invalid/fhir/?_page=c2VhbGVk", "previous": page_link(0)}
    page = searchset([PATIENT], links)
    assert link_target(page, "next") == "/fhir/?_page=c2VhbGVk"
    assert link_target(page, "previous").startswith("/fhir?_getpages=")


def test_a_page_without_the_link_cannot_be_followed() -> None:
    with pytest.raises(WrongResponse, match="no link to its next page"):
        link_target(searchset([PATIENT]), "next")
