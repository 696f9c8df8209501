"""Purposes of use that no page could show, or that no rule asks for."""

from pathlib import Path

import pytest

from tests.settings.configuration import LEAST, in_file, problems

KNOWN = "http://terminology.hl7.org/CodeSystem/v3-ActReason|ETREAT"
RULE = "record_rules: {security_labels: {labels: [R, V], purposes_of_use: [teaching]}}\n"
PROBLEMS = {
    "a code without words": (
        RULE + "smart_server: {purposes_of_use: [{code: teaching}]}",
        "9: smart_server.purposes_of_use[0].name: is required: the pages have no words for this code",
    ),
    "a purpose that no rule asks for": (
        RULE + f"smart_server: {{purposes_of_use: [{{code: '{KNOWN}'}}]}}",
        "9: smart_server.purposes_of_use[0].code: is a purpose that no rule asks for",
    ),
    "a purpose twice": (
        RULE + "smart_server: {purposes_of_use: [{code: teaching, name: A}, {code: teaching, name: B}]}",
        "9: smart_server.purposes_of_use[1].code: is the same as purposes_of_use[0].code",
    ),
    "nobody who may name it": (
        RULE + "smart_server: {purposes_of_use: [{code: teaching, name: A, user_types: []}]}",
        "9: smart_server.purposes_of_use[0].user_types: ",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_purpose_that_makes_no_sense_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (found,) = problems(tmp_path, f"{LEAST}{text}\n")
    assert found.startswith(in_file(sentence)), found


def test_a_purpose_that_a_rule_asks_for_is_accepted(tmp_path: Path) -> None:
    text = RULE + "smart_server: {purposes_of_use: [{code: teaching, name: Teaching}]}\n"
    assert problems(tmp_path, LEAST + text) == []
