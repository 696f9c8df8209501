"""Bulk export: the CPU time of judging lines beside that of decoding them, and the memory while 500 MB are judged.

The peer is no server but the least work: msgspec's partial decoding of the same lines, one level deep, as everywhere in
the gateway. `python -m bench.export` prints the throughput for several grants and styles of JSON.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator

import msgspec

from bench import bodies
from bench.bodies import EXPORT, EXPORT_BYTES, write_export
from bench.machine import Cores, cpu_seconds, machine_seconds, reset_peak, resident_memory
from bench.ratios import Goal, MemoryRow, Round, Row, Run, at_least, make_memory_row, make_row
from bench.response_check import WrongResponse
from bench.servers import BenchSetup, Gateway, Server
from gateway.fhir.resources.links import UrlRewriter
from gateway.policy.judgement.judge_export_lines import LineJudge
from gateway.policy.permission.access import Access
from gateway.policy.permission.export_permission import export_permission
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.rules import Rules
from gateway.scopes.parse_scopes import parse_scopes

NAME = "export-lines"
MEMORY_NAME = "memory-export-500mb"
GOAL: Goal = at_least(0.8)
GROWTH_MB = 32
SCOPE = "system/Observation.rs?category=laboratory"
_PUBLIC, _SERVER = "https://gateway.invalid/fhir", "http://127.0.0.1:8080/fhir"
_LINES = 20_000
# As much as arrives in one piece while a body is streamed.
_BLOCK = 64 * 1024
_CHUNK = 1 << 20
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _lines(analytes: int) -> list[bytes]:
    return [bodies.compact(bodies.observation(f"obs-{at}", f"p{at % 97}", analytes)) + b"\n" for at in range(_LINES)]


def _blocks(lines: list[bytes]) -> list[bytes]:
    blocks, block = [], b""
    for line in lines:
        block += line
        if len(block) >= _BLOCK:
            blocks.append(block)
            block = b""
    return [*blocks, block] if block else blocks


class Verifier:
    """Judges blocks of lines like the gateway, URLs included."""

    def __init__(self, scope: str = SCOPE) -> None:
        grant = Grant(Access("https://issuer.invalid", "app", "user", parse_scopes(scope).scopes, 0.0), _RULES)
        self.judge = LineJudge(export_permission(grant, "Observation"), grant)
        self._rewriter = UrlRewriter(_SERVER, _PUBLIC)

    def verify(self, block: bytes) -> bytes:
        """What leaves of the block."""
        return self._rewriter.rewrite(self.judge.judge(block))


_RULES = Rules(_PUBLIC, _SERVER)


def decode(block: bytes) -> None:
    """Decode each line one level deep."""
    for line in block.splitlines():
        _DECODER.decode(line)


def _cpu_seconds(work: Callable[[bytes], object], blocks: list[bytes]) -> float:
    started = time.process_time()
    for block in blocks:
        work(block)
    return time.process_time() - started


def measure_lines(rounds: int, quiet: float) -> Row:
    """The row `export-lines`: a megabyte of lines of 1.1 KB is what the CPU time is divided by."""
    blocks = _blocks(_lines(2))
    megabytes = sum(map(len, blocks)) // 1_000_000
    verifier = Verifier()
    measured = []
    for _ in range(rounds):
        runs = []
        for work in (verifier.verify, decode, decode, verifier.verify):
            before, started = machine_seconds(), time.monotonic()
            seconds = _cpu_seconds(work, blocks)
            elapsed = time.monotonic() - started
            foreign = max(0.0, (machine_seconds() - before - seconds) / elapsed)
            runs.append(Run(megabytes, seconds, elapsed, foreign))
        measured.append(Round((runs[0], runs[3]), (runs[1], runs[2])))
    return make_row(NAME, "msgspec", measured, rounds, quiet, GOAL)


def measure_export_memory(setup: BenchSetup, cores: Cores) -> MemoryRow:
    """The row of how much the worker grows while 500 MB are judged. Prints the megabytes for each second of its CPU."""
    write_export(setup.site)
    with Gateway(setup, cores.server) as server:
        worker = max(server.pids(), key=resident_memory)
        url = _file_link(server)
        _download(server, url, 1 << 20)
        before, cpu = resident_memory(worker), cpu_seconds([worker])
        reset_peak(worker)
        received = _download(server, url, EXPORT_BYTES)
        print(f"  {received / 1e6 / (cpu_seconds([worker]) - cpu):.0f} MB judged for each second of CPU", flush=True)
        return make_memory_row(MEMORY_NAME, resident_memory(worker, "VmHWM") - before, GROWTH_MB)


def _request(server: Server, path: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    headers = {"Authorization": f"Bearer {server.setup.issuer.token(SCOPE)}", "Prefer": "respond-async"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path, headers=headers)
    return connection, connection.getresponse()


def _file_link(server: Server) -> str:
    """The path and query of the gateway's link to the file."""
    connection, response = _request(server, "/fhir/$export")
    job = response.headers["Content-Location"]
    connection.close()
    if response.status != 202:
        raise WrongResponse(f"{server.name} sent {response.status} for a kick-off\n  {server.log_end()}")
    connection, response = _request(server, job.removeprefix("https://gateway.invalid"))
    manifest = json.loads(response.read())
    connection.close()
    url: str = manifest["output"][0]["url"]
    return url.removeprefix("https://gateway.invalid")


def _download(server: Server, path: str, minimum: int) -> int:
    connection, response = _request(server, path)
    received = 0
    while received < minimum and (piece := response.read(_CHUNK)):
        received += len(piece)
    connection.close()
    if received < minimum:
        raise WrongResponse(f"{server.name} sent {received} bytes of {EXPORT} instead of {minimum}")
    return received


def _variants() -> Iterator[tuple[str, str, list[bytes]]]:
    """Name, scope and blocks of each line of the table."""
    short, usual, long = (_blocks(_lines(analytes)) for analytes in (0, 2, 10))
    for name, blocks in (("0.7 KB", short), ("1.1 KB", usual), ("2.8 KB", long)):
        yield f"{name}, a type", "system/Observation.rs", blocks
        yield f"{name}, a category", SCOPE, blocks
    yield "1.1 KB, a code", "system/Observation.rs?code=24323-8", usual
    halves = [line.replace(b'"laboratory"', b'"vital-signs"') if at % 2 else line for at, line in enumerate(_lines(2))]
    yield "1.1 KB, half dropped", SCOPE, _blocks(halves)
    umlauts = [line.replace(b"Comprehensive", b"Gro\\u00dfe") for line in _lines(2)]
    yield "1.1 KB, escapes", SCOPE, _blocks(umlauts)
    yield "1.1 KB, spaces", SCOPE, _blocks([json.dumps(json.loads(line)).encode() + b"\n" for line in _lines(2)])


def main() -> int:
    """Print the table."""
    print(f"{'lines':28}{'judged MB/s':>12}{'decoded MB/s':>14}{'ratio':>8}")
    for name, scope, blocks in _variants():
        verifier, size = Verifier(scope), sum(map(len, blocks)) / 1e6
        judged = min(_cpu_seconds(verifier.verify, blocks) for _ in range(9))
        decoded = min(_cpu_seconds(decode, blocks) for _ in range(9))
        print(f"{name:28}{size / judged:>12.0f}{size / decoded:>14.0f}{decoded / judged:>8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
