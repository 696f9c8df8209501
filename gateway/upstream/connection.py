"""One HTTP/1.1 connection to the FHIR server: one exchange at a time, no pipelining, strict about every byte."""

import asyncio
import math
import select
from dataclasses import dataclass
from typing import Protocol, cast

from .answer import Answer
from .exchange import Malformed, TimedOut, Unreachable, UpstreamError
from .reading import EAGER, AnswerReader


@dataclass(frozen=True, slots=True)
class Deadlines:
    """In seconds: `read` is the longest silence, `total` lasts to the body's end, `stream` likewise for streams."""

    read: float
    total: float
    stream: float


class Owner(Protocol):
    """Whom a connection tells, exactly once per exchange, that it is free again or gone."""

    def ended(self, connection: "Connection", reusable: bool) -> None:
        """The exchange is over."""

    def lost(self, connection: "Connection") -> None:
        """The connection is closed; comes after `ended` when an exchange was under way."""


class Connection(AnswerReader, asyncio.Protocol):
    """Idle, or carrying one exchange, or closed."""

    __slots__ = (
        "_answer", "_armed", "_deadlines", "_loop", "_owner", "_paused", "_poll", "_timer", "_transport",
        "_until", "answered", "heard_at",
    )  # fmt: skip

    def __init__(self, owner: Owner, deadlines: Deadlines, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._owner = owner
        self._deadlines = deadlines
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._answer: Answer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed = math.inf
        self._paused = False
        self.heard_at = 0.0

    # What the pool does.

    def start(self, head: bytes, body: bytes, *, to_head: bool) -> Answer:
        """Write a request. Await the answer's `waiter`, then look at its `error`."""
        assert self._answer is None
        assert self._transport is not None
        loop, deadlines = self._loop, self._deadlines
        self._answer = answer = Answer(self, loop.create_future())
        self._expect(to_head=to_head)
        self.answered = False
        self.heard_at = now = loop.time()
        self._until = now + deadlines.total
        self._arm()
        if len(body) > EAGER:
            self._transport.writelines((head, body))
        else:
            self._transport.write(head + body if body else head)
        return answer

    def usable(self) -> bool:
        """Whether an idle connection may carry another exchange: open, and nothing to read, neither bytes nor an end.

        Asking the kernel costs about a microsecond. It finds the connection that the server has just closed, before a
        request that cannot be repeated is lost on it, and bytes of an answer that nobody asked for.
        """
        transport, poll = self._transport, self._poll
        return transport is not None and not transport.is_closing() and (poll is None or not poll.poll(0))

    def close(self) -> None:
        """Close an idle connection, or break off the exchange under way."""
        if self._answer is not None:
            self._fail(Unreachable("The connection to the FHIR server was closed by the gateway."))
        elif self._transport is not None:
            self._transport.close()

    # What an answer does (`Source`).

    def pause(self, answer: Answer) -> None:
        """Stop reading; the read deadline rests, since the delay is the reader's."""
        if answer is self._answer and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self, answer: Answer) -> None:
        """Read on; the read deadline starts anew."""
        if self._paused and answer is self._answer and self._transport is not None:
            self._paused = False
            self.heard_at = self._loop.time()
            self._arm()
            self._transport.resume_reading()

    def begin_stream(self, answer: Answer) -> None:
        """From here on the longer deadline for streams counts."""
        if answer is self._answer:
            self._until += self._deadlines.stream - self._deadlines.total
            self._arm()

    def abandon(self, answer: Answer) -> None:
        """Break off the exchange of this answer; nothing, when it is over."""
        if answer is self._answer:
            self._fail(Unreachable("The answer of the FHIR server was given up."))

    # What the transport does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, and through the TLS handshake where there is one."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are no subclass
        socket = transport.get_extra_info("socket")
        if socket is not None:
            self._poll = select.poll()
            self._poll.register(socket.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Bytes from the server."""
        answer = self._answer
        if answer is None:
            # Nobody asked: what follows could be taken for the answer to the next request.
            if self._transport is not None:
                self._transport.abort()
            return
        self.heard_at = self._loop.time()
        self.answered = True
        try:
            self._read(answer, data)
        except Malformed as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whichever side."""
        answer = self._answer
        if answer is not None:
            if self._ends_by_closing and exc is None:
                self._end(answer, reusable=False)
            else:
                when = "before its answer was whole" if self.answered else "before it answered"
                self._fail(Unreachable(f"The FHIR server closed the connection {when}."))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._forget()
        self._transport = self._poll = None
        self._owner.lost(self)

    # How an exchange ends.

    def _end(self, answer: Answer, *, reusable: bool) -> None:
        transport = self._transport
        self._answer = None
        answer.end()
        # An answer that came before the request was written out: the rest would be read as the next request.
        reusable = reusable and transport is not None and transport.get_write_buffer_size() == 0
        if not reusable and transport is not None:
            transport.close()
        self._owner.ended(self, reusable)

    def _fail(self, error: UpstreamError) -> None:
        answer = self._answer
        assert answer is not None
        self._answer = None
        answer.fail(error)
        if self._transport is not None:
            self._transport.abort()
        self._owner.ended(self, False)

    # One timer per connection, looked at when it fires and left alone in between.

    def _due(self) -> float:
        return self._until if self._paused else min(self._until, self.heard_at + self._deadlines.read)

    def _arm(self) -> None:
        due = self._due()
        if due < self._armed:
            if self._timer is not None:
                self._timer.cancel()
            self._armed = due
            self._timer = self._loop.call_at(due, self._check)

    def _check(self) -> None:
        self._timer = None
        self._armed = math.inf
        if self._answer is None:
            return
        now = self._loop.time()
        if now < self._due():
            self._arm()
        elif now >= self._until:
            self._fail(TimedOut("The FHIR server's answer took longer than it may."))
        else:
            self._fail(TimedOut(f"The FHIR server sent nothing for {self._deadlines.read:g} seconds."))
