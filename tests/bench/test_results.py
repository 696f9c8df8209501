"""The table, the JSON, the folded stacks, the bodies and the list of rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import bodies
from bench.profile import parse_folded
from bench.ratios import MemoryRow, Row
from bench.results import document, table, write
from bench.scenarios import CALIBRATION, SCENARIOS, chosen
from bench.tokens import many_scopes

_ROW = Row("read-2kb", "envoy", 1.2, 1.1, 1.3, 50.0, 60.0, 5, 1, False, 20000, 16000, ">= 1.1", True)
_MISSED = Row("bundle-60kb", "envoy", 0.5, 0.4, 0.6, 120.0, 60.0, 5, 5, True, 8000, 16000, ">= 0.55", False)
_MEMORY = MemoryRow("memory-idle", 61.2, "<= 70 MB", True)


def test_the_table_shows_what_was_met_what_was_missed_and_what_was_disturbed() -> None:
    lines = table([_ROW, _MISSED], [_MEMORY]).splitlines()
    assert lines[0].split()[:3] == ["name", "peer", "ratio"]
    assert lines[2].endswith("yes")
    assert lines[3].startswith("bundle-60kb*")
    assert lines[3].endswith("NO")
    assert lines[-1].startswith("* too few undisturbed rounds")


def test_the_json_has_rows_with_the_agreed_keys(tmp_path: Path) -> None:
    path = tmp_path / "results/latest.json"
    write(path, document([_ROW], [_MEMORY], {"cores": 2}))
    content = json.loads(path.read_text())
    assert set(content) == {"machine", "rows", "memory"}
    assert {"name", "peer", "ratio", "min", "max", "ours_us", "peer_us", "rounds"} <= set(content["rows"][0])
    assert content["memory"] == [{"name": "memory-idle", "mb": 61.2, "goal": "<= 70 MB", "met": True}]


def test_folded_stacks_tell_own_time_from_time_in_calls() -> None:
    hot = {
        one.function: one for one in parse_folded("main;serve;parse 30\nmain;serve 10\nmain;parse;parse 60\n\nodd\n")
    }
    assert hot["parse"].alone == pytest.approx(0.9)
    assert hot["serve"].alone == pytest.approx(0.1)
    assert hot["serve"].with_calls == pytest.approx(0.4)
    assert hot["main"].with_calls == pytest.approx(1.0)
    assert parse_folded("") == []


def test_the_bodies_have_the_sizes_that_the_rows_are_named_after(tmp_path: Path) -> None:
    site = bodies.write_site(tmp_path)
    assert 1_800 < site.read.stat().st_size < 2_200
    assert 55_000 < site.bundle("all").stat().st_size < 65_000
    assert 1_900_000 < site.bundle("large").stat().st_size < 2_200_000


def test_half_of_the_mixed_page_is_another_patients(tmp_path: Path) -> None:
    page = json.loads(bodies.write_site(tmp_path).bundle("half").read_text())
    subjects = [entry["resource"]["subject"]["reference"] for entry in page["entry"]]
    assert subjects.count("Patient/a") == subjects.count("Patient/b") == bodies.PAGE // 2


def test_there_are_two_hundred_distinct_scopes() -> None:
    scopes = many_scopes().split()
    assert len(set(scopes)) == len(scopes) == 200
    assert "patient/Observation.rs" in scopes


def test_a_row_is_chosen_by_its_name_or_by_name_and_peer() -> None:
    assert {one.peer_name for one in chosen(["read-2kb"], calibrate=False)} == {"envoy", "hello", "nginx"}
    assert [one.peer_name for one in chosen(["read-2kb:hello"], calibrate=False)] == ["hello"]
    assert chosen([], calibrate=False) == list(SCENARIOS)
    assert chosen([], calibrate=True) == list(CALIBRATION)


def test_no_two_rows_have_the_same_name_and_peer() -> None:
    keys = [(one.name, one.peer_name) for one in (*SCENARIOS, *CALIBRATION)]
    assert len(set(keys)) == len(keys)
