"""Run a command that ends when our standard input does, so that no server outlives the test that started it.

`prctl(PR_SET_PDEATHSIG)` would be shorter, but it fires when the *thread* that started the child ends, which is wrong
for a server started from a worker thread, and only Linux has it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Start `command`, end it at the end of standard input or at SIGTERM, and return its exit status."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def follow_standard_input() -> None:
        # Not by `sys.stdin`, whose lock a thread may not hold when the interpreter ends.
        while os.read(0, 4096):
            pass
        child.terminate()
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            child.kill()

    signal.signal(signal.SIGTERM, lambda _number, _frame: child.terminate())
    threading.Thread(target=follow_standard_input, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
