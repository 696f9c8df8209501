"""The hostile server on the wire: it reads HTTP/1.1, records the requests, and responds according to the mode.

It writes the bytes itself, because a web framework would prevent half of the modes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import deque
from collections.abc import Callable
from http import HTTPStatus

import httptools

from tests.servers.hostile import bodies, bundles, reads, wire
from tests.servers.hostile.documents import honest_response
from tests.servers.hostile.messages import (
    FhirRequest,
    HostileResponse,
    RawResponse,
    json_response,
    parse_fhir_request,
)
from tests.servers.hostile.modes import Mode
from tests.servers.hostile.world import outcome

RESPONSES: dict[Mode, Callable[[FhirRequest], HostileResponse | RawResponse | None]] = {
    **bundles.RESPONSES,
    **reads.RESPONSES,
    **bodies.RESPONSES,
    **wire.RESPONSES,
}

_MAX_RECORDED_REQUESTS = 500
_POLL_SECONDS = 0.02


class _Request:
    """A request, filled in by the callbacks of httptools."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


class HostileServer:
    """Responds to `/{mode}/fhir/...`. `GET /_requests` lists the recorded requests, `DELETE /_requests` clears them."""

    def __init__(self) -> None:
        self._requests: deque[dict[str, object]] = deque(maxlen=_MAX_RECORDED_REQUESTS)
        self._connections = itertools.count(1)
        self._serving: set[asyncio.Task[None]] = set()

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side closes it; for `asyncio.start_server`."""
        serving = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    @property
    def requests(self) -> list[dict[str, object]]:
        """The recorded requests, oldest first."""
        return list(self._requests)

    def clear_requests(self) -> None:
        """Clear the recorded requests."""
        self._requests.clear()

    async def close(self) -> None:
        """End the connections that are still open."""
        for serving in tuple(self._serving):
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = next(self._connections)
        try:
            with contextlib.suppress(ConnectionError, httptools.HttpParserError):
                while await self._exchange(connection, reader, writer):
                    pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, connection: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Handle one request. Returns whether the connection stays open."""
        request = _Request()
        parser = httptools.HttpRequestParser(request)
        while not request.complete:
            received = await reader.read(65536)
            if not received:
                return False
            parser.feed_data(received)
        stays = ("connection", "close") not in request.headers
        host, port = writer.get_extra_info("sockname")[:2]
        method = parser.get_method().decode()
        response = self._respond(connection, method, f"http://{host}:{port}", request)
        if isinstance(response, RawResponse):
            return await _write(response, reader, writer) and stays
        writer.write(_encode_response(response, method))
        await writer.drain()
        return stays

    def _respond(self, connection: int, method: str, root: str, request: _Request) -> HostileResponse | RawResponse:
        target = request.target.decode("latin-1")
        if target == "/_requests":
            return self._recorded_requests(method)
        self._requests.append(
            {
                "connection": connection,
                "method": method,
                "target": target,
                "headers": request.headers,
                "body": request.body.decode("utf-8", "replace"),
            }
        )
        name = target.lstrip("/").partition("/")[0]
        if name not in set(Mode):
            return json_response(outcome(f"There is no mode `{name}`."), 404)
        hostile_request = parse_fhir_request(Mode(name), root, method, target, tuple(request.headers), request.body)
        return RESPONSES[hostile_request.mode](hostile_request) or honest_response(hostile_request)

    def _recorded_requests(self, method: str) -> HostileResponse:
        if method == "DELETE":
            self.clear_requests()
        return HostileResponse(json.dumps(self.requests).encode(), 200, "application/json")


async def _write(response: RawResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Write raw bytes until they end or the client closes the connection."""
    writing = asyncio.ensure_future(_write_chunks(response, writer))
    gone = asyncio.ensure_future(_wait_until_closed(reader))
    await asyncio.wait({writing, gone}, return_when=asyncio.FIRST_COMPLETED)
    finished = writing.done()
    for task in (writing, gone):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await task
    return finished and not response.close


async def _write_chunks(response: RawResponse, writer: asyncio.StreamWriter) -> None:
    async for chunk in response.chunks:
        writer.write(chunk)
        await writer.drain()


async def _wait_until_closed(reader: asyncio.StreamReader) -> None:
    """Return when the client closes. What it sends meanwhile stays in the reader's buffer."""
    while not reader.at_eof():  # noqa: ASYNC110 (reading instead would eat the next request)
        await asyncio.sleep(_POLL_SECONDS)


def _encode_response(response: HostileResponse, method: str) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    if response.content_type is not None:
        lines.append(f"Content-Type: {response.content_type}")
    if response.status not in {204, 304}:
        lines.append(f"Content-Length: {len(response.body)}")
    lines += [f"{name}: {value}" for name, value in response.headers]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
    return head if method == "HEAD" else head + response.body
