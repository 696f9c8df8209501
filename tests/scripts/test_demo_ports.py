"""`make run` says which ports are taken before it starts anything, and lets all of them be chosen."""

import socket
import subprocess
import sys

from scripts.demo_ports import Ports
from tests.servers.ports import free_port
from tests.servers.process import ROOT


def test_ports_follow_that_of_the_gateway_unless_they_are_chosen() -> None:
    assert Ports.beside(8080) == Ports(8080, 8081, 9090)
    assert Ports.beside(8080, 1, 2) == Ports(8080, 1, 2)


def test_every_port_that_is_taken_is_named_with_the_way_to_choose_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        taken = [first.getsockname()[1], second.getsockname()[1]]
        command = [sys.executable, "-m", "scripts.demo", "--port", str(taken[0]), "--app-port", str(free_port())]
        command += ["--metrics-port", str(taken[1])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (
        2,
        "",
        [
            f"Port {taken[0]} is taken; choose another one with PORT=.",
            f"Port {taken[1]} is taken; choose another one with METRICS_PORT=.",
        ],
    )


def test_one_port_cannot_serve_two() -> None:
    port = free_port()
    assert len(Ports(port, port, free_port()).find_taken()) == 2
