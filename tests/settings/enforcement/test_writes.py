"""The settings of writes, and what is wrong in them."""

from pathlib import Path

import pytest

from gateway.policy.permission.rules import WriteRules
from tests.settings.configuration import LEAST, in_file, load, problems

# Added to the least configuration, whose lines are 1 to 7: the text, and the only problem.
ADDED = {
    "a type that R4 does not have": (
        "writes: {never: [Consents]}",
        "8: writes.never[0]: is neither a resource type of R4 nor a resource, such as Patient/123",
    ),
    "a resource without an id": (
        "writes: {never: [Patient/]}",
        "8: writes.never[0]: is neither a resource type of R4 nor a resource, such as Patient/123",
    ),
}


@pytest.mark.parametrize(("text", "problem"), ADDED.values(), ids=ADDED)
def test_an_addition_is_refused_with_its_line_and_a_sentence(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(tmp_path, f"{LEAST}{text}\n") == [in_file(problem)]


def test_writes_become_rules(tmp_path: Path) -> None:
    text = "writes: {accept_races: true, check_references: false, never: [Consent, Patient/123]}\n"
    rules = load(tmp_path, LEAST + text).rules().writes
    assert rules == WriteRules(accept_races=True, check_references=False, never=frozenset({"Consent", "Patient/123"}))
    assert "Consent" not in rules.writable_types
    assert {"Patient", "Binary"} <= rules.writable_types


def test_nothing_is_writable_where_writes_are_off(tmp_path: Path) -> None:
    assert load(tmp_path, LEAST + "writes: {allow: false}\n").rules().writes.writable_types == frozenset()
