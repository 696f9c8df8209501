"""The table, the JSON, the folded stacks and the bodies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import bodies
from bench.profile import parse_folded
from bench.ratios import MemoryRow, Row
from bench.results import format_table, to_document, write_json
from bench.site import write_site
from gateway.fhir.resources.page_target import ServerAddresses
from gateway.settings.serving.upstream import Upstream

_ROW = Row("read-2kb", "envoy", 1.2, 1.1, 1.3, 50.0, 60.0, 5, 1, False, 20000, 16000, ">= 1.1", True, "request")
_MISSED = Row("bundle-60kb", "envoy", 0.5, 0.4, 0.6, 120.0, 60.0, 5, 5, True, 8000, 16000, ">= 0.55", False, "request")
_BY_ENTRY = Row("entries-500", "entries-20", 1.1, 1.0, 1.2, 8.53, 9.41, 5, 0, False, 230, 5300, None, None, "entry")
_MEMORY = MemoryRow("memory-idle", 61.2, "<= 70 MB", True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> bodies.Site:
    """The site of the upstream, written once."""
    return write_site(tmp_path_factory.mktemp("site"), "http://upstream.invalid/fhir")


def test_the_table_shows_what_was_met_what_was_missed_and_what_was_disturbed() -> None:
    lines = format_table([_ROW, _MISSED], [_MEMORY]).splitlines()
    assert lines[0].split()[:3] == ["name", "peer", "ratio"]
    assert lines[2].endswith("yes")
    assert lines[3].startswith("bundle-60kb*")
    assert lines[3].endswith("NO")
    assert lines[-1].startswith("* too few undisturbed rounds")


def test_a_row_counted_by_the_entry_says_so_and_shows_tenths_of_its_few_microseconds() -> None:
    assert format_table([_BY_ENTRY], []).splitlines()[2].split()[5:8] == ["8.5", "9.4", "entry"]


def test_the_json_has_rows_with_the_agreed_keys(tmp_path: Path) -> None:
    path = tmp_path / "results/latest.json"
    write_json(path, to_document([_ROW], [_MEMORY], {"cores": 2}))
    content = json.loads(path.read_text())
    assert set(content) == {"machine", "rows", "memory"}
    assert {"name", "peer", "ratio", "min", "max", "ours_us", "peer_us", "rounds", "unit"} <= set(content["rows"][0])
    assert content["memory"] == [{"name": "memory-idle", "mb": 61.2, "goal": "<= 70 MB", "met": True}]


def test_folded_stacks_tell_own_time_from_time_in_calls() -> None:
    shares = {
        share.function: share
        for share in parse_folded("main;serve;parse 30\nmain;serve 10\nmain;parse;parse 60\n\nodd\n")
    }
    assert shares["parse"].own_share == pytest.approx(0.9)
    assert shares["serve"].own_share == pytest.approx(0.1)
    assert shares["serve"].total_share == pytest.approx(0.4)
    assert shares["main"].total_share == pytest.approx(1.0)
    assert parse_folded("") == []


def test_the_bodies_have_the_sizes_that_the_rows_are_named_after(site: bodies.Site) -> None:
    assert 1_800 < site.read.stat().st_size < 2_200
    assert 55_000 < site.bundle("all").stat().st_size < 65_000
    assert 1_900_000 < site.bundle("large").stat().st_size < 2_200_000


def test_entries_are_as_large_on_a_large_page_as_on_a_small_one(site: bodies.Site) -> None:
    small = site.bundle("all").stat().st_size / bodies.PAGE
    for count in (500, 5000):
        assert site.bundle(f"entries-{count}").stat().st_size / count == pytest.approx(small, rel=0.02)


def test_the_largest_page_is_one_that_the_gateway_reads_to_verify_it(site: bodies.Site) -> None:
    limit = Upstream.model_fields["max_verified_body_bytes"].default
    assert site.bundle("entries-5000").stat().st_size < limit


def test_the_first_page_leads_to_the_second_in_a_way_that_the_gateway_seals(site: bodies.Site) -> None:
    first, second = (json.loads(site.bundle(name).read_text()) for name in ("first", "second"))
    for page, relations in ((first, {"self", "next"}), (second, {"self", "next", "previous"})):
        links = {link["relation"]: link["url"] for link in page["link"]}
        assert links.keys() == relations
        addresses = ServerAddresses(bodies.capability_statement()["implementation"]["url"])
        assert addresses.resolve(links["next"], "/Observation").startswith("?_getpages=")
    assert len(second["entry"]) == bodies.PAGE


def test_half_of_the_mixed_page_is_another_patients(site: bodies.Site) -> None:
    page = json.loads(site.bundle("half").read_text())
    subjects = [entry["resource"]["subject"]["reference"] for entry in page["entry"]]
    assert subjects.count("Patient/a") == subjects.count("Patient/b") == bodies.PAGE // 2
