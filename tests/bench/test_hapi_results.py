"""The result of the benchmark beside HAPI: medians, goals, the table, the JSON, and the requests of both sides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import wrk
from bench.hapi import PANELS, REQUESTS, panels
from bench.hapi_results import HapiRow, Measured, format_hapi_table, hapi_table, make_hapi_row, write_hapi_json


def side(p50: float, *, gateway: float = 0.0, foreign: float = 0.0) -> Measured:
    """One run in which HAPI used 10 ms of CPU for a request."""
    return Measured(p50, 2 * p50, 1000 / p50, 10.0, gateway, foreign)


def row(request: str = "read", connections: int = 1, *, through: Measured) -> HapiRow:
    """A row whose direct median is 2 ms."""
    return make_hapi_row(request, connections, [side(1.0), side(2.0), side(9.0)], [through])


def test_figures_are_the_medians_of_the_runs() -> None:
    made = make_hapi_row("read", 1, [side(2.0), side(90.0), side(2.2)], [side(2.4), side(2.5), side(80.0)])
    assert (made.direct.p50_ms, made.through.p50_ms, made.added_ms) == (2.2, 2.5, 0.3)


@pytest.mark.parametrize(("through", "met"), [(2.3, True), (2.31, False)])
def test_a_read_over_one_connection_may_take_three_tenths_of_a_millisecond_longer(through: float, met: bool) -> None:
    assert row(through=side(through)).met is met


@pytest.mark.parametrize(("gateway", "met"), [(0.2, True), (0.21, False)])
@pytest.mark.parametrize("connections", [1, 8])
def test_a_search_may_cost_two_percent_of_its_cpu(connections: int, gateway: float, met: bool) -> None:
    assert row("search", connections, through=side(50.0, gateway=gateway)).met is met


def test_a_read_over_many_connections_has_no_goal() -> None:
    made = row(connections=8, through=side(50.0))
    assert (made.goal, made.met) == (None, None)


def test_the_table_shows_both_sides_and_marks_a_disturbed_row() -> None:
    lines = format_hapi_table([row(through=side(2.5, gateway=0.1, foreign=1.2))]).splitlines()
    assert lines[2].split()[:3] == ["read*", "1", "direct"]
    assert lines[3].split()[0] == "gateway"
    assert lines[3].endswith("NO")
    assert lines[4].strip() == "added 0.50 ms, share 1.0%"
    assert lines[-1].startswith("* other processes")


def test_the_json_has_the_agreed_keys(tmp_path: Path) -> None:
    path = tmp_path / "results/hapi.json"
    write_hapi_json(path, [row(through=side(2.5))], {"cores": 2})
    content = json.loads(path.read_text())
    assert set(content) == {"machine", "rows"}
    keys = {"request", "connections", "direct", "through", "added_ms", "share", "goal", "met", "noisy"}
    assert set(content["rows"][0]) == keys


def test_the_documentation_has_a_line_for_each_request_and_number_of_connections() -> None:
    lines = [line for line in hapi_table().splitlines() if line.startswith(("| read", "| search"))]
    assert len(lines) == 4


def test_the_server_gets_more_panels_than_a_page_holds_and_the_one_that_is_read() -> None:
    paths = [entry["request"]["url"] for entry in panels()["entry"]]
    assert len(paths) == len(set(paths)) == PANELS > 20
    assert REQUESTS["read"].removeprefix("/fhir/") in paths


def test_the_latency_is_read_in_milliseconds() -> None:
    assert wrk.parse_latency("bench: ...\nlatency: p50=2310 p99=15020\n") == (2.31, 15.02)
    with pytest.raises(wrk.UnusableRun, match="no latency"):
        wrk.parse_latency("nothing")


def test_writes_are_sent_in_turn_with_their_bodies() -> None:
    script = wrk.make_write_script("PUT", [("/fhir/x/1", '{"id":"1"}'), ("/fhir/x/2", '{"id":"2"}')])
    assert '{"/fhir/x/1", [==[{"id":"1"}]==]},' in script
    assert 'wrk.format("PUT"' in script
    assert "@" not in script
