"""The result of `python -m bench.hapi`: medians of the runs, goals, the table, and that of the documentation."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench.results import align_columns
from bench.servers import ROOT

RESULTS = ROOT / "bench/results/hapi.json"
MAX_ADDED_MS = 0.3
"""To a read over one connection."""
MAX_SHARE = 0.02
"""Of the CPU that HAPI needs for a search."""
_HEAD = ("request", "conn.", "side", "p50 ms", "p99 ms", "req/s", "HAPI ms", "gateway ms", "others", "goal", "met?")
QUIET = 0.15
"""Cores that others may use before a row has a star."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of load, or the median of several: milliseconds, requests a second, CPU milliseconds a request."""

    p50_ms: float
    p99_ms: float
    rps: float
    hapi_cpu_ms: float
    gateway_cpu_ms: float
    foreign_cores: float


@dataclass(frozen=True, slots=True)
class HapiRow:
    """One line of the result. The fields are the keys of `bench/results/hapi.json`."""

    request: str
    connections: int
    direct: Measured
    through: Measured
    added_ms: float
    share: float
    goal: str | None
    met: bool | None
    noisy: bool


def make_hapi_row(request: str, connections: int, direct: Sequence[Measured], through: Sequence[Measured]) -> HapiRow:
    """The medians of the runs on both sides, and whether the goal of this request is met."""
    asked, passed = _median(direct), _median(through)
    added, share = passed.p50_ms - asked.p50_ms, passed.gateway_cpu_ms / passed.hapi_cpu_ms
    goal, met = None, None
    if request == "search":
        goal, met = f"share <= {MAX_SHARE:.0%}", share <= MAX_SHARE
    elif connections == 1:
        goal, met = f"added <= {MAX_ADDED_MS:g} ms", added <= MAX_ADDED_MS
    is_noisy = max(asked.foreign_cores, passed.foreign_cores) > QUIET
    return HapiRow(request, connections, asked, passed, round(added, 3), round(share, 4), goal, met, is_noisy)


def _median(runs: Sequence[Measured]) -> Measured:
    def of(read: Callable[[Measured], float]) -> float:
        return round(median(map(read, runs)), 3)

    return Measured(
        p50_ms=of(lambda run: run.p50_ms),
        p99_ms=of(lambda run: run.p99_ms),
        rps=of(lambda run: run.rps),
        hapi_cpu_ms=of(lambda run: run.hapi_cpu_ms),
        gateway_cpu_ms=of(lambda run: run.gateway_cpu_ms),
        foreign_cores=of(lambda run: run.foreign_cores),
    )


def format_hapi_table(rows: Sequence[HapiRow]) -> str:
    """All figures as text: for each row a line of each side."""
    lines: list[tuple[str, ...]] = [_HEAD]
    for row in rows:
        name = row.request + ("*" if row.noisy else "")
        met = "-" if row.met is None else "yes" if row.met else "NO"
        lines.append((name, str(row.connections), "direct", *_cells(row.direct), "", ""))
        lines.append(("", "", "gateway", *_cells(row.through), row.goal or "-", met))
        lines.append(("", "", f"  added {row.added_ms:.2f} ms, share {row.share:.1%}", *[""] * 8))
    text = align_columns(lines)
    if any(row.noisy for row in rows):
        text += "\n\n* other processes were at work, so take this row with care"
    return text


def _cells(side: Measured) -> tuple[str, ...]:
    return (
        f"{side.p50_ms:.2f}",
        f"{side.p99_ms:.2f}",
        f"{side.rps:.0f}",
        f"{side.hapi_cpu_ms:.2f}",
        f"{side.gateway_cpu_ms:.3f}",
        f"{side.foreign_cores:.2f}",
    )


def write_hapi_json(path: Path, rows: Sequence[HapiRow], machine: dict[str, object]) -> None:
    """Write the JSON form; its shape is fixed by tests/bench."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


def hapi_table() -> str:
    """The table of docs/performance.md, from the last run."""
    rows = json.loads(RESULTS.read_text())["rows"]
    lines = [
        "| request, connections | p50, p99 direct | p50, p99 through | requests a second | CPU HAPI, gateway | share |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        direct, through = row["direct"], row["through"]
        lines.append(
            f"| {row['request']}, {row['connections']}{'*' if row['noisy'] else ''} "
            f"| {direct['p50_ms']:.2f}, {direct['p99_ms']:.2f} ms "
            f"| {through['p50_ms']:.2f}, {through['p99_ms']:.2f} ms "
            f"| {direct['rps']:.0f}, {through['rps']:.0f} "
            f"| {through['hapi_cpu_ms']:.2f}, {through['gateway_cpu_ms']:.3f} ms | {row['share']:.1%} |"
        )
    if any(row["noisy"] for row in rows):
        lines += ["", "\\* Other processes were at work during this row, so its figures mean little."]
    return "\n".join(lines)
