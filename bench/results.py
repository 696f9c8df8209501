"""The result as a table, and as `bench/results/latest.json` to compare with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.ratios import MemoryRow, Row, Unit

_HEAD = (
    "name",
    "peer",
    "ratio",
    "min",
    "max",
    "us ours",
    "us peer",
    "per",
    "rps ours",
    "rps peer",
    "rounds",
    "goal",
    "met?",
)


def format_table(rows: Sequence[Row], memory: Sequence[MemoryRow]) -> str:
    """All figures as text, columns aligned."""
    lines = [_HEAD, *(_cells(row) for row in rows)]
    text = align_columns(lines)
    if memory:
        cells = [(row.name, f"{row.mb:.1f}", row.goal, _met_text(row.met)) for row in memory]
        text += "\n\n" + align_columns([("name", "MB", "goal", "met?"), *cells])
    if any(row.noisy for row in rows):
        text += "\n\n* too few undisturbed rounds: other processes were at work, so take this row with care"
    return text


def _cells(row: Row) -> tuple[str, ...]:
    digits = 1 if row.unit == Unit.ENTRY.value else 0
    return (
        row.name + ("*" if row.noisy else ""),
        row.peer,
        f"{row.ratio:.2f}",
        f"{row.min:.2f}",
        f"{row.max:.2f}",
        f"{row.ours_us:.{digits}f}",
        f"{row.peer_us:.{digits}f}",
        row.unit,
        f"{row.ours_rps:.0f}",
        f"{row.peer_rps:.0f}",
        str(row.rounds),
        row.goal or "-",
        _met_text(row.met),
    )


def _met_text(met: bool | None) -> str:
    return "-" if met is None else "yes" if met else "NO"


def align_columns(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as text, the first of them as the head."""
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([rows[0], "-" * len(rows[0]), *rows[1:]])


def to_document(rows: Sequence[Row], memory: Sequence[MemoryRow], machine: dict[str, object]) -> dict[str, object]:
    """The JSON form; its shape is fixed by tests/bench."""
    return {
        "machine": machine,
        "rows": [asdict(row) for row in rows],
        "memory": [asdict(row) for row in memory],
    }


def write_json(path: Path, content: dict[str, object]) -> None:
    """One key per line, so that two results can be compared by a diff."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
