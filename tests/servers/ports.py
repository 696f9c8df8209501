"""Ports for servers that the tests start: each is handed out once, to one process of this machine."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

__all__ = ["PORTS", "free_port", "free_ports", "next_free"]

PORTS = range(21_000, 30_000)
"""Below the ports that a kernel gives to outgoing connections (32768 and up on Linux, 49152 and up elsewhere).

A port of those may be free when it is chosen and taken when the server listens, by any connection of any other test.
"""

_LAST_PORT = Path(tempfile.gettempdir()) / f"smart-fhir-gateway-test-port-{os.getuid()}"
"""The port handed out last. All tests of this machine share the file, so that no two of them get the same port."""


def free_port() -> int:
    """A port of the loopback interface that nothing listens on, and that was given to no other test lately.

    Raises `OSError` if every port of `PORTS` is taken.
    """
    with _LAST_PORT.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        last = int(file.read() or PORTS.start)
        port = next_free(last)
        file.truncate(0)
        file.write(str(port))
    return port


def free_ports(count: int) -> list[int]:
    """Several ports, none of them twice. Raises `OSError` as `free_port` does."""
    return [free_port() for _ in range(count)]


def next_free(last: int) -> int:
    """The first port behind `last` that nothing listens on. Raises `OSError` if there is none."""
    for step in range(1, len(PORTS) + 1):
        port = PORTS[(last - PORTS.start + step) % len(PORTS)]
        if _is_free(port):
            return port
    raise OSError(f"Every port from {PORTS.start} to {PORTS.stop - 1} is taken.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers listen: a connection of an earlier test that is still closing does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
