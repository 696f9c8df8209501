"""Writes lines to a file or a pipe without holding the event loop up, and without losing one unnoticed."""

import logging
import os
import threading
from collections import deque

_INTERVAL_SECONDS = 0.5
_WAKE_LINES = 1_000
_MAX_LINES = 20_000

_log = logging.getLogger(__name__)


class LineWriter:
    """A queue of lines and the thread that empties it: every half second, or as soon as many wait.

    A full queue is emptied by whoever adds to it: slow, but no line is lost. Where the target cannot be written (a full
    disk), lines wait; when the queue is full as well the oldest are given up, counted in `lost` and logged. A process
    that is killed outright loses at most the last half second.
    """

    def __init__(self, descriptor: int, *, close_descriptor: bool, max_lines: int = _MAX_LINES) -> None:
        """`descriptor` is open for writing; it is closed at the end if `close_descriptor` says so."""
        self._descriptor = descriptor
        self._close_descriptor = close_descriptor
        self._max_lines = max_lines
        # append and popleft of a deque are atomic, so that adding a line takes no lock.
        self._lines: deque[bytes] = deque()
        self._unwritten = b""
        self._failing = False
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.lost = 0

    def write(self, line: bytes) -> None:
        """Add one line, with its line feed."""
        self._lines.append(line)
        waiting = len(self._lines)
        if waiting >= _WAKE_LINES:
            self._hurry(waiting)
        elif self._thread is None:
            self._start()

    def flush(self) -> None:
        """Write what waits, now. May block."""
        with self._writing:
            self._drain()

    def close(self) -> None:
        """Write what waits, and end. Nothing may be added afterwards. May block."""
        self._closed = True
        self._wake.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
        self.flush()
        if self._unwritten:
            self._give_up(self._unwritten.count(b"\n"))
            self._unwritten = b""
        if self._close_descriptor:
            os.close(self._descriptor)

    def _start(self) -> None:
        # Started with the first line, so that a process may fork before it.
        self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._thread.start()

    def _hurry(self, waiting: int) -> None:
        if waiting >= self._max_lines:
            self.flush()
        elif not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(_INTERVAL_SECONDS)
            self._wake.clear()
            self.flush()

    def _drain(self) -> None:
        lines = [self._unwritten] if self._unwritten else []
        lines.extend(self._lines.popleft() for _ in range(len(self._lines)))
        if not lines:
            return
        left = memoryview(b"".join(lines))
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
            self._failing = False
        except OSError as error:
            if not self._failing:
                _log.error("audit lines cannot be written, they wait", extra={"problem": error.strerror})
            self._failing = True
        self._unwritten = self._within_bound(bytes(left))

    def _within_bound(self, unwritten: bytes) -> bytes:
        waiting = unwritten.count(b"\n")
        if waiting <= self._max_lines:
            return unwritten
        self._give_up(waiting - self._max_lines)
        return b"".join(unwritten.splitlines(keepends=True)[-self._max_lines :])

    def _give_up(self, count: int) -> None:
        self.lost += count
        _log.error("audit lines are lost", extra={"count": count})
