"""The sink that appends records to one NDJSON file, which all workers of a machine share."""

import asyncio
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from gateway.audit_delivery.sink import SinkUnavailable
from gateway.telemetry.audit_events.segments import cut_torn_line


class EventFile:
    """The file is opened for each block, so that it can be moved away at any time (logrotate)."""

    name = "file"
    max_lines = 500

    def __init__(self, path: Path) -> None:
        self._path = path

    async def write(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Append whole lines and sync them. Raises `SinkUnavailable`."""
        try:
            await asyncio.to_thread(self._append, b"\n".join((*lines, b"")))
        except OSError as error:
            raise SinkUnavailable(error.strerror or "the file cannot be written") from error
        return ()

    async def aclose(self) -> None:
        """Nothing is open."""

    def _append(self, block: bytes) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Nobody else writes now, so that a torn line is of a process that was killed, and comes again.
            cut_torn_line(descriptor)
            unwritten = memoryview(block)
            while unwritten:
                unwritten = unwritten[os.write(descriptor, unwritten) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
