"""The list of rows: how they are chosen, that each is told from the others, and what those of a kind share."""

from __future__ import annotations

import pytest

from bench import bodies
from bench.ratios import Unit
from bench.scenarios import CALIBRATION, SCENARIOS, Load, Scenario, chosen
from bench.tokens import scopes


def named(name: str) -> Scenario:
    """The only row of that name."""
    (one,) = chosen([name], calibrate=False)
    return one


def test_a_row_is_chosen_by_its_name_or_by_name_and_peer() -> None:
    assert {one.peer_name for one in chosen(["read-2kb"], calibrate=False)} == {"envoy", "hello", "nginx"}
    assert [one.peer_name for one in chosen(["read-2kb:hello"], calibrate=False)] == ["hello"]
    assert chosen([], calibrate=False) == list(SCENARIOS)
    assert chosen([], calibrate=True) == list(CALIBRATION)


def test_no_two_rows_have_the_same_name_and_peer() -> None:
    keys = [(one.name, one.peer_name) for one in (*SCENARIOS, *CALIBRATION)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("one", SCENARIOS, ids=lambda one: f"{one.name}:{one.peer_name}")
def test_both_sides_of_a_row_are_counted_by_the_same_unit_under_as_many_connections(one: Scenario) -> None:
    assert one.load.unit is one.peer_load.unit
    assert one.load.connections == one.peer_load.connections


@pytest.mark.parametrize("connections", [1, 64])
@pytest.mark.parametrize("name", ["read-2kb", "bundle-60kb"])
def test_reads_and_pages_are_measured_under_few_and_many_connections_too(name: str, connections: int) -> None:
    usual = chosen([f"{name}:envoy"], calibrate=False)[0]
    other = named(f"{name}-at-{connections}")
    assert (other.ours, other.peer, other.load.path) == (usual.ours, usual.peer, usual.load.path)
    assert other.load.connections == connections
    assert other.goal is None


def test_a_request_counts_for_one_but_for_its_entries_where_the_row_counts_by_the_entry() -> None:
    assert Load(bodies.BUNDLE, 20).units == 1
    assert Load(bodies.BUNDLE, 20, unit=Unit.ENTRY).units == 20


@pytest.mark.parametrize("entries", [500, 5000])
def test_growth_with_entries_is_measured_by_the_entry_beside_a_page_of_twenty(entries: int) -> None:
    one = named(f"entries-{entries}")
    assert (one.load.units, one.peer_load.units) == (entries, 20)
    assert one.ours is one.peer


def test_a_sealed_page_is_followed_from_the_first_and_its_peer_follows_nothing() -> None:
    one = named("page-of-20")
    assert (one.load.path, one.load.follow) == (bodies.FIRST_PAGE, "next")
    assert (one.peer_load.path, one.peer_load.follow) == (bodies.SECOND_PAGE, None)
    assert one.ours is one.peer


@pytest.mark.parametrize("count", [20, 200])
def test_the_scopes_of_a_row_are_distinct_and_allow_the_read(count: int) -> None:
    given = named(f"scopes-{count}").load.scope.split()
    assert len(set(given)) == len(given) == count
    assert "patient/Observation.rs" in given
    assert given == scopes(count).split()
