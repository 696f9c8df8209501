"""A file of lines that several processes append to, moved aside when it has become too long."""

import fcntl
import os
import threading
from pathlib import Path

from gateway.telemetry.audit_events.segments import cut_torn_line

_KEPT_SUFFIX = ".1"


class RotatedFile:
    """The file is opened for each block, readable by its owner only, so that it can be moved away at any time."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Above `max_bytes` it is moved to the same name with `.1`, in place of what is there."""
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def append(self, block: bytes) -> None:
        """Append whole lines. Raises `OSError`. May block."""
        with self._lock:
            while not self._try_to_append(block):
                pass

    def _try_to_append(self, block: bytes) -> bool:
        """Whether the block was written. Otherwise the file was moved, by this process or by another one."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not self._is_in_place(descriptor):
                return False
            # Nobody else writes now, so that a torn line is of a process that was killed.
            cut_torn_line(descriptor)
            size = os.fstat(descriptor).st_size
            if size and size + len(block) > self._max_bytes:
                self._path.replace(self._path.with_name(self._path.name + _KEPT_SUFFIX))
                return False
            unwritten = memoryview(block)
            while unwritten:
                unwritten = unwritten[os.write(descriptor, unwritten) :]
            return True
        finally:
            os.close(descriptor)

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False
