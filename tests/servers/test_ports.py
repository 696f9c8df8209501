"""Tests of the ports for servers: no two processes get the same one, and none that something listens on."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.servers.ports import PORTS, free_port, next_free
from tests.servers.process import ROOT

_DRAW = "from tests.servers.ports import free_ports; print(*free_ports(200))"


def test_processes_that_draw_at_the_same_time_get_different_ports() -> None:
    drawing = [
        subprocess.Popen([sys.executable, "-c", _DRAW], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    drawn = [port for process in drawing for port in process.communicate(timeout=60)[0].split()]
    assert len(drawn) == len(set(drawn)) == 800


def test_a_port_that_something_listens_on_is_passed_over() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert next_free(port - 1) != port


def test_no_port_is_one_that_the_kernel_gives_to_outgoing_connections() -> None:
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(ephemeral.read_text().split()[0]) if ephemeral.exists() else 32_768
    assert first >= PORTS.stop
