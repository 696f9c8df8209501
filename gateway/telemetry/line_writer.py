"""Writes lines to a file or a pipe without blocking the event loop, and counts every line that is lost."""

import contextlib
import logging
import os
import threading
from collections import deque
from contextlib import AbstractContextManager

_INTERVAL_SECONDS = 0.5
_WAKE_LINES = 1_000
_MAX_LINES = 20_000

_log = logging.getLogger(__name__)


class LineWriter:
    """A queue of lines, and a thread that writes them every half second, or sooner when many are waiting.

    If the queue is full, `write` itself writes all of it: that is slow, but no line is lost. If the target cannot be
    written (a full disk), lines wait; once the queue is full as well, the oldest are discarded, counted in `lost` and
    logged. A process that is killed loses at most the lines of the last half second.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        close_descriptor: bool,
        max_lines: int = _MAX_LINES,
        process_lock: AbstractContextManager[object] | None = None,
    ) -> None:
        """`descriptor` is open for writing. `close` closes it if `close_descriptor` is true.

        `process_lock` is held while lines are written, where other processes write to the same target: a pipe would
        mix what is longer than 4 KB.
        """
        self._descriptor = descriptor
        self._close_descriptor = close_descriptor
        self._max_lines = max_lines
        # deque.append and deque.popleft are atomic, so adding a line needs no lock.
        self._lines: deque[bytes] = deque()
        self._unwritten = b""
        self._failing = False
        self._write_lock = threading.Lock()
        self._is_shared = process_lock is not None
        self._process_lock = process_lock or contextlib.nullcontext()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.lost = 0

    def write(self, line: bytes) -> None:
        """Add one line, with its line feed."""
        self._lines.append(line)
        waiting = len(self._lines)
        if waiting >= _WAKE_LINES:
            self._wake_or_flush(waiting)
        elif self._thread is None:
            self._start_thread()

    def flush(self) -> None:
        """Write all waiting lines now. May block."""
        with self._write_lock, self._process_lock:
            self._write_queue()

    def close(self) -> None:
        """Write all waiting lines and stop. Nothing may be added afterwards. May block."""
        self._closed = True
        self._wake.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
        self.flush()
        if self._unwritten:
            self._discard(self._unwritten.count(b"\n"))
            self._unwritten = b""
        if self._close_descriptor:
            os.close(self._descriptor)

    def _start_thread(self) -> None:
        # The thread starts with the first line, so that a process can fork before it.
        self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._thread.start()

    def _wake_or_flush(self, waiting: int) -> None:
        if waiting >= self._max_lines:
            self.flush()
        elif not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(_INTERVAL_SECONDS)
            self._wake.clear()
            self.flush()

    def _write_queue(self) -> None:
        lines = [self._unwritten] if self._unwritten else []
        lines.extend(self._lines.popleft() for _ in range(len(self._lines)))
        if not lines:
            return
        waiting = b"".join(lines)
        unwritten = memoryview(waiting)
        try:
            while unwritten:
                unwritten = unwritten[os.write(self._descriptor, unwritten) :]
            self._failing = False
        except OSError as error:
            if not self._failing:
                _log.error("audit lines cannot be written, they wait", extra={"problem": error.strerror})
            self._failing = True
        self._unwritten = self._limit(self._whole_lines(waiting, len(waiting) - len(unwritten)))

    def _whole_lines(self, waiting: bytes, written: int) -> bytes:
        """What is left to write. Another process may go on first, so that the rest of a line would stand alone."""
        if not self._is_shared or written in {0, len(waiting)} or waiting.endswith(b"\n", 0, written):
            return waiting[written:]
        return b"\n" + waiting[waiting.rfind(b"\n", 0, written) + 1 :]

    def _limit(self, unwritten: bytes) -> bytes:
        waiting = unwritten.count(b"\n")
        if waiting <= self._max_lines:
            return unwritten
        self._discard(waiting - self._max_lines)
        return b"".join(unwritten.splitlines(keepends=True)[-self._max_lines :])

    def _discard(self, count: int) -> None:
        self.lost += count
        _log.error("audit lines are lost", extra={"count": count})
