"""The hostile server: every mode answers, has a sentence, and marks what is B's."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.servers.hostile import (
    A_MARKER,
    B_MARKER,
    PATIENT_A,
    HostileProcess,
    Mode,
    RunningHostile,
    hostile_in_loop,
    start_hostile,
)
from tests.servers.hostile.server import RESPONSES

ENDLESS = {Mode.ENDLESS_BODY, Mode.SLOW_BODY, Mode.SILENT, Mode.HEADER_FLOOD}
HUGE = {Mode.HUGE_BODY, Mode.HUGE_STRING}
"""Modes of which a test reads the beginning only."""

ENCODED = {Mode.GZIP_UNASKED, Mode.GZIP_BOMB, Mode.UTF_16}
NOTHING_OF_B = {
    Mode.HONEST,
    Mode.EVIL_LINKS,
    Mode.WRONG_TOTAL,
    Mode.HUGE_STRING,
    Mode.SILENT,
    Mode.CLOSES_AT_ONCE,
}
"""Modes that do harm without B's data."""

TARGETS = (
    ("GET", f"/Patient/{PATIENT_A}"),
    ("GET", "/Observation/a-1"),
    ("GET", "/Observation/a-1/_history/1"),
    ("GET", "/Observation/a-1/_history"),
    ("GET", f"/Observation?patient={PATIENT_A}"),
    ("GET", f"/Patient/{PATIENT_A}/$everything"),
    ("GET", "?_getpages=handle&_getpagesoffset=2"),
    ("GET", "/bulk/1/Observation.ndjson"),
    ("GET", "/metadata"),
    ("POST", "/Observation"),
    ("POST", ""),
)


@pytest.fixture
async def hostile() -> AsyncIterator[RunningHostile]:
    async with hostile_in_loop() as server:
        yield server


@pytest.fixture(scope="module")
def process() -> Iterator[HostileProcess]:
    with start_hostile() as server:
        yield server


async def raw(server: RunningHostile, mode: Mode, method: str, path: str, limit: int = 200_000) -> bytes:
    """The first bytes of an answer, as they come over the wire within half a second."""
    address = urlsplit(server.root)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    body = b'{"resourceType": "Bundle", "entry": [{"request": {"method": "GET", "url": "Observation"}}]}'
    length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
    head = f"{method} /{mode}/fhir{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-None-Match: x\r\n{length}\r\n"
    writer.write(head.encode() + (body if length else b""))
    received = bytearray()
    try:
        async with asyncio.timeout(0.5 if mode in ENDLESS | HUGE else 10):
            while len(received) < limit and (more := await reader.read(65536)):
                received += more
    except TimeoutError:
        assert mode in ENDLESS | HUGE
    finally:
        writer.close()
        await writer.wait_closed()
    return bytes(received)


def test_every_mode_has_a_sentence_and_an_answer() -> None:
    assert set(RESPONSES) == set(Mode)
    for mode in Mode:
        assert re.fullmatch(r"[A-Z0-9`A-Z].*\.", mode.sentence), mode


@pytest.mark.parametrize("mode", Mode)
async def test_a_mode_answers_and_what_it_steals_is_marked(mode: Mode, hostile: RunningHostile) -> None:
    answers = [
        await raw(hostile, mode, method, path) for method, path in TARGETS[: 2 if mode in ENDLESS | HUGE else None]
    ]
    seen = b"".join(answers)
    if mode in ENCODED:
        bodies = [answer.partition(b"\r\n\r\n")[2] for answer in answers]
        seen = b"".join(
            zlib.decompressobj(wbits=31).decompress(body, 100_000) for body in bodies if body[:2] == b"\x1f\x8b"
        )
        seen += b"".join(body.decode("utf-16", "replace").encode() for body in bodies if body[:2] == b"\xff\xfe")
    if mode in NOTHING_OF_B:
        assert B_MARKER.encode() not in seen
    elif mode is not Mode.SLOW_BODY:
        assert B_MARKER.encode() in seen


async def test_a_server_in_the_loop_tells_what_it_was_asked(hostile: RunningHostile) -> None:
    await raw(hostile, Mode.HONEST, "GET", "/Observation/b-1/_history")
    [request] = hostile.requests()
    assert request["target"] == "/honest/fhir/Observation/b-1/_history"
    hostile.clear_requests()
    assert hostile.requests() == []


async def test_the_honest_mode_holds_a_alone(hostile: RunningHostile) -> None:
    async with httpx2.AsyncClient(base_url=hostile.base(Mode.HONEST), trust_env=False) as client:
        found = (await client.get("/Observation?patient=anybody")).json()
        assert [entry["resource"]["subject"]["reference"] for entry in found["entry"]] == [f"Patient/{PATIENT_A}"] * 2
        assert A_MARKER in (await client.get(f"/Patient/{PATIENT_A}")).text
        assert A_MARKER in (await client.get("/Patient/_history")).text
        for unknown in ("/Patient/pat-b", "/Observation/b-1", "/Observation/b-1/_history"):
            assert (await client.get(unknown)).status_code == 404, unknown


def test_it_tells_what_it_was_asked(process: HostileProcess) -> None:
    process.clear_requests()
    httpx2.get(f"{process.base(Mode.ONLY_B)}/Observation?code=1", headers={"X-Probe": "seen"}, trust_env=False)
    [request] = process.requests()
    assert request["target"] == "/only-b/fhir/Observation?code=1"
    assert ["x-probe", "seen"] in request["headers"]


def test_an_unknown_mode_is_named_as_such(process: HostileProcess) -> None:
    assert "no-such-mode" in httpx2.get(f"{process.root}/no-such-mode/fhir/Patient", trust_env=False).text
