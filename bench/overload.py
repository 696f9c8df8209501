"""`python -m bench.overload`: how long polite clients wait, alone and beside a greedy and a slow client.

A real gateway with its defaults stands before a FHIR server that takes 5 ms for a read and 50 to 150 ms for a search,
whatever else it does, so that only the gateway can make anybody wait. Eight connections of four polite clients read;
one greedy client searches over 300 connections, and one slow client has 20 that send or take nearly nothing. Quiet and
loaded rounds take turns. Wall time counts here, so a busy machine disturbs it: look at the ratio, and repeat.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.overload_peers import ask_politely
from bench.servers import ROOT
from gateway.credentials.development_key import load_or_create_key, public_jwks, sign_access_token
from tests.servers.ports import free_port

_ISSUER, _BASE = "https://issuer.invalid", "https://gateway.invalid/fhir"
_POLITE = ("polite-1", "polite-2", "polite-3", "polite-4")
_CONNECTIONS, _GREEDY, _SLOW = 8, 300, 20
_GOAL = 2.0
# Seconds until the load is what it will be.
_WARM_UP = 1.5


@dataclass
class Waits:
    """The 50th and 99th percentiles of each round, in milliseconds."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    def add(self, seconds: list[float]) -> None:
        """Add a round."""
        cuts = statistics.quantiles(seconds, n=100)
        self.p50.append(cuts[49] * 1000)
        self.p99.append(cuts[98] * 1000)

    def __str__(self) -> str:
        middle = f"p50 {statistics.median(self.p50):6.1f} ms   p99 {statistics.median(self.p99):6.1f} ms"
        return f"{middle}   least disturbed p50 {min(self.p50):6.1f} ms   p99 {min(self.p99):6.1f} ms"


@dataclass(frozen=True, slots=True)
class Bench:
    """A running gateway, the file with the clients' tokens, and the port of its metrics."""

    port: int
    metrics_port: int
    tokens: Path

    @contextlib.contextmanager
    def load(self, *kinds: tuple[str, int]) -> Iterator[None]:
        """Clients of these kinds, with so many connections each, until the block ends."""
        with contextlib.ExitStack() as stack:
            for kind, count in kinds:
                stack.enter_context(
                    _process(["-m", "bench.overload_peers", kind, str(self.port), str(self.tokens), str(count)])
                )
            time.sleep(_WARM_UP if kinds else 0.0)
            yield

    async def wait_politely(self, seconds: float) -> list[float]:
        """The seconds of each read of the polite clients."""
        tokens, until = json.loads(self.tokens.read_text()), time.perf_counter() + seconds
        clients = (tokens[_POLITE[number % len(_POLITE)]] for number in range(_CONNECTIONS))
        return [
            wait
            for waits in await asyncio.gather(*(ask_politely(self.port, one, until) for one in clients))
            for wait in waits
        ]

    def decisions(self, client: str) -> dict[str, int]:
        """How often a client was answered for which reason."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as response:  # our own
            lines = response.read().decode().splitlines()
        found = {}
        for line in lines:
            if line.startswith("smart_gateway_client_decisions_total{") and f'client="{client}"' in line:
                found[line.partition('reason="')[2].partition('"')[0]] = int(float(line.rpartition(" ")[2]))
        return found


@contextlib.contextmanager
def _process(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def running_bench(folder: Path) -> Iterator[Bench]:
    """The gateway and its FHIR server. Raises `RuntimeError` if the gateway does not start."""
    key, upstream = load_or_create_key(folder / "key.json"), free_port()
    bench = Bench(free_port(), free_port(), folder / "tokens.json")
    (folder / "jwks.json").write_text(json.dumps(public_jwks(key)))
    names = (*_POLITE, "greedy", "slow")
    bench.tokens.write_text(json.dumps({name: sign_access_token(key, _claims(name)) for name in names}))
    settings = {
        "public_base_url": _BASE,
        "listen": {"port": bench.port},
        "metrics": {"port": bench.metrics_port},
        "upstream": {"base_url": f"http://127.0.0.1:{upstream}/fhir"},
        "issuers": [{"issuer": _ISSUER, "audiences": [_BASE], "jwks_file": str(folder / "jwks.json")}],
        "audit": {"destination": str(folder / "audit.ndjson")},
    }
    (folder / "gateway.yaml").write_text(json.dumps(settings))
    with (
        _process(["-m", "bench.overload_peers", "server", str(upstream), str(bench.tokens), "0"]),
        _process(["-m", "gateway", "serve", "--config", str(folder / "gateway.yaml")]) as gateway,
    ):
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{bench.port}/readyz").close()  # our own
                yield bench
                return
            if gateway.poll() is not None:
                break
            time.sleep(0.1)
    raise RuntimeError("The gateway did not start.")


def _claims(client: str) -> dict[str, object]:
    return {
        "iss": _ISSUER,
        "aud": _BASE,
        "sub": "someone",
        "client_id": client,
        "scope": "patient/*.rs",
        "patient": "a",
        "exp": int(time.time()) + 3600,
    }


def measure(bench: Bench, kinds: list[tuple[str, int]], rounds: int, seconds: float) -> tuple[Waits, Waits]:
    """The waits of quiet rounds and of loaded ones, which take turns."""
    quiet, loaded = Waits(), Waits()
    for number in range(rounds):
        for is_loaded in (False, True) if number % 2 == 0 else (True, False):
            with bench.load(*(kinds if is_loaded else ())):
                (loaded if is_loaded else quiet).add(uvloop.run(bench.wait_politely(seconds)))
    return quiet, loaded


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="quiet and loaded rounds, each")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a round")
    options = parser.parse_args()
    for name, kinds in (
        ("a greedy client that waits as told, and a slow one", [("greedy", _GREEDY), ("slow", _SLOW)]),
        ("a greedy client that goes on at once, and a slow one", [("stubborn", _GREEDY), ("slow", _SLOW)]),
    ):
        with tempfile.TemporaryDirectory() as folder, running_bench(Path(folder)) as bench:
            quiet, loaded = measure(bench, kinds, options.rounds, options.seconds)
            ratio, least = (
                statistics.median(loaded.p99) / statistics.median(quiet.p99),
                min(loaded.p99) / min(quiet.p99),
            )
            print(f"polite clients beside {name}")  # the result
            print(f"  quiet   {quiet}\n  loaded  {loaded}")
            print(f"  p99 is {ratio:.2f} times that of quiet, {least:.2f} undisturbed; the goal is at most {_GOAL:g}")
            print(f"  greedy: {bench.decisions('greedy')}  slow: {bench.decisions('slow')}\n")


if __name__ == "__main__":
    main()
