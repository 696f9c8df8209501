"""uvicorn's HTTP/1.1 protocol with bounds: on heads, on the time that a client takes, and on what it may pipeline."""

import asyncio
import contextvars
import math
import urllib.parse
from typing import Any, cast

import httptools

from gateway.asgi.refusal import RequestRefused, refusal_response
from gateway.asgi.response import FhirResponse
from gateway.asgi.types import CLIENT_CERTIFICATE, CONNECTION, WHOLE_RESPONSE
from gateway.commands.serving.client_connections.response_cycle import WholeResponseCycle, response_head
from gateway.commands.serving.client_connections.timed_protocol import TimedHttpProtocol, run_cycle
from gateway.policy.reasons import Reason

# Bytes. A token of 16 KiB and a query of 16 KiB fit; larger ones are refused anyway.
MAX_HEAD = 64 * 1024
# RFC 6585 5.
_HEAD_TOO_LARGE_STATUS = 431
_HEAD_TOO_LARGE, _MALFORMED, _TOO_MANY, _OVERLOADED = (
    refusal_response(RequestRefused(reason), realm="")
    for reason in (
        Reason.REQUEST_TOO_LARGE,
        Reason.REQUEST_MALFORMED,
        Reason.TOO_MANY_REQUESTS,
        Reason.OVERLOADED,
    )
)
# Requests that wait behind another one of their connection. More arrive at once only from who wants to fill memory.
_MAX_PIPELINED = 64
# Seconds until the next request of a client is read that was refused because it has too many in progress. One that goes
# on at once would otherwise take the time that others need.
_HOLD_BACK = 0.25


class TooManyPipelinedError(Exception):
    """More requests wait on one connection than may."""


class BoundedHttpProtocol(TimedHttpProtocol):
    """Bounds what a client may send and how slow it may be, and refuses in the form of every other refusal.

    What a client may take in time is in `TimedHttpProtocol`.
    """

    # No request follows on this connection: what arrives is not read.
    _is_last = False
    # The gateway is about to stop: the next response closes the connection.
    _is_draining = False
    _head_size = 0
    _in_head = True
    _is_complete = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """A client has connected."""
        super().connection_made(transport)
        self._extensions: Any = {WHOLE_RESPONSE: {}, CONNECTION: self.memory}
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._extensions[CLIENT_CERTIFICATE] = tls.getpeercert(binary_form=True)
        reason = self.client_connections.add(self)
        if reason is not None:
            refusal = _TOO_MANY if reason is Reason.TOO_MANY_REQUESTS else _OVERLOADED
            self.refuse(refusal.status, refusal)

    def data_received(self, data: bytes) -> None:
        """The client has sent bytes."""
        if self._is_last or self.transport.is_closing():
            return
        self._is_complete = False
        super().data_received(data)
        # Data that ends a request may be a long body. How much of it belongs to the next head is not known.
        if not self._is_complete:
            self._bound_rest(len(data))
        else:
            self._rest_due = math.inf

    def _bound_rest(self, size: int) -> None:
        if self._is_last:
            return
        if self._in_head:
            self._head_size += size
            if self._head_size > MAX_HEAD and not self.transport.is_closing():
                self.refuse(_HEAD_TOO_LARGE_STATUS, _HEAD_TOO_LARGE)
        self.expect_rest(size, is_body=not self._in_head)

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are not HTTP/1.1."""
        self.refuse(_MALFORMED.status, _MALFORMED)

    def refuse(self, status: int, refusal: FhirResponse) -> None:
        """Refuse what cannot be read, and read no more.

        While an earlier request waits for its response, the refusal would be taken for that response. It is left out
        then, and the connection ends with the last response.
        """
        self._is_last = True
        cycle = self.cycle
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
        head = response_head(status, fields)
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
            self.refuse(_MALFORMED.status, _MALFORMED)
            return
        self._is_last = True
        cycle: Any = self.cycle
        cycle.keep_alive = False

    def on_message_begin(self) -> None:
        """A request head begins."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """The head is complete. As in uvicorn, but without WebSocket and concurrency limits, which are not used.

        Raises `TooManyPipelinedError`: then the connection ends with the last response that is due.
        """
        if len(self.pipeline) >= _MAX_PIPELINED:
            raise TooManyPipelinedError
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
            "scheme": self.scheme,
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
        previous_cycle = self.cycle
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

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        # uvicorn adds a done callback to the task, which would be another handle for the event loop.
        # What waited behind another request is begun in the task of that one, and must not have its context.
        task = self.loop.create_task(run_cycle(cycle, app, self), context=contextvars.Context())
        cycle.task = task
        self.tasks.add(task)

    def on_message_complete(self) -> None:
        """The request is complete; the head of another may follow. As in uvicorn, but without WebSocket."""
        self._in_head = self._is_complete = True
        cycle: Any = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def on_response_complete(self) -> None:
        """A response has been sent: the next request may begin, or the connection is idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.memory.is_held_back:
            self.memory.is_held_back = False
            if not self.is_shared:
                self.flow.pause_reading()
                self.loop.call_later(_HOLD_BACK, self._go_on)
                return
        self._go_on()

    def _go_on(self) -> None:
        """Begin with the next request, or wait for one."""
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self.cycle is not None and self.cycle.response_complete:
            self._idle_since = self.loop.time()

    def expect_no_more(self) -> None:
        """The gateway is about to stop: close the connection with the next response, or with that in progress."""
        self._is_draining = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False

    def close_if_idle(self) -> None:
        """Close the connection, unless a request is in progress, or may be on its way.

        A client that has just connected, or just got a response that did not close the connection, does not know yet.
        """
        if self.idle_since() is not None:
            self.transport.close()


class DrainingHttpProtocol(BoundedHttpProtocol):
    """The protocol of connections that are accepted while the gateway is about to stop."""

    _is_draining = True
