"""uvicorn's HTTP/1.1 protocol with bounded request heads, and with responses that are written in one piece."""

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

from gateway.asgi.refusal import RequestRefused, refusal_response
from gateway.asgi.response import FhirResponse
from gateway.asgi.types import CLIENT_CERTIFICATE, CONNECTION, WHOLE_RESPONSE
from gateway.policy.reasons import Reason
from gateway.proxy.bearer_token.connection_memory import ConnectionMemory

# Bytes. A token of 16 KiB and a query of 16 KiB fit; larger ones are refused anyway.
MAX_HEAD = 64 * 1024
# RFC 6585 5.
_HEAD_TOO_LARGE_STATUS = 431
_HEAD_TOO_LARGE, _MALFORMED, _INTERNAL_ERROR = (
    refusal_response(RequestRefused(reason), realm="")
    for reason in (Reason.REQUEST_TOO_LARGE, Reason.REQUEST_MALFORMED, Reason.INTERNAL_ERROR)
)

# Not allowed in a header value (RFC 9110 5.5, as in uvicorn). The line end of each field has two of them.
_CONTROL_CHARACTERS = bytes([*range(9), *range(10, 32), 127])
# Seconds. Longer than a request is on its way in a network.
_MAY_STILL_SEND = 0.5
# Bytes. Copying a body up to this size behind its head costs less than a second system call.
_MAX_COPIED_BODY = 256 * 1024


class WholeResponseCycle(RequestResponseCycle):
    """One request and its response, which the application may send as a single message (`WHOLE_RESPONSE`).

    uvicorn writes head and body separately, which makes two packets, and checks every field separately.
    """

    async def send(self, message: Any) -> None:
        """Send an ASGI message or a whole response. Raises `RuntimeError` as uvicorn does."""
        if message["type"] != WHOLE_RESPONSE or self.response_started:
            await super().send(message)
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        status, body = message["status"], message["body"]
        head = _response_head(status, [*self.default_headers, *message["headers"]])
        self.response_started = True
        self.waiting_for_100_continue = False
        length = b"" if status == 304 else b"content-length: %d\r\n" % len(body)
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        if status == 304 or self.scope["method"] == "HEAD":
            body = b""
        if len(body) <= _MAX_COPIED_BODY:
            self.transport.write(b"".join((head, length, end, body)))
        else:
            self.transport.write(b"".join((head, length, end)))
            self.transport.write(body)
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    async def send_500_response(self) -> None:
        """Respond to a request that the application has failed to respond to."""
        self.keep_alive = False
        response = _INTERNAL_ERROR
        await self.send({"type": WHOLE_RESPONSE, "status": 500, "headers": response.headers, "body": response.body})


async def _run_cycle(cycle: RequestResponseCycle, app: Any, tasks: set[asyncio.Task[None]]) -> None:
    try:
        await cycle.run_asgi(app)
    finally:
        task = asyncio.current_task()
        assert task is not None
        tasks.discard(task)


def _response_head(status: int, fields: list[tuple[bytes, bytes]]) -> bytes:
    parts = [STATUS_LINE[status]]
    for name, value in fields:
        parts += (_field_start(name), value, b"\r\n")
    head = b"".join(parts)
    # The only control characters of a valid head are its line ends.
    if len(head.translate(None, _CONTROL_CHARACTERS)) != len(head) - 2 * len(fields) - 2:
        raise RuntimeError("Invalid HTTP header value.")
    return head


@lru_cache(256)
def _field_start(name: bytes) -> bytes:
    if HEADER_RE.search(name) or name.lower() in {b"connection", b"content-length", b"transfer-encoding"}:
        raise RuntimeError("Invalid HTTP header name.")
    return name.lower() + b": "


class BoundedHttpProtocol(HttpToolsProtocol):
    """Bounds the size of heads, and refuses what is not HTTP in the form of every other refusal."""

    # No request follows on this connection: what arrives is not read.
    _is_last = False
    # The gateway is about to stop: the next response closes the connection.
    _is_draining = False
    _head_size = 0
    _in_head = True
    _is_complete = False
    # When the client connected or got its last response; infinite while a request is in progress.
    _idle_since = math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """A client has connected."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._extensions: Any = {WHOLE_RESPONSE: {}, CONNECTION: ConnectionMemory()}
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._extensions[CLIENT_CERTIFICATE] = tls.getpeercert(binary_form=True)

    def data_received(self, data: bytes) -> None:
        """The client has sent bytes."""
        if self._is_last or self.transport.is_closing():
            return
        self._is_complete = False
        super().data_received(data)
        # Data that ends a request may be a long body. How much of it belongs to the next head is not known.
        if self._in_head and not self._is_complete:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD and not self.transport.is_closing():
                self._refuse(_HEAD_TOO_LARGE_STATUS, _HEAD_TOO_LARGE)

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are not HTTP/1.1."""
        self._refuse(_MALFORMED.status, _MALFORMED)

    def _refuse(self, status: int, refusal: FhirResponse) -> None:
        """Refuse what cannot be read, and read no more.

        While an earlier request waits for its response, the refusal would be taken for that response. It is left out
        then, and the connection ends with the last response.
        """
        self._is_last = True
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            if self._in_head:
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started or self.pipeline:
                self.transport.close()
                return
        fields = [*self.server_state.default_headers, *refusal.headers]
        body = cast("bytes", refusal.body)
        head = _response_head(status, fields)
        self.transport.write(b"%bcontent-length: %d\r\nconnection: close\r\n\r\n%b" % (head, len(body), body))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """The client would like another protocol: respond in HTTP/1.1 (RFC 9110 7.8), and close then.

        httptools has not read what follows the head. A body could be taken for another request, so there must be none.
        uvicorn advises here to install a WebSocket library.
        """
        headers = dict(self.headers)
        if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
            self._in_head = False
            self._refuse(_MALFORMED.status, _MALFORMED)
            return
        self._is_last = True
        self.cycle.keep_alive = False

    def on_message_begin(self) -> None:
        """A request head begins."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """The head is complete. As in uvicorn, but without WebSocket and concurrency limits, which are not used."""
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
        self._in_head, self._head_size = False, 0
        previous_cycle = cast("RequestResponseCycle | None", self.cycle)
        self.cycle = WholeResponseCycle(
            self.scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            self.access_log,
            self.server_state.default_headers,
            asyncio.Event(),
            self.expect_100_continue,
            version != "1.0" and parser.should_keep_alive() and not self._is_draining,
            self.on_response_complete,
        )
        if previous_cycle is None or previous_cycle.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # uvicorn adds a done callback to the task, which would be another handle for the event loop.
        self.tasks.add(self.loop.create_task(_run_cycle(cycle, app, self.tasks)))

    def on_message_complete(self) -> None:
        """The request is complete; the head of another may follow."""
        super().on_message_complete()
        self._in_head = self._is_complete = True

    # The time that a connection may be idle (uvicorn's `timeout_keep_alive`). One timer is checked when it fires;
    # uvicorn makes and cancels a timer for each request.

    def on_response_complete(self) -> None:
        """A response has been sent: the next request may begin, or the connection is idle."""
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
        """Either side has closed the connection."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def expect_no_more(self) -> None:
        """The gateway is about to stop: close the connection with the next response, or with that in progress."""
        self._is_draining = True
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False

    def close_if_idle(self) -> None:
        """Close the connection, unless a request is in progress, or may be on its way.

        A client that has just connected, or just got a response that did not close the connection, does not know yet.
        """
        if self.loop.time() - self._idle_since > _MAY_STILL_SEND and not self.transport.is_closing():
            self.transport.close()


class DrainingHttpProtocol(BoundedHttpProtocol):
    """The protocol of connections that are accepted while the gateway is about to stop."""

    _is_draining = True
