"""One worker's records on disk until they have been handed on: a chain that a killed process has left goes on.

A record is written to the page cache before its response leaves, so that it survives the death of the process, by any
signal. A background task syncs the files to the disk once a second: a power failure or a crash of the kernel may take
what is younger.
"""

import fcntl
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from gateway.telemetry.audit_events.chain import Chain
from gateway.telemetry.audit_events.segments import (
    Position,
    bytes_from,
    cut_torn_line,
    last_whole_line,
    read_lines,
    read_position,
    segment_numbers,
    segment_path,
    write_position,
)
from gateway.telemetry.audit_events.unsealed_event import UnsealedEvent

_log = logging.getLogger(__name__)
_MAX_SEGMENT = 4 * 1024 * 1024
_PROBE = bytes(64 * 1024)
_NO_DESCRIPTOR = -1


class SpoolTaken(Exception):
    """Another process has this spool."""


class SpoolReader:
    """The records in one folder, which one process has at a time. `sinks` are the names of those that records go to."""

    def __init__(self, folder: Path, sinks: Sequence[str]) -> None:
        """Raises `SpoolTaken`, and `OSError` if the folder cannot be used."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._lock = _lock(folder / "lock")
        self._positions = {sink: read_position(self._position_path(sink)) for sink in sinks}
        self.waiting_bytes = bytes_from(folder, min(self._positions.values()))

    def read(self, sink: str, *, max_lines: int, max_bytes: int) -> tuple[list[bytes], Position]:
        """The next records for a sink, and the position behind them."""
        return read_lines(self._folder, self._positions[sink], max_lines=max_lines, max_bytes=max_bytes)

    def advance(self, sink: str, position: Position) -> None:
        """A sink has all records up to here. Files that every sink has are deleted, apart from the newest."""
        write_position(self._position_path(sink), position)
        self._positions[sink] = position
        done = min(self._positions.values())
        # The last record stays, because the next one carries its hash. A file that has just been begun has none.
        numbers = segment_numbers(self._folder)
        newest_has_records = bool(numbers) and segment_path(self._folder, numbers[-1]).stat().st_size > 0
        for number in numbers[: -1 if newest_has_records else -2]:
            if number < done.segment:
                segment_path(self._folder, number).unlink()
        self.waiting_bytes = bytes_from(self._folder, done)

    def reject(self, line: bytes) -> None:
        """Keep a record that its server never accepts, beside those that wait."""
        with (self._folder / "rejected.ndjson").open("ab") as file:
            file.write(line + b"\n")

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    def _position_path(self, sink: str) -> Path:
        return self._folder / f"{sink}.position"


class Spool(SpoolReader):
    """The spool that a process writes: `limit` bytes may wait in it."""

    def __init__(self, folder: Path, sinks: Sequence[str], key: bytes | None, limit: int) -> None:
        """Raises `SpoolTaken`, and `OSError` if the folder cannot be used."""
        super().__init__(folder, sinks)
        self._limit = limit
        self._segment_limit = min(_MAX_SEGMENT, max(1, limit // 4))
        self._key = key
        self._descriptor = _NO_DESCRIPTOR
        self._unsynced: list[int] = []
        self._segment, self._size = 0, 0
        self._chain = self._resume() or Chain.start(key)
        self.waiting_bytes = bytes_from(folder, min(self._positions.values()))

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may."""
        return self.waiting_bytes >= self._limit

    def is_filled_by_half(self) -> bool:
        """Whether half of it is taken."""
        return self.waiting_bytes * 2 >= self._limit

    def append(self, events: Iterable[UnsealedEvent], lost: int) -> None:
        """Write events as the next records. Raises `OSError`, and then nothing of them is kept."""
        chain = self._chain
        before = chain.sequence, chain.last_hash
        lines: list[bytes] = []
        for event in events:
            lines += (chain.seal(event, lost), b"\n")
            lost = 0
        try:
            if self._descriptor == _NO_DESCRIPTOR or self._size >= self._segment_limit:
                self._open_next_segment()
            self._write(b"".join(lines))
        except OSError:
            chain.sequence, chain.last_hash = before
            raise

    def probe(self) -> None:
        """Find out whether something can be written again. Raises `OSError` if not."""
        if self._descriptor == _NO_DESCRIPTOR:
            self._open_next_segment()
        try:
            self._write(_PROBE, keep=False)
        finally:
            os.ftruncate(self._descriptor, self._size)

    def sync(self) -> None:
        """Write to the disk what the page cache holds. May block; for a thread of its own."""
        closing, self._unsynced = self._unsynced, []
        for descriptor in closing:
            os.fsync(descriptor)
            os.close(descriptor)
        if self._descriptor != _NO_DESCRIPTOR:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Sync, and let another process have it."""
        self.sync()
        if self._descriptor != _NO_DESCRIPTOR:
            os.close(self._descriptor)
        super().close()

    def _write(self, block: bytes, *, keep: bool = True) -> None:
        """A whole block or nothing of it."""
        written = 0
        try:
            while written < len(block):
                written += os.write(self._descriptor, block[written:] if written else block)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        if keep:
            self._size += len(block)
            self.waiting_bytes += len(block)

    def _open_next_segment(self) -> None:
        self._open_segment(self._segment + 1)

    def _open_segment(self, number: int) -> None:
        path, flags = segment_path(self._folder, number), os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        if self._descriptor != _NO_DESCRIPTOR:
            self._unsynced.append(self._descriptor)
        self._descriptor, self._segment, self._size = descriptor, number, os.fstat(descriptor).st_size

    def _resume(self) -> Chain | None:
        """Go on with the newest file and its chain.

        A new chain begins in a file of its own where there is none, or where its last line cannot be read or was sealed
        with another key.
        """
        for number in reversed(segment_numbers(self._folder)):
            if self._descriptor == _NO_DESCRIPTOR:
                self._open_segment(number)
                last_line = cut_torn_line(self._descriptor)
                self._size = os.fstat(self._descriptor).st_size
            else:
                last_line = last_whole_line(segment_path(self._folder, number))
            if last_line is not None:
                chain = Chain.resume(last_line, self._key)
                if chain is None:
                    _log.warning("a new chain of audit events begins", extra={"folder": str(self._folder)})
                    self._open_next_segment()
                return chain
        return None


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SpoolTaken(str(path)) from None
    return descriptor


def open_free_spool(folder: Path, sinks: Sequence[str], key: bytes | None, limit: int) -> Spool:
    """The first spool below `folder` that no other process has; a new one if all are taken. Raises `OSError`."""
    number = 0
    while True:
        try:
            return Spool(folder / str(number), sinks, key, limit)
        except SpoolTaken:
            number += 1
