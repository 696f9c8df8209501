"""One HTTP/1.1 connection to the FHIR server: one exchange at a time, without pipelining."""

import asyncio
import math
import select
from dataclasses import dataclass
from typing import Protocol, cast

from gateway.upstream.caller import OWN
from gateway.upstream.exchange_types import MalformedResponse, Unreachable, UpstreamError, UpstreamTimeout
from gateway.upstream.response import UpstreamResponse
from gateway.upstream.response_parser import EAGER_BODY_BYTES, ResponseParser


@dataclass(frozen=True, slots=True)
class Deadlines:
    """In seconds. `read`: the longest silence. `total` lasts until the body ends; `stream` replaces it for streams."""

    read: float
    total: float
    stream: float


class ConnectionOwner(Protocol):
    """The pool, as a connection sees it."""

    def exchange_ended(self, connection: "Connection", reusable: bool) -> None:
        """Called once at the end of each exchange."""

    def connection_closed(self, connection: "Connection") -> None:
        """The connection is closed. If an exchange was in progress, `exchange_ended` is called first."""


class Connection(ResponseParser, asyncio.Protocol):
    """A connection that is idle, in use by one exchange, or closed."""

    __slots__ = (
        "_awaits_content",
        "_deadlines",
        "_is_sending",
        "_loop",
        "_owner",
        "_paused",
        "_poll",
        "_response",
        "_shortest_deadline",
        "_timer",
        "_timer_at",
        "_total_deadline",
        "_transport",
        "_writable",
        "client",
        "has_received",
        "last_read_at",
    )  # fmt: skip

    def __init__(self, owner: ConnectionOwner, deadlines: Deadlines, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._owner = owner
        self._deadlines = deadlines
        self._shortest_deadline = min(deadlines.read, deadlines.total)
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._response: UpstreamResponse | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._paused = False
        self._is_sending = False
        self._awaits_content = False
        self._writable: asyncio.Future[None] | None = None
        self.last_read_at = 0.0
        # Whose exchange is in progress, or was the last one.
        self.client = OWN

    # Called by the pool.

    def start(self, head: bytes, body: bytes, *, is_head_request: bool) -> UpstreamResponse:
        """Write a request. The caller awaits the `waiter` of the response and then checks its `error`."""
        assert self._response is None
        assert self._transport is not None
        loop, deadlines = self._loop, self._deadlines
        self._response = response = UpstreamResponse(self, loop.create_future())
        self._begin_response(is_head_request=is_head_request)
        self.has_received = False
        self.last_read_at = now = loop.time()
        self._total_deadline = now + deadlines.total
        if now + self._shortest_deadline < self._timer_at:
            self._start_timer()
        if len(body) > EAGER_BODY_BYTES:
            self._transport.writelines((head, body))
        else:
            self._transport.write(head + body if body else head)
        return response

    def is_usable(self) -> bool:
        """Whether an idle connection can be used: it is open, and there is nothing to read.

        The system call takes about a microsecond. It finds a connection that the server has just closed, on which a
        request that cannot be repeated would be lost, and unsolicited bytes of a response.
        """
        transport, poll = self._transport, self._poll
        return transport is not None and not transport.is_closing() and (poll is None or not poll.poll(0))

    def close(self) -> None:
        """Close the connection. An exchange in progress fails."""
        if self._response is not None:
            self._fail(Unreachable("The connection to the FHIR server was closed by the gateway."))
        elif self._transport is not None:
            self._transport.close()

    # Called by the sender of a body (`ContentSink`). The read deadline is suspended while there is nothing to send.

    def begin_content(self, response: UpstreamResponse) -> None:
        """A body follows, to which the deadline for streams applies."""
        if response is self._response:
            self._is_sending = self._awaits_content = True
            self.begin_stream(response)

    async def write_content(self, response: UpstreamResponse, piece: bytes) -> None:
        """Write a piece, and wait until there is room for another one or the exchange has ended."""
        if response is not self._response or self._transport is None:
            return
        self._transport.write(piece)
        if self._writable is not None:
            self._expect_server()
            await self._writable
            self._awaits_content = True

    def end_content(self, response: UpstreamResponse) -> None:
        """The body is complete: from now on the server is waited for."""
        if response is self._response:
            self._is_sending = False
            self._expect_server()

    def _expect_server(self) -> None:
        self._awaits_content = False
        self.last_read_at = self._loop.time()
        self._start_timer()

    # Called by the response (`ResponseSource`).

    def pause(self, response: UpstreamResponse) -> None:
        """Stop reading. The read deadline is suspended, because the reader causes the delay."""
        if response is self._response and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self, response: UpstreamResponse) -> None:
        """Continue to read. The read deadline starts again."""
        if self._paused and response is self._response and self._transport is not None:
            self._paused = False
            self.last_read_at = self._loop.time()
            self._start_timer()
            self._transport.resume_reading()

    def begin_stream(self, response: UpstreamResponse) -> None:
        """Replace the total deadline by the longer one for streams."""
        if response is self._response:
            self._total_deadline += self._deadlines.stream - self._deadlines.total
            self._start_timer()

    def abandon(self, response: UpstreamResponse) -> None:
        """Abort the exchange of this response, unless it has ended."""
        if response is self._response:
            self._fail(Unreachable("The response of the FHIR server was discarded."))

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is established, including the TLS handshake if there is one."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are not a subclass
        socket = transport.get_extra_info("socket")
        if socket is not None:
            self._poll = select.poll()
            self._poll.register(socket.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Bytes have arrived from the server."""
        response = self._response
        if response is None:
            # Unsolicited bytes could be taken for the response to the next request.
            if self._transport is not None:
                self._transport.abort()
            return
        self.last_read_at = self._loop.time()
        self.has_received = True
        try:
            self._parse(response, data)
        except MalformedResponse as error:
            self._fail(error)

    def pause_writing(self) -> None:
        """More waits to be sent than the server takes."""
        if self._is_sending:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """There is room for more."""
        self._stop_waiting_for_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection was closed by either side."""
        self._stop_waiting_for_room()
        response = self._response
        if response is not None:
            if self._ends_by_closing and exc is None:
                self._end(response, reusable=False)
            else:
                when = "before its response was complete" if self.has_received else "before it responded"
                self._fail(Unreachable(f"The FHIR server closed the connection {when}."))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._drop_parser()
        self._transport = self._poll = None
        self._owner.connection_closed(self)

    # End of an exchange.

    def _end(self, response: UpstreamResponse, *, reusable: bool) -> None:
        transport = self._transport
        self._response = None
        response.complete()
        # If the request is not written completely yet, the server would read its rest as the next request.
        is_written = transport is not None and transport.get_write_buffer_size() == 0 and not self._is_sending
        reusable = reusable and is_written
        if self._is_sending or self._writable is not None:
            self._end_sending()
        if not reusable and transport is not None:
            transport.close()
        self._owner.exchange_ended(self, reusable)

    def _fail(self, error: UpstreamError) -> None:
        response = self._response
        assert response is not None
        self._response = None
        self._end_sending()
        response.fail(error)
        if self._transport is not None:
            self._transport.abort()
        self._owner.exchange_ended(self, False)

    def _end_sending(self) -> None:
        self._is_sending = self._awaits_content = False
        self._stop_waiting_for_room()

    def _stop_waiting_for_room(self) -> None:
        waiting, self._writable = self._writable, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    # Deadlines: one timer per connection, which is not restarted for every read but checked when it fires.

    def _next_deadline(self) -> float:
        return (
            self._total_deadline
            if self._paused or self._awaits_content
            else min(self._total_deadline, self.last_read_at + self._deadlines.read)
        )

    def _start_timer(self) -> None:
        deadline = self._next_deadline()
        if deadline < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._check_deadlines)

    def _check_deadlines(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        if self._response is None:
            return
        now = self._loop.time()
        if now < self._next_deadline():
            self._start_timer()
        elif now >= self._total_deadline:
            self._fail(UpstreamTimeout("The FHIR server's response took longer than it may."))
        else:
            self._fail(UpstreamTimeout(f"The FHIR server sent nothing for {self._deadlines.read:g} seconds."))
