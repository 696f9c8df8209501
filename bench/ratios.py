"""The arithmetic of the result: CPU time per request, paired ratios, medians and rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median


class Unit(Enum):
    """The unit that a row's CPU time is divided by."""

    REQUEST = "request"
    ENTRY = "entry"
    ROUND_TRIP = "round trip"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of load against one server: responses, CPU seconds of the server, and the disturbance by others."""

    requests: int
    cpu_seconds: float
    wall_seconds: float
    foreign_cores: float
    """CPU used by processes that are not part of the benchmark, in cores (0.1 is a tenth of one core)."""
    units: int = 1
    """The units of each request: 1, or the entries of its response in a row that counts by the entry."""


@dataclass(frozen=True, slots=True)
class Round:
    """Four runs in the order ours, peer, peer, ours, so that a slow drift of the machine affects both sides alike."""

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
        """Requests (or entries) per CPU second, ours over the peer's. Above 1 the gateway is cheaper."""
        return self.peer_us / self.ours_us

    @property
    def foreign_cores(self) -> float:
        return max(run.foreign_cores for run in (*self.ours, *self.peer))


@dataclass(frozen=True, slots=True)
class Goal:
    """The minimum ratio, and its text in the table."""

    ratio: float
    text: str


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
    """CPU microseconds per request, or per entry, over several runs together."""
    all_runs = list(runs)
    return 1e6 * sum(run.cpu_seconds for run in all_runs) / sum(run.requests * run.units for run in all_runs)


def per_second(runs: Iterable[Run]) -> float:
    """Requests per second of wall time, printed for orientation only."""
    all_runs = list(runs)
    return sum(run.requests for run in all_runs) / sum(run.wall_seconds for run in all_runs)


def select_rounds(rounds: Sequence[Round], wanted: int, quiet: float) -> tuple[list[Round], bool]:
    """The rounds that count, and whether disturbed ones are among them.

    Rounds in which other processes used more than `quiet` cores are discarded. If too few are left, the least
    disturbed ones are used as well, and the row is marked as noisy.
    """
    undisturbed = [measured for measured in rounds if measured.foreign_cores <= quiet]
    if len(undisturbed) >= wanted:
        return undisturbed, False
    disturbed = sorted(
        (measured for measured in rounds if measured.foreign_cores > quiet), key=lambda measured: measured.foreign_cores
    )
    return undisturbed + disturbed[: wanted - len(undisturbed)], True


def make_row(
    name: str,
    peer: str,
    rounds: Sequence[Round],
    wanted: int,
    quiet: float,
    goal: Goal | None,
    unit: Unit = Unit.REQUEST,
) -> Row:
    """The median of the paired ratios, with its range, and the medians of both sides."""
    selected, noisy = select_rounds(rounds, wanted, quiet)
    ratios = [measured.ratio for measured in selected]
    median_ratio = median(ratios)
    return Row(
        name=name,
        peer=peer,
        ratio=round(median_ratio, 3),
        min=round(min(ratios), 3),
        max=round(max(ratios), 3),
        ours_us=round(median(measured.ours_us for measured in selected), 1),
        peer_us=round(median(measured.peer_us for measured in selected), 1),
        rounds=len(selected),
        discarded=len(rounds) - len(selected),
        noisy=noisy,
        ours_rps=round(median(per_second(measured.ours) for measured in selected)),
        peer_rps=round(median(per_second(measured.peer) for measured in selected)),
        goal=goal.text if goal else None,
        met=median_ratio >= goal.ratio if goal else None,
        unit=unit.value,
    )


def make_memory_row(name: str, size: float, limit: float) -> MemoryRow:
    """A size in bytes beside its limit in MB."""
    mb = size / 1e6
    return MemoryRow(name, round(mb, 1), f"<= {limit:g} MB", mb <= limit)
