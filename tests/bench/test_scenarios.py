"""The list of rows: their selection, their unique names, and what rows of a kind have in common."""

from __future__ import annotations

import pytest

from bench import bodies
from bench.__main__ import parse_arguments
from bench.ratios import Unit
from bench.scenarios import CALIBRATION, SCENARIOS, Load, Scenario, select_scenarios
from bench.tokens import make_scopes


def scenario_named(name: str) -> Scenario:
    """The only row with that name."""
    (scenario,) = select_scenarios([name], calibrate=False)
    return scenario


def test_a_row_is_chosen_by_its_name_or_by_name_and_peer() -> None:
    assert {scenario.peer_name for scenario in select_scenarios(["read-2kb"], calibrate=False)} == {
        "envoy",
        "hello",
        "nginx",
    }
    assert [scenario.peer_name for scenario in select_scenarios(["read-2kb:hello"], calibrate=False)] == ["hello"]
    assert select_scenarios([], calibrate=False) == list(SCENARIOS)
    assert select_scenarios([], calibrate=True) == list(CALIBRATION)


def test_no_two_rows_have_the_same_name_and_peer() -> None:
    keys = [(scenario.name, scenario.peer_name) for scenario in (*SCENARIOS, *CALIBRATION)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: f"{scenario.name}:{scenario.peer_name}")
def test_both_sides_of_a_row_are_counted_by_the_same_unit_under_as_many_connections(scenario: Scenario) -> None:
    assert scenario.load.unit is scenario.peer_load.unit
    if scenario.load.unit is Unit.RECORD:
        # Fewer cost more for each request.
        assert scenario.load.connections < scenario.peer_load.connections
    else:
        assert scenario.load.connections == scenario.peer_load.connections


@pytest.mark.parametrize("connections", [1, 64])
@pytest.mark.parametrize("name", ["read-2kb", "bundle-60kb"])
def test_reads_and_pages_are_measured_under_few_and_many_connections_too(name: str, connections: int) -> None:
    usual = select_scenarios([f"{name}:envoy"], calibrate=False)[0]
    other = scenario_named(f"{name}-at-{connections}")
    assert (other.ours, other.peer, other.load.path) == (usual.ours, usual.peer, usual.load.path)
    assert other.load.connections == connections
    assert other.goal is None


def test_a_request_counts_for_one_but_for_its_entries_where_the_row_counts_by_the_entry() -> None:
    assert Load(bodies.BUNDLE, 20).units == 1
    assert Load(bodies.BUNDLE, 20, unit=Unit.ENTRY).units == 20


@pytest.mark.parametrize("entries", [500, 5000])
def test_growth_with_entries_is_measured_by_the_entry_beside_a_page_of_twenty(entries: int) -> None:
    scenario = scenario_named(f"entries-{entries}")
    assert (scenario.load.units, scenario.peer_load.units) == (entries, 20)
    assert scenario.ours is scenario.peer


@pytest.mark.parametrize("name", ["update-2kb", "create-2kb"])
def test_a_write_is_counted_by_its_two_round_trips_beside_a_read_of_one(name: str) -> None:
    scenario = scenario_named(name)
    assert (scenario.load.units, scenario.peer_load.units) == (2, 1)
    assert scenario.load.scope == scenario.peer_load.scope
    assert scenario.ours is scenario.peer


@pytest.mark.parametrize("name", ["batch-50-reads", "transaction-50-creates"])
def test_a_bundle_of_requests_is_counted_by_its_records_beside_reads_one_by_one(name: str) -> None:
    scenario = scenario_named(name)
    assert (scenario.load.units, scenario.peer_load.units) == (bodies.BUNDLED, 1)
    assert scenario.load.scope == scenario.peer_load.scope
    assert scenario.ours is scenario.peer


def test_a_sealed_page_is_followed_from_the_first_and_its_peer_follows_nothing() -> None:
    scenario = scenario_named("page-of-20")
    assert (scenario.load.path, scenario.load.follow) == (bodies.FIRST_PAGE, "next")
    assert (scenario.peer_load.path, scenario.peer_load.follow) == (bodies.SECOND_PAGE, None)
    assert scenario.ours is scenario.peer


@pytest.mark.parametrize("count", [20, 200])
def test_the_scopes_of_a_row_are_distinct_and_allow_the_read(count: int) -> None:
    given = scenario_named(f"scopes-{count}").load.scope.split()
    assert len(set(given)) == len(given) == count
    assert "patient/Observation.rs" in given
    assert given == make_scopes(count).split()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "read-4kb"], "there is no row named read-4kb"),
        (["--only", "read-2kb:nobody"], "read-2kb has no such peer"),
        (["--profile", "memory-idle"], "memory-idle cannot be profiled"),
    ],
)
def test_a_row_that_cannot_be_measured_is_refused_before_any_server_starts(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", *arguments])
    with pytest.raises(SystemExit, match="2"):
        parse_arguments()
    assert message in capsys.readouterr().err
