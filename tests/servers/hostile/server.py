"""The hostile server on the wire: reads HTTP/1.1, keeps what it was asked, and answers as the mode says.

It writes its own bytes, because half of what it does is what a web framework prevents.
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
from tests.servers.hostile.documents import honest
from tests.servers.hostile.modes import Mode
from tests.servers.hostile.question import Answer, Question, Wire, as_json, ask
from tests.servers.hostile.world import outcome

ANSWERS: dict[Mode, Callable[[Question], Answer | Wire | None]] = {
    **bundles.ANSWERS,
    **reads.ANSWERS,
    **bodies.ANSWERS,
    **wire.ANSWERS,
}

_KEPT_REQUESTS = 500
_LOOK_SECONDS = 0.02


class _Request:
    """One request as httptools tells it."""

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
    """Answers `/{mode}/fhir/...`; `GET /_requests` tells what was asked, `DELETE /_requests` forgets it."""

    def __init__(self) -> None:
        self._requests: deque[dict[str, object]] = deque(maxlen=_KEPT_REQUESTS)
        self._connections = itertools.count(1)
        self._serving: set[asyncio.Task[None]] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side closes it; for `asyncio.start_server`."""
        serving = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    @property
    def requests(self) -> list[dict[str, object]]:
        """What was asked, oldest first."""
        return list(self._requests)

    def forget(self) -> None:
        """Forget what was asked."""
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
        """One request and its answer; whether the connection stays open."""
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
        answer = self._answer(connection, method, f"http://{host}:{port}", request)
        if isinstance(answer, Wire):
            return await _write(answer, reader, writer) and stays
        writer.write(_frame(answer, method))
        await writer.drain()
        return stays

    def _answer(self, connection: int, method: str, root: str, request: _Request) -> Answer | Wire:
        target = request.target.decode("latin-1")
        if target == "/_requests":
            return self._recorded(method)
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
            return as_json(outcome(f"There is no mode `{name}`."), 404)
        question = ask(Mode(name), root, method, target, tuple(request.headers), request.body)
        return ANSWERS[question.mode](question) or honest(question)

    def _recorded(self, method: str) -> Answer:
        if method == "DELETE":
            self.forget()
        return Answer(json.dumps(self.requests).encode(), 200, "application/json")


async def _write(answer: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Write raw bytes until they end or the other side has gone away."""
    writing = asyncio.ensure_future(_pump(answer, writer))
    gone = asyncio.ensure_future(_gone(reader))
    await asyncio.wait({writing, gone}, return_when=asyncio.FIRST_COMPLETED)
    finished = writing.done()
    for task in (writing, gone):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await task
    return finished and not answer.close


async def _pump(answer: Wire, writer: asyncio.StreamWriter) -> None:
    async for chunk in answer.chunks:
        writer.write(chunk)
        await writer.drain()


async def _gone(reader: asyncio.StreamReader) -> None:
    """Return when the other side closes; what it sends meanwhile stays in the reader's buffer."""
    while not reader.at_eof():  # noqa: ASYNC110 (reading instead would eat the next request)
        await asyncio.sleep(_LOOK_SECONDS)


def _frame(answer: Answer, method: str) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    if answer.content_type is not None:
        lines.append(f"Content-Type: {answer.content_type}")
    if answer.status not in {204, 304}:
        lines.append(f"Content-Length: {len(answer.body)}")
    lines += [f"{name}: {value}" for name, value in answer.headers]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
    return head if method == "HEAD" else head + answer.body
