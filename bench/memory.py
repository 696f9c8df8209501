"""Resident memory of one gateway worker: at rest, and how far it grows while 200 MB pass through."""

from __future__ import annotations

import http.client
import time

from bench.answer import WrongAnswer
from bench.bodies import BINARY, LARGE_BYTES, write_binary
from bench.machine import Cores, forget_peak, resident
from bench.ratios import MemoryRow, memory_row
from bench.servers import Gateway, Place
from bench.tokens import SYSTEM_SCOPE

IDLE_MB = 70
GROWTH_MB = 32
_CHUNK = 1 << 20


def measure_memory(place: Place, cores: Cores, only: list[str]) -> list[MemoryRow]:
    """The rows `memory-idle` and `memory-stream-200mb`, or the one that is asked for."""
    wanted = set(only) or {"memory-idle", "memory-stream-200mb"}
    rows = []
    with Gateway(place, cores.server) as server:
        worker = max(server.family(), key=resident)
        if "memory-idle" in wanted:
            time.sleep(1)
            rows.append(memory_row("memory-idle", resident(worker), IDLE_MB))
        if "memory-stream-200mb" in wanted:
            write_binary(place.site)
            download(server, 1 << 20)
            before = resident(worker)
            forget_peak(worker)
            download(server, LARGE_BYTES)
            rows.append(memory_row("memory-stream-200mb", resident(worker, "VmHWM") - before, GROWTH_MB))
    return rows


def download(server: Gateway, least: int) -> None:
    """Read at least that many bytes of the large Binary, throwing each piece away; slower than the gateway can send."""
    token = server.place.issuer.token(SYSTEM_SCOPE)
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/fhir+ndjson, */*"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", BINARY, headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            said = answer.read(500).decode(errors="replace")
            raise WrongAnswer(f"{server.name} answered {answer.status} to {BINARY}: {said}\n  {server.log_end()}")
        got = 0
        while got < least and (piece := answer.read(_CHUNK)):
            got += len(piece)
        if got < least:
            raise WrongAnswer(f"{server.name} sent {got} bytes of {BINARY} instead of {least}")
    except http.client.HTTPException as error:
        raise WrongAnswer(f"{server.name} broke off in {BINARY}: {error!r}") from error
    finally:
        connection.close()
