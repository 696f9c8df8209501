"""One run of load: wrk against a server, the server's CPU time, and the CPU time of other processes."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import wrk
from bench.machine import Cores, cpu_seconds, machine_seconds, pin_to_core
from bench.ratios import Round, Run
from bench.response_check import (
    WrongResponse,
    check_answers,
    check_resource,
    fetch_resource,
    link_target,
    write_resource,
)
from bench.scenarios import Load, Tokens
from bench.servers import BenchSetup, Server

_SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Side:
    """A running server and the load for it, ready to be sent."""

    server: Server
    load: Load
    path: str
    token: str
    script: Path

    @property
    def headers(self) -> dict[str, str]:
        return bearer_header(self.token)


def bearer_header(token: str) -> dict[str, str]:
    """The header that every request carries."""
    return {"Authorization": f"Bearer {token}"}


def prepare_side(setup: BenchSetup, server: Server, load: Load, label: str) -> Side:
    """Make the tokens and the wrk script of one side, and request the page whose link it follows, if any."""
    tokens = None
    if load.tokens is not Tokens.ONE:
        tokens = setup.issuer.write_tokens(setup.folder / f"{label}.tokens", load.tokens.value)
    token = setup.issuer.token(load.scope)
    path = load.path
    if load.follow is not None:
        path = link_target(fetch_resource(server, load.path, bearer_header(token)), load.follow)
    script = setup.folder / f"{label}.lua"
    script.write_text(
        wrk.make_write_script(load.write.method, load.write.bodies) if load.write else wrk.make_script(path, tokens)
    )
    return Side(server, load, path, token, script)


def check_side(side: Side) -> None:
    """Check one response: its status, the resource or the number of entries, no data of another patient."""
    if side.load.write is None:
        resource = fetch_resource(side.server, side.path, side.headers)
    else:
        path, body = side.load.write.bodies[0]
        resource = write_resource(side.server, side.load.write.method, path, body, side.headers)
    try:
        if side.load.records > 1:
            check_answers(resource, side.load.records)
        else:
            check_resource(resource, side.load.entries)
    except WrongResponse as error:
        raise WrongResponse(f"{side.server.name} at {side.path}: {error}") from error


class LoadRunner:
    """Runs the load. It knows the processes of the benchmark, so it can measure the CPU time of all others."""

    def __init__(self, cores: Cores, benchmark_pid: int, seconds: float) -> None:
        self._cores = cores
        self._benchmark_pid = benchmark_pid
        self._seconds = seconds
        self._servers: list[Server] = []

    def set_servers(self, servers: Sequence[Server]) -> None:
        """Set the servers that are running now, the one under test and those that wait."""
        self._servers = list(servers)

    def run(self, side: Side, seconds: float | None = None) -> Run:
        """Send the load once; raises `wrk.BadRun` when some answers were errors."""
        command = wrk.make_command(
            side.server.url(side.path),
            side.script,
            seconds or self._seconds,
            side.load.connections,
            [f"{name}: {value}" for name, value in side.headers.items()],
        )
        server = side.server.pids()
        benchmark_pids = [self._benchmark_pid, *(pid for other in self._servers for pid in other.pids())]
        before = (
            machine_seconds(),
            cpu_seconds(benchmark_pids),
            _children_cpu_seconds(),
            cpu_seconds(server),
            time.monotonic(),
        )
        done = subprocess.run(pin_to_core(self._cores.load, command), capture_output=True, text=True, check=False)
        after = (
            machine_seconds(),
            cpu_seconds(benchmark_pids),
            _children_cpu_seconds(),
            cpu_seconds(server),
            time.monotonic(),
        )
        machine, ours, load, used, wall = (late - early for late, early in zip(after, before, strict=True))
        summary = wrk.check_summary(wrk.parse_summary(done.stdout + done.stderr), side.server.url(side.path))
        foreign = max(0.0, (machine - ours - load) / wall)
        return Run(summary.requests, used, summary.wall_seconds, foreign, side.load.units)

    def measure_round(self, ours: Side, peer: Side) -> Round:
        """Four runs in the order ours, peer, peer, ours."""
        first, second, third, fourth = (self.run(side) for side in (ours, peer, peer, ours))
        return Round(ours=(first, fourth), peer=(second, third))

    def wait_for_quiet(self, quiet: float, patience: float) -> None:
        """Wait until others use at most `quiet` cores, but no longer than `patience` seconds."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            before = (machine_seconds(), time.monotonic())
            time.sleep(_SAMPLE_SECONDS)
            if (machine_seconds() - before[0]) / (time.monotonic() - before[1]) <= quiet:
                return

    def warm_up(self, side: Side) -> None:
        """Let a server fill its caches and pools; with many tokens, until each has been used once."""
        self.run(side, 2.0)
        remaining = 0 if side.load.tokens is Tokens.ONE else side.load.tokens.value
        while remaining > 0:
            remaining -= self.run(side, 1.0).requests


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
