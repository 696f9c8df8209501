"""Problems in the settings of record rules."""

from pathlib import Path

import pytest

from tests.settings.configuration import LEAST, in_file, load, problems

ADDED = {
    "who may see labels, and no labels": (
        "record_rules: {security_labels: {roles: [psychiatrist]}}",
        "8: record_rules.security_labels.labels: is required where roles, purposes_of_use, scopes or user_types are "
        "given",
    ),
    "who may change labels, and no labels": (
        "record_rules: {security_labels: {changing_scopes: [x]}}",
        "8: record_rules.security_labels.labels: is required where changing_roles or changing_scopes are given",
    ),
    "restricted records without the very restricted ones": (
        "record_rules: {security_labels: {labels: [R]}}",
        "8: record_rules.security_labels.labels: holds R without V, which is more confidential",
    ),
    "a type that is no user": (
        "record_rules: {security_labels: {labels: [R, V], user_types: [Device]}}",
        "8: record_rules.security_labels.user_types: holds Device, which no fhirUser is",
    ),
    "a time that would stop everything else": (
        "record_rules: {site_rule_seconds: 5}",
        "8: record_rules.site_rule_seconds: must be at most 1",
    ),
}


@pytest.mark.parametrize(("text", "problem"), ADDED.values(), ids=ADDED)
def test_an_addition_is_refused_with_its_line_and_a_sentence(tmp_path: Path, text: str, problem: str) -> None:
    assert [found.replace("1.0", "1") for found in problems(tmp_path, f"{LEAST}{text}\n")] == [in_file(problem)]


def test_without_labels_there_is_no_rule(tmp_path: Path) -> None:
    assert load(tmp_path, LEAST).rules().record_rules == ()
    text = "record_rules: {security_labels: {labels: [R, V]}}"
    assert len(load(tmp_path, f"{LEAST}{text}\n").rules().record_rules) == 1
