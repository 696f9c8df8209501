"""The last decisions in shared memory: what is found, what has made room, and what is never torn."""

import os

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.decisions.recent_decisions import RecentDecisions, SharedDecisions

SIZE = 2000


def line(number: int, *, client: str = "app", rest: str = "") -> bytes:
    fields = {"time": f"2026-11-30T00:00:{number:09d}Z", "decision_id": f"d-{number}", "client_id": client, "x": rest}
    return orjson.dumps(fields) + b"\n"


def ids(recent: RecentDecisions, limit: int = 1000) -> list[str]:
    return [fields["decision_id"] for fields in recent.latest(limit, lambda _: True)]


def test_a_decision_is_found_by_its_whole_id() -> None:
    recent = RecentDecisions(SharedDecisions(1, SIZE))
    recent.add(line(12))
    found = recent.find("d-12")
    assert found is not None
    assert found["client_id"] == "app"
    assert [recent.find(other) for other in ("d-1", "d-123", "", '"', "\u00e9")] == [None] * 5


def test_what_a_field_says_is_not_taken_for_an_id() -> None:
    recent = RecentDecisions(SharedDecisions(1, SIZE))
    recent.add(line(1, rest='"decision_id":"d-2"'))
    assert recent.find("d-2") is None


def test_the_newest_come_first_and_only_those_that_fit() -> None:
    recent = RecentDecisions(SharedDecisions(1, SIZE))
    for number in range(6):
        recent.add(line(number, client="other" if number % 2 else "app"))
    assert ids(recent, 3) == ["d-5", "d-4", "d-3"]
    fitting = recent.latest(10, lambda fields: fields["client_id"] == "other")
    assert [fields["decision_id"] for fields in fitting] == ["d-5", "d-3", "d-1"]


def test_a_line_that_is_longer_than_the_place_is_left_out() -> None:
    recent = RecentDecisions(SharedDecisions(1, SIZE))
    recent.add(line(1))
    recent.add(line(2, rest="x" * SIZE))
    assert ids(recent) == ["d-1"]


@given(lengths=st.lists(st.integers(0, 700), min_size=1, max_size=60))
def test_the_last_ones_are_there_whole_whatever_their_lengths_were(lengths: list[int]) -> None:
    recent = RecentDecisions(SharedDecisions(1, SIZE))
    for number, length in enumerate(lengths):
        recent.add(line(number, rest="x" * length))
        found = ids(recent)
        assert found[0] == f"d-{number}"
        # Those that are left are the last ones, without a gap.
        assert found == [f"d-{number - back}" for back in range(len(found))]
        for known in found:
            fields = recent.find(known)
            assert fields is not None
            assert fields["x"] == "x" * lengths[int(known[2:])]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
def test_each_worker_finds_the_decisions_of_the_others() -> None:
    shared = SharedDecisions(2, SIZE)
    child = os.fork()
    if child == 0:
        RecentDecisions(shared, 1).add(line(2))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    own = RecentDecisions(shared, 0)
    own.add(line(1))
    assert ids(own) == ["d-2", "d-1"]
    successor = RecentDecisions(shared, 1)
    successor.add(line(3))
    assert ids(successor) == ["d-3", "d-2", "d-1"]
