"""Resident memory of one gateway worker: idle, and its growth while much is streamed, uploaded and judged."""

from __future__ import annotations

import http.client
import time

from bench.bodies import BINARIES, BINARY, LARGE_BYTES, PATIENT, UPLOADED_BYTES, write_binary
from bench.export import MEMORY_NAME as EXPORT_MEMORY
from bench.export import measure_export_memory
from bench.machine import Cores, reset_peak, resident_memory
from bench.ratios import MemoryRow, make_memory_row
from bench.response_check import WrongResponse
from bench.scenarios import MEMORY
from bench.servers import BenchSetup, Gateway
from bench.tokens import SYSTEM_SCOPE, WRITE_SCOPE

IDLE_MB = 70
GROWTH_MB = 32
_CHUNK = 1 << 20


def measure_memory(setup: BenchSetup, cores: Cores, only: list[str]) -> list[MemoryRow]:
    """All rows of `MEMORY`, or those named in `only`."""
    names = set(only) or set(MEMORY)
    rows = []
    with Gateway(setup, cores.server) as server:
        worker = max(server.pids(), key=resident_memory)
        if "memory-idle" in names:
            time.sleep(1)
            rows.append(make_memory_row("memory-idle", resident_memory(worker), IDLE_MB))
        if "memory-stream-200mb" in names:
            write_binary(setup.site)
            download(server, 1 << 20)
            before = resident_memory(worker)
            reset_peak(worker)
            download(server, LARGE_BYTES)
            rows.append(make_memory_row("memory-stream-200mb", resident_memory(worker, "VmHWM") - before, GROWTH_MB))
        if "memory-upload-64mb" in names:
            upload(server, 1 << 20)
            before = resident_memory(worker)
            reset_peak(worker)
            upload(server, UPLOADED_BYTES)
            rows.append(make_memory_row("memory-upload-64mb", resident_memory(worker, "VmHWM") - before, GROWTH_MB))
    if EXPORT_MEMORY in names:
        rows.append(measure_export_memory(setup, cores))
    return rows


def upload(server: Gateway, size: int) -> None:
    """Create a Binary of that many bytes, of which the gateway reads as much as the FHIR server takes."""
    token = server.setup.issuer.token(WRITE_SCOPE)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/pdf",
        "Content-Length": str(size),
        "X-Security-Context": f"Patient/{PATIENT}",
    }
    pieces = (bytes(min(_CHUNK, size - start)) for start in range(0, size, _CHUNK))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", BINARIES, body=pieces, headers=headers)
        response = connection.getresponse()
        excerpt = response.read(500).decode(errors="replace")
        if response.status != 201:
            raise WrongResponse(f"{server.name} sent {response.status} for an upload: {excerpt}\n  {server.log_end()}")
    except http.client.HTTPException as error:
        raise WrongResponse(f"{server.name} broke off an upload: {error!r}") from error
    finally:
        connection.close()


def download(server: Gateway, minimum: int) -> None:
    """Read at least that many bytes of the large Binary and discard them, slower than the gateway can send."""
    token = server.setup.issuer.token(SYSTEM_SCOPE)
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/fhir+ndjson, */*"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", BINARY, headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            excerpt = response.read(500).decode(errors="replace")
            raise WrongResponse(f"{server.name} sent {response.status} for {BINARY}: {excerpt}\n  {server.log_end()}")
        received = 0
        while received < minimum and (piece := response.read(_CHUNK)):
            received += len(piece)
        if received < minimum:
            raise WrongResponse(f"{server.name} sent {received} bytes of {BINARY} instead of {minimum}")
    except http.client.HTTPException as error:
        raise WrongResponse(f"{server.name} broke off in {BINARY}: {error!r}") from error
    finally:
        connection.close()
