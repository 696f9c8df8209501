"""Shadow mode of whom, until when: what makes no sense is a problem, and what is in force is told."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.commands.serving.start_rules import START_RULES
from gateway.settings.enforcement.shadow import MAX_DAYS, find_distant_ends, find_open_entries
from gateway.settings.loading.load import SettingsError, load_settings
from gateway.settings.model import Settings
from gateway.settings.warnings import find_warnings
from tests.settings.configuration import LEAST, in_file, load, problems

ISSUER, UNTIL = "https://login.example.org", "2027-01-31T18:00:00Z"
NOW = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
DAY = 86400.0
SERVER = "smart_server: {}\n"
PROBLEMS = {
    "without an end": (f"shadow: [{{issuer: '{ISSUER}', client_id: a}}]", "8: shadow[0].until: is required"),
    "of no issuer": (f"shadow: [{{client_id: a, until: '{UNTIL}'}}]", "8: shadow[0].issuer: is required"),
    "of an issuer that is not configured": (
        f"shadow: [{{issuer: 'https://b', client_id: a, until: '{UNTIL}'}}]",
        "8: shadow[0].issuer: is none of issuers, and not the issuer of smart_server",
    ),
    "of an issuer that differs in a slash": (
        f"shadow: [{{issuer: '{ISSUER}/', client_id: a, until: '{UNTIL}'}}]",
        "8: shadow[0].issuer: is none of issuers",
    ),
    "of all apps that may register here": (
        f"{SERVER}shadow: [{{issuer: 'https://fhir.example.org/auth', until: '{UNTIL}'}}]",
        "9: shadow[0].client_id: is required with the issuer of smart_server, where apps may register",
    ),
    "of the same client twice": (
        f"shadow: [{{issuer: '{ISSUER}', client_id: a, until: '{UNTIL}'}}, "
        f"{{issuer: '{ISSUER}', client_id: a, until: '{UNTIL}', writes: true}}]",
        "8: shadow[1]: is about the same clients as shadow[0]",
    ),
    "until a day": (
        f"shadow: [{{issuer: '{ISSUER}', client_id: a, until: 2027-01-31}}]",
        "8: shadow[0].until: must be a date and a time with its zone, such as 2027-01-31T18:00:00Z",
    ),
    "until a time without a zone": (
        f"shadow: [{{issuer: '{ISSUER}', client_id: a, until: 2027-01-31T18:00:00}}]",
        "8: shadow[0].until: must be a date and a time with its zone",
    ),
    "until a day that is none": (
        f"shadow: [{{issuer: '{ISSUER}', client_id: a, until: 2027-02-30T18:00:00Z}}]",
        "8: shadow[0].until: must be a date and a time with its zone",
    ),
    "of an empty client": (
        f"shadow: [{{issuer: '{ISSUER}', client_id: '', until: '{UNTIL}'}}]",
        "8: shadow[0].client_id: must not be empty",
    ),
    "with writes as a word": (
        f"shadow: [{{issuer: '{ISSUER}', client_id: a, until: '{UNTIL}', writes: 'yes'}}]",
        "8: shadow[0].writes: must be true or false",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (found,) = problems(tmp_path, f"{LEAST}{text}\n")
    assert found.startswith(in_file(sentence)), found


def _settings(folder: Path, until: str, more: str = "") -> Settings:
    return load(folder, f"{LEAST}shadow: [{{issuer: '{ISSUER}', client_id: a, until: '{until}'{more}}}]\n")


def test_nobody_is_in_shadow_mode_unless_named(tmp_path: Path) -> None:
    assert load(tmp_path, LEAST).shadow == ()


def test_a_client_of_the_smart_server_may_be_named(tmp_path: Path) -> None:
    text = f"{SERVER}shadow: [{{issuer: 'https://fhir.example.org/auth', client_id: a, until: '{UNTIL}'}}]"
    assert problems(tmp_path, f"{LEAST}{text}\n") == []


def test_an_entry_leaves_writes_operations_and_record_rules_alone(tmp_path: Path) -> None:
    (entry,) = _settings(tmp_path, UNTIL).shadow
    opening = entry.opening()
    assert (opening.writes, opening.operations, opening.record_rules) == (False, False, False)


@pytest.mark.parametrize("until", ["2027-01-31T18:00:00Z", "2027-01-31T19:00+01:00", "2027-01-31T13:00:00-05:00"])
def test_an_end_is_a_moment_in_any_zone(tmp_path: Path, until: str) -> None:
    (entry,) = _settings(tmp_path, until).shadow
    assert entry.ends_at == datetime(2027, 1, 31, 18, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(("days", "is_accepted"), [(-1, True), (0, True), (MAX_DAYS, True), (MAX_DAYS + 0.001, False)])
def test_an_end_is_at_most_ninety_days_ahead(tmp_path: Path, days: float, *, is_accepted: bool) -> None:
    settings = _settings(tmp_path, UNTIL)
    found = [conflict.path for conflict in find_distant_ends(settings, settings.shadow[0].ends_at - days * DAY)]
    assert found == ([] if is_accepted else [("shadow", 0, "until")])


def test_the_start_and_a_reload_refuse_an_end_too_far_ahead(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    distant = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + (MAX_DAYS + 1) * DAY))
    path.write_text(f"{LEAST}shadow: [{{issuer: '{ISSUER}', client_id: a, until: '{distant}'}}]\n")
    with pytest.raises(SettingsError) as refused:
        load_settings(path, {}, START_RULES)
    assert [problem.setting for problem in refused.value.problems] == ["shadow[0].until"]


def test_what_is_in_force_is_told(tmp_path: Path) -> None:
    settings = _settings(tmp_path, UNTIL, ", writes: true, record_rules: true")
    (told,) = find_open_entries(settings, NOW)
    assert told.path == ("shadow", 0)
    assert told.sentence == (
        "lets the client a of https://login.example.org read every record of the FHIR server until 2027-01-31 18:00 "
        "UTC, whatever the scopes of the token, and writes and record_rules as well"
    )
    assert "shadow" in {warning.path[0] for warning in find_warnings(settings)}


def test_what_is_over_is_told(tmp_path: Path) -> None:
    settings = _settings(tmp_path, UNTIL)
    (told,) = find_open_entries(settings, settings.shadow[0].ends_at)
    assert told.path == ("shadow", 0, "until")
    assert told.sentence == "is over: the client a of https://login.example.org is held to every decision"
