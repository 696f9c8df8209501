"""Ratios, medians, goals and the choice of rounds."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ratios import (
    Goal,
    Round,
    Row,
    Run,
    Unit,
    at_least,
    costs_at_most,
    make_memory_row,
    make_row,
    per_second,
    select_rounds,
)


def make_run(microseconds: float, foreign: float = 0.0, requests: int = 1000) -> Run:
    return Run(requests, microseconds * requests / 1e6, 2.0, foreign)


def make_round(ours: float, peer: float, foreign: float = 0.0) -> Round:
    return Round((make_run(ours), make_run(ours)), (make_run(peer), make_run(peer, foreign)))


def test_a_ratio_above_one_says_that_we_need_less_cpu_for_a_request() -> None:
    assert make_round(ours=50, peer=100).ratio == pytest.approx(2)


def test_the_two_runs_of_a_side_are_weighed_by_their_requests() -> None:
    unequal = Round((make_run(10, requests=3000), make_run(50, requests=1000)), (make_run(20), make_run(20)))
    assert unequal.ours_us == pytest.approx(20)
    assert unequal.ratio == pytest.approx(1)


def test_a_row_by_the_entry_divides_each_side_by_the_entries_of_its_own_page() -> None:
    large, small = Run(10, 0.040, 2.0, 0.0, units=500), Run(100, 0.020, 2.0, 0.0, units=20)
    made = make_row("entries-500", "entries-20", [Round((large, large), (small, small))], 1, 1.0, None, Unit.ENTRY)
    assert (made.ours_us, made.peer_us, made.ratio, made.unit) == (8.0, 10.0, 1.25, "entry")
    assert (made.ours_rps, made.peer_rps) == (5, 50)


@given(st.floats(1, 1e4), st.floats(1, 1e4), st.floats(0.001, 1))
def test_a_steady_drift_over_the_four_runs_does_not_move_the_ratio(ours: float, peer: float, drift: float) -> None:
    factors = [1 + drift * at for at in range(4)]
    drifted = Round(
        (make_run(ours * factors[0]), make_run(ours * factors[3])),
        (make_run(peer * factors[1]), make_run(peer * factors[2])),
    )
    assert drifted.ratio == pytest.approx(peer / ours)


@given(st.floats(1, 1e4), st.floats(1, 1e4))
def test_swapping_the_sides_inverts_the_ratio(ours: float, peer: float) -> None:
    assert make_round(ours, peer).ratio * make_round(peer, ours).ratio == pytest.approx(1)


def test_the_most_disturbed_of_the_four_runs_tells_how_disturbed_the_round_is() -> None:
    assert make_round(1, 1, foreign=0.4).foreign_cores == 0.4


def test_disturbed_rounds_are_discarded_when_enough_others_are_there() -> None:
    rounds = [make_round(1, 1), make_round(1, 9, foreign=0.5), make_round(1, 1)]
    kept, noisy = select_rounds(rounds, wanted=2, quiet=0.15)
    assert kept == [rounds[0], rounds[2]]
    assert not noisy


def test_too_few_quiet_rounds_are_filled_with_the_least_disturbed_and_the_row_says_so() -> None:
    rounds = [make_round(1, 1, 0.9), make_round(1, 1), make_round(1, 1, 0.2), make_round(1, 1, 0.5)]
    kept, noisy = select_rounds(rounds, wanted=3, quiet=0.15)
    assert kept == [rounds[1], rounds[2], rounds[3]]
    assert noisy


def test_a_row_holds_the_median_and_the_range_of_the_rounds_it_kept() -> None:
    rounds = [make_round(50, 100), make_round(50, 60), make_round(50, 55), make_round(50, 500, foreign=1.0)]
    made = make_row("read", "envoy", rounds, wanted=3, quiet=0.15, goal=at_least(1.1))
    assert (made.ratio, made.min, made.max) == (1.2, 1.1, 2.0)
    assert (made.ours_us, made.peer_us, made.rounds, made.discarded) == (50, 60, 3, 1)
    assert made.goal == ">= 1.1"
    assert made.met is True


@pytest.mark.parametrize(
    ("goal", "ours", "peer", "met"),
    [
        pytest.param(at_least(0.55), 100, 56, True, id="0.56 is at least 0.55"),
        pytest.param(at_least(0.55), 100, 54, False, id="0.54 is not at least 0.55"),
        pytest.param(costs_at_most(1.1), 109, 100, True, id="1.09 times the cost is at most 1.1"),
        pytest.param(costs_at_most(1.1), 112, 100, False, id="1.12 times the cost is more than 1.1"),
        pytest.param(None, 100, 1, None, id="a row without a goal is neither met nor missed"),
    ],
)
def test_a_goal_is_met_or_not(goal: Goal | None, ours: float, peer: float, met: bool | None) -> None:
    assert make_row("name", "peer", [make_round(ours, peer)], wanted=1, quiet=1.0, goal=goal).met is met


def test_requests_per_second_come_from_wall_time() -> None:
    assert per_second([make_run(1, requests=100), make_run(1, requests=300)]) == 100


def test_the_row_has_the_fields_that_the_issue_names() -> None:
    named = {"name", "peer", "ratio", "min", "max", "ours_us", "peer_us", "rounds"}
    assert named <= {field.name for field in fields(Row)}


def test_memory_is_counted_in_millions_of_bytes() -> None:
    assert make_memory_row("idle", 69_960_000, 70).mb == 70.0
    assert make_memory_row("idle", 69_960_000, 70).met
    assert not make_memory_row("idle", 70_000_001, 70).met
