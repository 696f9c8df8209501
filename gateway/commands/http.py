"""uvicorn's HTTP/1.1 protocol with an end to request heads, and with answers that leave in one piece."""

import asyncio
import math
import urllib.parse
from functools import lru_cache
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from gateway.web.answer import WHOLE_ANSWER
from gateway.web.connection import CONNECTION, ConnectionMemory

# A token of 16 KiB and a query of 16 KiB fit in with room to spare; larger ones are refused anyway.
MAX_HEAD = 64 * 1024
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
)
_SENTENCE = b"The request line and headers are larger than this server accepts.\n"

# What may stand in no header value (uvicorn's own rule, RFC 9110 5.5); each field's line end has two of them.
_CONTROLS = bytes([*range(9), *range(10, 32), 127])
# A body up to this size is copied behind its head, which costs less than a second call of the kernel.
_COPIED = 256 * 1024


class WholeAnswerCycle(RequestResponseCycle):
    """One request and its answer, which the application may send as a single message (`WHOLE_ANSWER`).

    uvicorn writes head and body apart, which makes two packets, and looks at every field by itself.
    """

    async def send(self, message: Any) -> None:
        """A message of ASGI or a whole answer. Raises `RuntimeError` where uvicorn would."""
        if message["type"] != WHOLE_ANSWER or self.response_started:
            await super().send(message)
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        status, body = message["status"], message["body"]
        head = _head(status, [*self.default_headers, *message["headers"]])
        self.response_started = True
        self.waiting_for_100_continue = False
        length = b"" if status == 304 else b"content-length: %d\r\n" % len(body)
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        if status == 304 or self.scope["method"] == "HEAD":
            body = b""
        if len(body) <= _COPIED:
            self.transport.write(b"".join((head, length, end, body)))
        else:
            self.transport.write(b"".join((head, length, end)))
            self.transport.write(body)
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


async def _running(cycle: RequestResponseCycle, app: Any, tasks: set[asyncio.Task[None]]) -> None:
    try:
        await cycle.run_asgi(app)
    finally:
        task = asyncio.current_task()
        assert task is not None
        tasks.discard(task)


def _head(status: int, fields: list[tuple[bytes, bytes]]) -> bytes:
    parts = [STATUS_LINE[status]]
    for name, value in fields:
        parts += (_line_start(name), value, b"\r\n")
    head = b"".join(parts)
    # Without its control characters the head is shorter by its line ends, and by nothing else.
    if len(head.translate(None, _CONTROLS)) != len(head) - 2 * len(fields) - 2:
        raise RuntimeError("Invalid HTTP header value.")
    return head


@lru_cache(256)
def _line_start(name: bytes) -> bytes:
    if HEADER_RE.search(name) or name.lower() in {b"connection", b"content-length", b"transfer-encoding"}:
        raise RuntimeError("Invalid HTTP header name.")
    return name.lower() + b": "


class BoundedHttpProtocol(HttpToolsProtocol):
    """Answers 431 and closes where a head is still unfinished after `MAX_HEAD` bytes (RFC 6585 5)."""

    _unfinished = 0
    _in_head = True
    _completed = False
    _idle_since = math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """A client has connected."""
        super().connection_made(transport)
        self._extensions: Any = {WHOLE_ANSWER: {}, CONNECTION: ConnectionMemory()}

    def data_received(self, data: bytes) -> None:
        """Some more bytes of the client."""
        if self.transport.is_closing():
            return
        self._completed = False
        super().data_received(data)
        # A piece that ends a request may be a long body: how much of it belongs to a next head is not known.
        if self._in_head and not self._completed:
            self._unfinished += len(data)
            if self._unfinished > MAX_HEAD and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE % (len(_SENTENCE), _SENTENCE))
                self.transport.close()

    def on_message_begin(self) -> None:
        """A head begins."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """The head is whole: as in uvicorn, without WebSocket and limits of concurrency, which we do not have."""
        self._in_head, self._unfinished = False, 0
        parser = self.parser
        version = parser.get_http_version()
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": cast("str", self.scheme),
            "method": parser.get_method().decode("ascii"),
            "root_path": "",
            "path": urllib.parse.unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "headers": self.headers,
            "state": self.app_state.copy(),
            "extensions": self._extensions,
        }
        before = cast("RequestResponseCycle | None", self.cycle)
        self.cycle = WholeAnswerCycle(
            self.scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            self.access_log,
            self.server_state.default_headers,
            asyncio.Event(),
            self.expect_100_continue,
            version != "1.0" and parser.should_keep_alive(),
            self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # Not by a callback of the task, as in uvicorn: each would be another handle for the event loop.
        self.tasks.add(self.loop.create_task(_running(cycle, app, self.tasks)))

    def on_message_complete(self) -> None:
        """The request is whole; what follows is the head of another."""
        super().on_message_complete()
        self._in_head = self._completed = True

    # The time that a connection may be idle (uvicorn's `timeout_keep_alive`): one timer, looked at when it fires and
    # left alone in between, where uvicorn makes and cancels one for each request.

    def on_response_complete(self) -> None:
        """An answer has left: the next request may begin, or the connection is idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = math.inf

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle for its time."""
        due = self._idle_since + self.timeout_keep_alive
        self.timeout_keep_alive_task = None
        if self._idle_since == math.inf:
            return
        if self.loop.time() < due:
            self.timeout_keep_alive_task = self.loop.call_at(due, self.timeout_keep_alive_handler)
        elif not self.transport.is_closing():
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed, by whichever side."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
