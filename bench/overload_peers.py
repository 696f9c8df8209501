"""The processes beside the gateway in `bench.overload`: a slow FHIR server, and clients of three kinds."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

from bench import bodies

# Seconds that the FHIR server takes, whatever else it does: at least, and at most.
READ_SECONDS, SEARCH_SECONDS = (0.004, 0.006), (0.05, 0.15)
READ_TARGET, SEARCH_TARGET = "/fhir/Observation/obs-1", f"/fhir/Observation?code=all&_count={bodies.PAGE}"
# Seconds between the answer to a polite client and its next request.
_PAUSE = 0.02


class _FhirServer(asyncio.Protocol):
    """Answers each request of a connection after its time: a record, or a page of 60 KB."""

    page = bodies.compact(bodies.searchset([bodies.PATIENT] * bodies.PAGE))
    statement = bodies.compact(bodies.capability_statement())
    record = json.dumps(
        {
            "resourceType": "Observation",
            "id": "obs-1",
            "status": "final",
            "code": {"text": "x" * 1800},
            "subject": {"reference": f"Patient/{bodies.PATIENT}"},
        }
    ).encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            target = head.split(b" ", 2)[1]
            if target.endswith(b"/metadata"):
                self._answer(self.statement)
            elif b"/obs-1" in target:
                asyncio.get_running_loop().call_later(random.uniform(*READ_SECONDS), self._answer, self.record)
            else:
                asyncio.get_running_loop().call_later(random.uniform(*SEARCH_SECONDS), self._answer, self.page)

    def _answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json\r\ncontent-length: %d\r\n\r\n" % len(body)
        cast("asyncio.Transport", self._transport).write(head + body)


def head(method: str, target: str, token: str, *fields: str) -> bytes:
    """The head of a request."""
    lines = [f"{method} {target} HTTP/1.1", "host: gateway", f"authorization: Bearer {token}", *fields, "", ""]
    return "\r\n".join(lines).encode()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, float]:
    """Send a request and read its response: the status, and the seconds of its `Retry-After`."""
    writer.write(request)
    received = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in received.split(b"\r\n")[1:-2])
    await reader.readexactly(int(fields[b"content-length"]))
    return int(received[9:12]), float(fields.get(b"retry-after", b"0"))


async def ask_politely(port: int, token: str, until: float) -> list[float]:
    """The seconds of each read of a client that asks, takes the answer, and waits a moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request, times = head("GET", READ_TARGET, token), []
    while time.perf_counter() < until:
        started_at = time.perf_counter()
        status, _ = await exchange(reader, writer, request)
        if status != 200:
            raise RuntimeError(f"A polite client was answered {status}.")
        times.append(time.perf_counter() - started_at)
        await asyncio.sleep(_PAUSE)
    writer.close()
    return times


async def _be_greedy(port: int, token: str, *, is_stubborn: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = head("GET", SEARCH_TARGET, token)
    while True:
        _, wait = await exchange(reader, writer, request)
        if wait and not is_stubborn:
            await asyncio.sleep(wait)


async def _be_slow(port: int, token: str, number: int) -> None:
    """Send a body byte by byte, or take nothing of many pages; and begin again when that is ended."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            if number % 2:
                form = ("content-type: application/x-www-form-urlencoded", "content-length: 1000")
                writer.write(head("POST", "/fhir/Observation/_search", token, *form))
                while not reader.at_eof():
                    writer.write(b"a")
                    await writer.drain()
                    await asyncio.sleep(0.5)
            else:
                cast("asyncio.Transport", writer.transport).pause_reading()
                writer.write(head("GET", SEARCH_TARGET, token) * 50)
                await asyncio.sleep(60)
        except ConnectionError:
            await asyncio.sleep(0.1)
        writer.close()


async def _run(kind: str, port: int, tokens: dict[str, str], count: int) -> None:
    if kind == "server":
        server = await asyncio.get_running_loop().create_server(_FhirServer, "127.0.0.1", port)
        await server.serve_forever()
    elif kind == "slow":
        await asyncio.gather(*(_be_slow(port, tokens["slow"], number) for number in range(count)))
    else:
        is_stubborn = kind == "stubborn"
        await asyncio.gather(*(_be_greedy(port, tokens["greedy"], is_stubborn=is_stubborn) for _ in range(count)))


if __name__ == "__main__":
    _kind, _port, _file, _count = sys.argv[1:]
    uvloop.run(_run(_kind, int(_port), json.loads(Path(_file).read_text()), int(_count)))
