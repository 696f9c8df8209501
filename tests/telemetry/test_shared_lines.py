"""Lines that several processes write to one target: none is mixed with another, and none is lost."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.telemetry.line_writer import LineWriter
from gateway.telemetry.process_lock import ProcessLock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several workers need Linux")

_PROCESSES, _LINES, _LENGTH = 3, 300, 9_000

# A pipe takes 4 KB in one piece, and more only by chance.
_PROGRAM = f"""
import os
from gateway.telemetry.line_writer import LineWriter
from gateway.telemetry.process_lock import ProcessLock

lock = ProcessLock()
for number in range({_PROCESSES}):
    if os.fork() == 0:
        writer = LineWriter(1, close_descriptor=False, process_lock=lock)
        for _ in range({_LINES}):
            writer.write(b"%d" % number * {_LENGTH} + b"\\n")
            writer.flush()
        writer.close()
        os._exit(0)
for _ in range({_PROCESSES}):
    os.wait()
"""


def test_long_lines_of_several_processes_are_not_mixed() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, check=True, timeout=120)
    lines = done.stdout.splitlines()
    assert {(len(line), len(set(line))) for line in lines} == {(_LENGTH, 1)}
    assert len(lines) == _PROCESSES * _LINES


def test_a_line_that_was_written_in_part_is_written_again_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    writer = LineWriter(descriptor, close_descriptor=True, process_lock=ProcessLock())
    write = os.write
    is_full = False

    def write_until_full(target: int, data: bytes) -> int:
        """The disk is full after six bytes."""
        nonlocal is_full
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        is_full = True
        return write(target, data[:6])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write_until_full)
        writer.write(b"one\n")
        writer.write(b"two\n")
        writer.flush()
    # Another process goes on first.
    write(descriptor, b"\nother\n")
    writer.close()
    assert path.read_text().splitlines() == ["one", "tw", "other", "", "two"]
    assert writer.lost == 0
