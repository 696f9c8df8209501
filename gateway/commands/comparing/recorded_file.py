"""The file of recorded requests, read back: each shape once, with all its requests."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.policy.recording.recorded_request import FORMAT, RecordedRequest

_MAX_OTHERS = 10_000


class RecordedLine(RecordedRequest, frozen=True, omit_defaults=True):
    """A line of the file: how many requests had the shape, and under which version of the configuration."""

    count: int = 1
    configuration: str = ""


class RecordedFileError(Exception):
    """A file cannot be used."""


@dataclass(frozen=True, slots=True)
class RecordedRequests:
    """What files hold: each shape of a request with their number, and how many lines could not be read."""

    counts: tuple[tuple[RecordedRequest, int], ...]
    unreadable: int = 0

    @property
    def total(self) -> int:
        """The number of requests."""
        return sum(count for _, count in self.counts)


_DECODER = msgspec.json.Decoder(RecordedLine)


def read_recorded(paths: Iterable[Path]) -> RecordedRequests:
    """The requests of these files. Raises `RecordedFileError` for a file without any, `OSError` as `open` does."""
    counts: dict[bytes, tuple[RecordedRequest, int]] = {}
    unreadable = 0
    for path in paths:
        readable = 0
        for line in _read_lines(path):
            if line is None:
                unreadable += 1
                continue
            readable += 1
            shape = msgspec.structs.replace(line, count=1, configuration="")
            key = msgspec.json.encode(shape)
            counts[key] = shape, line.count + (counts[key][1] if key in counts else 0)
        if not readable:
            raise RecordedFileError(f"{path}: holds no recorded request that this version can read.")
    return RecordedRequests(tuple(counts.values()), unreadable)


def _read_lines(path: Path) -> Iterator[RecordedLine | None]:
    with path.open("rb") as file:
        for text in file:
            try:
                line = _DECODER.decode(text)
            except (msgspec.MsgspecError, RecursionError):
                yield None
                continue
            is_usable = line.format == FORMAT and line.count > 0
            yield line if is_usable and (line.reach is None or 0 <= line.reach.others <= _MAX_OTHERS) else None
