"""Raw content on its way to the FHIR server: in pieces, within a bound, and never a part of it as the whole."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.asgi.types import Receive, Scope, Send
from gateway.proxy.writing import binary_upload
from tests.proxy.running_gateway import RunningGateway, running_gateway, serve_on
from tests.proxy.writing.writes import EVERYTHING, reason_of
from tests.servers.ports import free_port

BLOCK = bytes(range(256)) * 256
OWNER = {"content-type": "application/octet-stream", "x-security-context": "Patient/pat-a"}
# What the kernel holds on both connections, and the transports and uvicorn before they wait.
BUFFERS = 16 << 20


class SlowServer:
    """Reads a body piece by piece, and has nothing stored but the Patient."""

    def __init__(self) -> None:
        self.received = 0
        self.writes: list[bytes] = []
        self.has_received, self.was_left = asyncio.Event(), asyncio.Event()
        self.status = 201
        self.keeps_bodies = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        kept, has_more = [], True
        while has_more and (self.status < 300 or scope["method"] == "GET"):
            message = await receive()
            if message["type"] == "http.disconnect":
                self.was_left.set()
                return
            piece = message.get("body", b"")
            self.received += len(piece)
            if piece:
                self.has_received.set()
            if self.keeps_bodies:
                kept.append(piece)
            has_more = message.get("more_body", False)
        if scope["method"] != "GET":
            self.writes.append(b"".join(kept))
        resource = {"resourceType": "Binary", "id": "new", "securityContext": {"reference": "Patient/pat-a"}}
        if scope["method"] == "GET":
            resource = {"resourceType": "Patient", "id": "pat-a"}
        answer = {**resource, "meta": {"versionId": "7"}, **({"data": "QUJD" * 500_000} if self.writes else {})}
        headers = [(b"content-type", b"application/fhir+json"), (b"location", b"/fhir/Binary/new/_history/7")]
        await send({"type": "http.response.start", "status": self.status if self.writes else 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


@contextlib.asynccontextmanager
async def uploading(folder: Path, **limits: int) -> AsyncIterator[tuple[RunningGateway, SlowServer]]:
    server, port = SlowServer(), free_port()
    async with (
        serve_on(server, port),
        running_gateway(f"http://127.0.0.1:{port}/fhir", folder, limits=limits) as gateway,
    ):
        yield gateway, server


async def pieces(count: int, sent: list[int] | None = None) -> AsyncIterator[bytes]:
    for _ in range(count):
        if sent is not None:
            sent.append(len(BLOCK))
        yield BLOCK


@pytest.mark.parametrize("states_length", [True, False], ids=["of a stated length", "in chunks"])
@pytest.mark.parametrize("rest", [0, 1, 2], ids=["no rest", "a rest of one", "a rest of two"])
async def test_every_byte_arrives(tmp_path: Path, states_length: bool, rest: int) -> None:
    content = BLOCK * 3 + b"." * rest

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    async with uploading(tmp_path) as (gateway, server):
        length = {"content-length": str(len(content))} if states_length else {}
        response = await gateway.request(
            "/Binary", EVERYTHING, method="POST", headers={**OWNER, **length}, content=body()
        )
        assert (response.status_code, response.content, response.headers["etag"]) == (201, b"", 'W/"7"')
        (sent,) = map(json.loads, server.writes)
        assert base64.b64decode(sent.pop("data"), validate=True) == content
        assert sent == {
            "resourceType": "Binary",
            "contentType": "application/octet-stream",
            "securityContext": {"reference": "Patient/pat-a"},
        }


async def test_the_client_is_held_back_while_the_server_reads_slowly(tmp_path: Path) -> None:
    """64 MB pass without being held in memory: what is on its way at one time has a bound."""
    count, on_its_way = 1024, 0
    async with uploading(tmp_path) as (gateway, server):
        server.keeps_bodies = False

        async def body() -> AsyncIterator[bytes]:
            nonlocal on_its_way
            for index in range(count):
                on_its_way = max(on_its_way, index * len(BLOCK) - server.received * 3 // 4)
                yield BLOCK

        response = await gateway.request("/Binary", EVERYTHING, method="POST", headers=OWNER, content=body())
        assert response.status_code == 201
        assert server.received > count * len(BLOCK) * 4 // 3
        assert on_its_way < BUFFERS


async def test_more_than_the_bound_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with uploading(tmp_path, max_binary_bytes=100_000) as (gateway, server):
        headers = {**OWNER, "content-length": str(len(BLOCK) * 2)}
        response = await gateway.request("/Binary", EVERYTHING, method="POST", headers=headers, content=pieces(2))
        assert (response.status_code, reason_of(response)) == (413, "request_too_large")
        assert server.writes == []
        within = await gateway.request("/Binary", EVERYTHING, method="POST", headers=OWNER, content=pieces(1))
        assert within.status_code == 201


async def test_more_than_the_bound_without_a_length_ends_the_request_to_the_server(tmp_path: Path) -> None:
    async with uploading(tmp_path, max_binary_bytes=100_000) as (gateway, server):
        response = await gateway.request("/Binary", EVERYTHING, method="POST", headers=OWNER, content=pieces(2))
        assert (response.status_code, reason_of(response)) == (413, "request_too_large")
        assert server.writes == []


async def test_a_resource_keeps_its_own_bound(tmp_path: Path) -> None:
    async with uploading(tmp_path, max_request_body_bytes=1000) as (gateway, server):
        body = json.dumps({"resourceType": "Binary", "contentType": "text/plain", "data": "QUJD" * 1000})
        headers = {"content-type": "application/fhir+json"}
        response = await gateway.request("/Binary", EVERYTHING, method="POST", headers=headers, content=body)
        assert reason_of(response) == "request_too_large"
        assert server.writes == []


async def test_a_client_that_leaves_stores_nothing(tmp_path: Path) -> None:
    async with uploading(tmp_path) as (gateway, server):
        parts = urlsplit(gateway.base_url)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = [
            "POST /fhir/Binary HTTP/1.1",
            f"Host: {parts.netloc}",
            f"Authorization: Bearer {gateway.token(EVERYTHING)}",
            "Content-Type: text/plain",
            "X-Security-Context: Patient/pat-a",
            f"Content-Length: {3 * len(BLOCK)}",
        ]
        writer.write("\r\n".join([*head, "", ""]).encode() + BLOCK * 2)
        await writer.drain()
        async with asyncio.timeout(20):
            await server.has_received.wait()
            writer.close()
            await server.was_left.wait()
        assert server.writes == []
        assert gateway.telemetry.faults == []


async def test_a_client_that_pauses_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary_upload, "_MAX_SILENCE", 0.05)
    ends = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield BLOCK
        await ends.wait()

    async with uploading(tmp_path) as (gateway, server):
        upload = asyncio.create_task(
            gateway.request("/Binary", EVERYTHING, method="POST", headers=OWNER, content=body())
        )
        async with asyncio.timeout(20):
            await server.was_left.wait()
        ends.set()
        response = await upload
        assert (response.status_code, reason_of(response)) == (400, "body_incomplete")
        assert server.writes == []


async def test_a_client_that_trickles_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause is long, but a connection to the FHIR server would be held for hours."""
    monkeypatch.setattr(binary_upload, "_MAX_SILENCE", 0.3)

    async with uploading(tmp_path) as (gateway, server):

        async def body() -> AsyncIterator[bytes]:
            while not server.was_left.is_set():
                yield b"."
                await asyncio.sleep(0.01)

        async with asyncio.timeout(20):
            response = await gateway.request("/Binary", EVERYTHING, method="POST", headers=OWNER, content=body())
        assert reason_of(response) == "body_incomplete"
        assert server.writes == []


async def test_a_server_that_refuses_early_is_not_sent_the_rest(tmp_path: Path) -> None:
    async with uploading(tmp_path) as (gateway, server):
        server.status = 413
        response = await gateway.request("/Binary", EVERYTHING, method="POST", headers=OWNER, content=pieces(200))
        assert reason_of(response) == "upstream_rejected"
