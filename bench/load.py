"""One run of load: wrk against a server, the server's CPU time around it, and what other processes took meanwhile."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import wrk
from bench.answer import WrongAnswer, ask, linked, look
from bench.machine import Cores, cpu_seconds, machine_seconds, pinned
from bench.ratios import Round, Run
from bench.scenarios import Load, Tokens
from bench.servers import Place, Server

_GLANCE = 0.5


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
        return bearer(self.token)


def bearer(token: str) -> dict[str, str]:
    """The one header that every request carries."""
    return {"Authorization": f"Bearer {token}"}


def prepare(place: Place, server: Server, load: Load, label: str) -> Side:
    """Make the tokens and the wrk script of one side, and ask for the page whose link it follows, if it follows one."""
    tokens = None
    if load.tokens is not Tokens.ONE:
        tokens = place.issuer.write_tokens(place.folder / f"{label}.tokens", load.tokens.value)
    token = place.issuer.token(load.scope)
    path = load.path
    if load.follow is not None:
        path = linked(ask(server, load.path, bearer(token)), load.follow)
    script = place.folder / f"{label}.lua"
    script.write_text(wrk.script(path, tokens))
    return Side(server, load, path, token, script)


def check(side: Side) -> None:
    """Ask once and look at the answer: status 200, the resource or the number of entries, nobody else's data."""
    answer = ask(side.server, side.path, side.headers)
    try:
        look(answer, side.load.entries)
    except WrongAnswer as error:
        raise WrongAnswer(f"{side.server.name} at {side.path}: {error}") from error


class Bench:
    """The instrument: it knows which processes belong to the benchmark, so that it can tell what others used."""

    def __init__(self, cores: Cores, own: int, seconds: float) -> None:
        self._cores = cores
        self._own = own
        self._seconds = seconds
        self._servers: list[Server] = []

    def watch(self, servers: Sequence[Server]) -> None:
        """The servers that are up now, the one under test and those that wait."""
        self._servers = list(servers)

    def run(self, side: Side, seconds: float | None = None) -> Run:
        """Send the load once; raises `wrk.BadRun` when some answers were errors."""
        line = wrk.command(
            side.server.url(side.path),
            side.script,
            seconds or self._seconds,
            side.load.connections,
            [f"{name}: {value}" for name, value in side.headers.items()],
        )
        server = side.server.family()
        known = [self._own, *(pid for one in self._servers for pid in one.family())]
        before = (machine_seconds(), cpu_seconds(known), _children(), cpu_seconds(server), time.monotonic())
        done = subprocess.run(pinned(self._cores.load, line), capture_output=True, text=True, check=False)
        after = (machine_seconds(), cpu_seconds(known), _children(), cpu_seconds(server), time.monotonic())
        machine, ours, load, used, wall = (late - early for late, early in zip(after, before, strict=True))
        summary = wrk.usable(wrk.parse(done.stdout + done.stderr), side.server.url(side.path))
        foreign = max(0.0, (machine - ours - load) / wall)
        return Run(summary.requests, used, summary.wall_seconds, foreign, side.load.units)

    def round(self, ours: Side, peer: Side) -> Round:
        """A B B A."""
        first, second, third, fourth = (self.run(side) for side in (ours, peer, peer, ours))
        return Round(ours=(first, fourth), peer=(second, third))

    def wait_for_quiet(self, quiet: float, patience: float) -> None:
        """Wait until others use no more than `quiet` cores, at most `patience` seconds: it saves discarded rounds."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            before = (machine_seconds(), time.monotonic())
            time.sleep(_GLANCE)
            if (machine_seconds() - before[0]) / (time.monotonic() - before[1]) <= quiet:
                return

    def warm(self, side: Side) -> None:
        """Let a server fill its caches and pools; with many tokens, until each has been seen once."""
        self.run(side, 2.0)
        left = 0 if side.load.tokens is Tokens.ONE else side.load.tokens.value
        while left > 0:
            left -= self.run(side, 1.0).requests


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
