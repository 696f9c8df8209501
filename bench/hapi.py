"""`python -m bench.hapi`: how long a real HAPI FHIR takes, directly and through the gateway, in turns."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from bench import wrk
from bench.bodies import PAGE, Site, observation
from bench.hapi_results import RESULTS, HapiRow, Measured, format_hapi_table, make_hapi_row, write_hapi_json
from bench.load import bearer_header
from bench.machine import MissingRequirement, cpu_seconds, machine_seconds, process_tree, require_tools
from bench.response_check import WrongResponse
from bench.servers import BenchSetup, Gateway
from bench.tokens import Issuer
from bench.wrk import UnusableRun
from tests.servers.hapi_server import start_hapi
from tests.servers.load import LoadError, load
from tests.servers.people import PATIENT_A
from tests.servers.population import transaction
from tests.servers.ports import free_port
from tests.servers.process import NotAvailable, StartError

# The search is the one that the gateway sends, so that HAPI does the same work on both sides.
REQUESTS = {
    "read": "/fhir/Observation/bench-0",
    "search": f"/fhir/Observation?patient=Patient/{PATIENT_A}&code=http://loinc.org%7C24323-8&_count={PAGE}",
}
CONNECTIONS = (1, 8)
PANELS = 2 * PAGE
_EPILOG = """\
HAPI is the one of the tests (Java 17; Maven for the first start), with their patients and 40 laboratory panels more.
HAPI, the gateway and wrk share all cores. A round is direct, gateway, gateway, direct; each figure is the median of its
runs. "added" is the gateway's median less the direct one; "share" is the gateway's CPU for a request beside HAPI's for
the same request. Goals: at most 0.3 ms added to a read over one connection, a share of at most 2 % of a search.
"others" are the cores that other processes used; a row with a star was disturbed by them.

    python -m bench.hapi                     five rounds of five seconds, about ten minutes
    python -m bench.hapi --quick             one round, two minutes: whether it works, not a result
    python -m scripts.document_tables        afterwards: write the figures into docs/performance.md

Exit status: 0 measured, whether goals are met or not; 1 not measured; 2 something is missing on this machine.
"""


class GatewayOfHapi(Gateway):
    """The gateway with what deploy/helm/smart-fhir-gateway/values-hapi.yaml sets for the connections to HAPI."""

    compression = "gzip"

    def settings(self) -> dict[str, Any]:
        """The configuration of the other rows, and the compression."""
        settings: dict[str, Any] = super().settings()
        settings["upstream"]["pool"] = {"compression": self.compression}
        return settings


@dataclass(frozen=True, slots=True)
class Sides:
    """HAPI and the gateway in front of it, and the header that both are asked with."""

    hapi_port: int
    hapi_pid: int
    gateway: Gateway
    headers: dict[str, str]

    def url(self, request: str, *, direct: bool) -> str:
        """The address of a request on one of the sides."""
        port = self.hapi_port if direct else self.gateway.port
        return f"http://127.0.0.1:{port}{REQUESTS[request]}"


def say(text: str) -> None:
    """Print progress without buffering."""
    print(text, flush=True)


def panels() -> dict[str, Any]:
    """A transaction of laboratory panels of one patient, so that a page of 20 is full."""
    resources = [observation(f"bench-{number}", PATIENT_A, 10) for number in range(PANELS)]
    # HAPI makes `meta` itself, and has none of these records.
    unknown = {"meta", "encounter", "performer"}
    return transaction([{name: one[name] for name in one if name not in unknown} for one in resources])


@contextmanager
def running_sides() -> Iterator[Sides]:
    """Start HAPI with its records, and the gateway."""
    port = free_port()
    with start_hapi(port=port) as hapi, tempfile.TemporaryDirectory(prefix="bench-hapi-") as folder:
        load(hapi.base_url, [panels()])
        issuer = Issuer()
        setup = BenchSetup(Path(folder), Site(Path(folder)), issuer, port, envoy=Path())
        with GatewayOfHapi(setup, None) as gateway:
            headers = {**bearer_header(issuer.token(patient=PATIENT_A)), "Accept": "application/fhir+json"}
            yield Sides(port, hapi.process.pid, gateway, headers)


def check_answers(sides: Sides) -> None:
    """Raise `WrongResponse` unless both sides answer every request with the same resources."""
    for request in REQUESTS:
        answers = []
        for direct in (True, False):
            response = httpx2.get(sides.url(request, direct=direct), headers=sides.headers, trust_env=False, timeout=60)
            if response.status_code != 200:
                raise WrongResponse(f"{request}: {response.status_code} {response.text[:500]}")
            body = response.json()
            answers.append([entry["resource"]["id"] for entry in body["entry"]] if "entry" in body else body["id"])
        if answers[0] != answers[1]:
            raise WrongResponse(f"{request}: HAPI answers {answers[0]}, and the gateway {answers[1]}")
        if request == "search" and len(answers[0]) != PAGE:
            raise WrongResponse(f"search: a page of {len(answers[0])} entries instead of {PAGE}")


def run_load(sides: Sides, request: str, connections: int, seconds: float, *, direct: bool) -> Measured:
    """One run of wrk. Raises `UnusableRun` if an answer was an error."""
    url = sides.url(request, direct=direct)
    script = sides.gateway.file(".lua", wrk.make_script(REQUESTS[request], None))
    headers = [f"{name}: {value}" for name, value in sides.headers.items()]
    command = [*wrk.make_command(url, script, seconds, connections, headers), "--timeout", "30s"]
    hapi, gateway = process_tree(sides.hapi_pid), sides.gateway.pids()

    def read_clocks() -> tuple[float, ...]:
        return machine_seconds(), cpu_seconds(hapi), cpu_seconds(gateway), sum(os.times()[:4]), time.monotonic()

    before = read_clocks()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    machine, in_hapi, in_gateway, own, wall = (late - early for late, early in zip(read_clocks(), before, strict=True))
    summary = wrk.check_summary(wrk.parse_summary(done.stdout + done.stderr), url)
    p50, p99 = wrk.parse_latency(done.stdout)
    return Measured(
        p50_ms=p50,
        p99_ms=p99,
        rps=summary.requests / summary.wall_seconds,
        hapi_cpu_ms=1000 * in_hapi / summary.requests,
        gateway_cpu_ms=1000 * in_gateway / summary.requests,
        foreign_cores=max(0.0, (machine - in_hapi - in_gateway - own) / wall),
    )


def measure_row(sides: Sides, request: str, connections: int, rounds: int, seconds: float) -> HapiRow:
    """All rounds of one request over so many connections, after a warm-up of both sides."""
    say(f"{request} over {connections} connection{'s' if connections > 1 else ''}: warming up")
    runs: dict[bool, list[Measured]] = {True: [], False: []}
    for direct in (True, False):
        run_load(sides, request, connections, seconds, direct=direct)
    for number in range(1, rounds + 1):
        for direct in (True, False, False, True):
            measured = run_load(sides, request, connections, seconds, direct=direct)
            runs[direct].append(measured)
            say(
                f"  {number}/{rounds} {'direct ' if direct else 'gateway'} p50 {measured.p50_ms:7.2f} ms  "
                f"p99 {measured.p99_ms:7.2f} ms  {measured.rps:6.0f}/s  (others {measured.foreign_cores:.2f} cores)"
            )
    return make_hapi_row(request, connections, runs[True], runs[False])


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.hapi",
        description="Measure HAPI FHIR directly and through the gateway, in one run: reads, and searches of 20.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one short round; writes no file without --output")
    parser.add_argument("--rounds", type=int, default=5, help="rounds for each row (5)")
    parser.add_argument("--seconds", type=int, default=5, help="seconds for each of the four runs of a round (5)")
    parser.add_argument("--output", type=Path, help="where to write the JSON (bench/results/hapi.json)")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    return arguments


def _exit_on_signal(*_: object) -> None:
    """Exit by an exception, so that both servers are stopped."""
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    """Measure all rows, print the table and write it."""
    arguments = parse_arguments()
    rounds, seconds = (1, 4) if arguments.quick else (arguments.rounds, arguments.seconds)
    signal.signal(signal.SIGTERM, _exit_on_signal)
    started = time.monotonic()
    try:
        require_tools()
        with running_sides() as sides:
            check_answers(sides)
            rows = [
                measure_row(sides, request, connections, rounds, seconds)
                for request in REQUESTS
                for connections in CONNECTIONS
            ]
    except (MissingRequirement, NotAvailable) as missing:
        print(missing, file=sys.stderr)
        return 2
    except (StartError, LoadError, WrongResponse, UnusableRun, OSError, subprocess.CalledProcessError) as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return 1
    say(f"\n{format_hapi_table(rows)}\n\n{time.monotonic() - started:.0f} s")
    output = arguments.output or (None if arguments.quick else RESULTS)
    if output:
        write_hapi_json(output, rows, {"cores": os.cpu_count(), "rounds": rounds, "seconds_each": seconds})
        say(f"Written to {output}. Next: python -m scripts.document_tables")
    return 0


if __name__ == "__main__":
    sys.exit(main())
