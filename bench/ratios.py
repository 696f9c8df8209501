"""What is computed from the measured runs: CPU per request, paired ratios, medians, and the rows of the result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median


class Unit(Enum):
    """What a row's CPU time is counted by."""

    REQUEST = "request"
    ENTRY = "entry"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of load against one server: requests answered, CPU seconds the server used, and what disturbed it."""

    requests: int
    cpu_seconds: float
    wall_seconds: float
    foreign_cores: float
    """CPU used meanwhile by processes that are not part of the benchmark, in cores (0.1 is a tenth of one core)."""
    units: int = 1
    """What each request counts for: 1, or the entries of its answer in a row that counts by the entry."""


@dataclass(frozen=True, slots=True)
class Round:
    """Four runs in the order ours, peer, peer, ours: a slow drift of the machine weighs on both sides alike."""

    ours: tuple[Run, Run]
    peer: tuple[Run, Run]

    @property
    def ours_us(self) -> float:
        return per_unit(self.ours)

    @property
    def peer_us(self) -> float:
        return per_unit(self.peer)

    @property
    def ratio(self) -> float:
        """Requests (or entries) per CPU second, ours over the peer's: above 1 we are the cheaper one."""
        return self.peer_us / self.ours_us

    @property
    def foreign_cores(self) -> float:
        return max(run.foreign_cores for run in (*self.ours, *self.peer))


@dataclass(frozen=True, slots=True)
class Goal:
    """The least ratio that is asked for, and how the table words it."""

    ratio: float
    words: str


def at_least(ratio: float) -> Goal:
    """A goal on the ratio itself."""
    return Goal(ratio, f">= {ratio:g}")


def costs_at_most(factor: float) -> Goal:
    """A goal on the cost, the inverse of the ratio: a cost of 1.1 times is a ratio of 0.909."""
    return Goal(1 / factor, f"cost <= {factor:g} x")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result, the median over its rounds; the fields are the keys of `bench/results/latest.json`."""

    name: str
    peer: str
    ratio: float
    min: float
    max: float
    ours_us: float
    peer_us: float
    rounds: int
    discarded: int
    noisy: bool
    ours_rps: float
    peer_rps: float
    goal: str | None
    met: bool | None
    unit: str


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One figure of resident memory, in MB of 1 000 000 bytes."""

    name: str
    mb: float
    goal: str
    met: bool


def per_unit(runs: Iterable[Run]) -> float:
    """CPU microseconds per request, or per entry, over several runs taken together."""
    kept = list(runs)
    return 1e6 * sum(run.cpu_seconds for run in kept) / sum(run.requests * run.units for run in kept)


def per_second(runs: Iterable[Run]) -> float:
    """Requests per second of wall time: printed for orientation, never judged."""
    kept = list(runs)
    return sum(run.requests for run in kept) / sum(run.wall_seconds for run in kept)


def select(rounds: Sequence[Round], wanted: int, quiet: float) -> tuple[list[Round], bool]:
    """The rounds to judge by, and whether others' work had to be accepted.

    Rounds in which foreign processes used more than `quiet` cores are discarded. When too few are left, the least
    disturbed of the others fill the number, and the row is marked as noisy.
    """
    clean = [one for one in rounds if one.foreign_cores <= quiet]
    if len(clean) >= wanted:
        return clean, False
    disturbed = sorted((one for one in rounds if one.foreign_cores > quiet), key=lambda one: one.foreign_cores)
    return clean + disturbed[: wanted - len(clean)], True


def row(
    name: str,
    peer: str,
    rounds: Sequence[Round],
    wanted: int,
    quiet: float,
    goal: Goal | None,
    unit: Unit = Unit.REQUEST,
) -> Row:
    """The median of the paired ratios, with its range, and the medians of both sides."""
    kept, noisy = select(rounds, wanted, quiet)
    ratios = [one.ratio for one in kept]
    middle = median(ratios)
    return Row(
        name=name,
        peer=peer,
        ratio=round(middle, 3),
        min=round(min(ratios), 3),
        max=round(max(ratios), 3),
        ours_us=round(median(one.ours_us for one in kept), 1),
        peer_us=round(median(one.peer_us for one in kept), 1),
        rounds=len(kept),
        discarded=len(rounds) - len(kept),
        noisy=noisy,
        ours_rps=round(median(per_second(one.ours) for one in kept)),
        peer_rps=round(median(per_second(one.peer) for one in kept)),
        goal=goal.words if goal else None,
        met=middle >= goal.ratio if goal else None,
        unit=unit.value,
    )


def memory_row(name: str, size: float, most: float) -> MemoryRow:
    """A figure of memory (bytes) beside the most that is allowed (MB)."""
    mb = size / 1e6
    return MemoryRow(name, round(mb, 1), f"<= {most:g} MB", mb <= most)
