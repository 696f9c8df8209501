"""The files of a spool: numbered, read in order, deleted when all has been sent."""

import os
from dataclasses import dataclass
from pathlib import Path

_SUFFIX = ".ndjson"
_DIGITS = 16
_TAIL = 64 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a spool: the file by the number in its name, and the bytes in it that lie before."""

    segment: int = 0
    offset: int = 0


def segment_path(folder: Path, number: int) -> Path:
    """The file with this number."""
    return folder / f"{number:0{_DIGITS}d}{_SUFFIX}"


def segment_numbers(folder: Path) -> list[int]:
    """The files that there are, in order."""
    return sorted(int(path.stem) for path in folder.glob(f"{'[0-9]' * _DIGITS}{_SUFFIX}"))


def bytes_from(folder: Path, start: Position) -> int:
    """How many bytes lie behind a position."""
    sizes = [
        (number, segment_path(folder, number).stat().st_size)
        for number in segment_numbers(folder)
        if number >= start.segment
    ]
    return sum(size - (start.offset if number == start.segment else 0) for number, size in sizes)


def read_lines(folder: Path, start: Position, *, max_lines: int, max_bytes: int) -> tuple[list[bytes], Position]:
    """The next whole lines behind a position, without their line feeds, and the position behind them."""
    for number in segment_numbers(folder):
        if number < start.segment:
            continue
        offset = start.offset if number == start.segment else 0
        with segment_path(folder, number).open("rb") as file:
            file.seek(offset)
            block = file.read(max_bytes)
            if b"\n" not in block:
                block += file.readline()
        lines = block[: block.rfind(b"\n") + 1].split(b"\n")[:-1][:max_lines]
        if lines:
            return lines, Position(number, offset + sum(map(len, lines)) + len(lines))
    return [], start


def read_position(path: Path) -> Position:
    """The position that was written last; the beginning if there is none."""
    try:
        segment, offset = path.read_text(encoding="ascii").split()
        return Position(int(segment), int(offset))
    except (FileNotFoundError, ValueError):
        return Position()


def write_position(path: Path, position: Position) -> None:
    """Replace it as a whole, so that a process that is killed leaves the old or the new one."""
    new = path.with_suffix(".new")
    new.write_text(f"{position.segment} {position.offset}", encoding="ascii")
    new.replace(path)


def cut_torn_line(descriptor: int) -> bytes | None:
    """Remove what follows the last line feed: a record that was being written when its process was killed.

    Returns the last whole line; None where there is none.
    """
    start, tail = _read_tail(descriptor)
    end = tail.rfind(b"\n") + 1
    if end != len(tail):
        os.ftruncate(descriptor, start + end)
    return _last_line(tail)


def last_whole_line(path: Path) -> bytes | None:
    """The last whole line of a file; None where there is none."""
    with path.open("rb") as file:
        return _last_line(_read_tail(file.fileno())[1])


def _last_line(tail: bytes) -> bytes | None:
    lines = tail[: tail.rfind(b"\n") + 1].splitlines()
    return lines[-1] if lines else None


def _read_tail(descriptor: int) -> tuple[int, bytes]:
    """Where the tail begins, and the tail: at least the last whole line, with what precedes its line feed."""
    start, tail = os.fstat(descriptor).st_size, b""
    while start > 0 and tail[: tail.rfind(b"\n") + 1].count(b"\n") < 2:
        block = min(_TAIL, start)
        start -= block
        tail = os.pread(descriptor, block, start) + tail
    return start, tail
