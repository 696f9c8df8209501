"""One HTTP/1.1 connection to the FHIR server: one exchange at a time, no pipelining, strict about every byte."""

import asyncio
import math
import re
import select
from dataclasses import dataclass
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from .answer import Answer
from .exchange import Malformed, TimedOut, Unreachable, UpstreamError
from .framing import MAX_HEAD, Framing, asks_to_close, framing

# A body declared to be at most this long is awaited before the answer is handed out: one wake-up instead of two.
EAGER = 64 * 1024
# Interim answers (1xx) before the real one; RFC 9110 section 15.2 sets no bound, so we do.
MAX_INTERIM = 8
# Many small chunks in one read become one piece, so that a hostile chunk size cannot multiply the memory used.
MAX_PIECES = 64

_END = b"\r\n\r\n"
# RFC 9112 section 4, which llhttp reads more widely: RTSP and ICE, HTTP/2.0 and 0.9, controls within the reason.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?\r\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_HEAD_TOO_LARGE = f"The head of the FHIR server's answer is larger than {MAX_HEAD} bytes."
_CONTINUED = "The FHIR server sent bytes after the end of its answer."


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


class _Ignored:
    """Takes no events from llhttp: for interim answers, which need only be well formed."""


class Connection(asyncio.Protocol):
    """Idle, or carrying one exchange, or closed.

    llhttp reads heads and chunks. Bodies of known length, and those that last until the connection closes, are counted
    here, which makes it exact where an answer ends and saves a copy.
    """

    __slots__ = (
        "_answer", "_armed", "_chunks", "_deadlines", "_early", "_fields", "_framing", "_http11", "_interim", "_keep",
        "_last", "_loop", "_owner", "_parser", "_paused", "_poll", "_quiet", "_remaining", "_tail", "_timer",
        "_to_head", "_transport", "_until", "_whole", "answered", "idle_since",
    )  # fmt: skip

    def __init__(self, owner: Owner, deadlines: Deadlines, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._deadlines = deadlines
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._parser: HttpResponseParser | None = None
        self._answer: Answer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed = math.inf
        self._paused = False
        self.idle_since = 0.0

    # What the pool does.

    def start(self, head: bytes, body: bytes, *, to_head: bool) -> Answer:
        """Write a request. Await the answer's `waiter`, then look at its `error`."""
        assert self._answer is None
        assert self._transport is not None
        loop, deadlines = self._loop, self._deadlines
        self._answer = answer = Answer(self, loop.create_future())
        self._fields: list[tuple[bytes, bytes]] = []
        self._framing: Framing | None = None
        self._to_head = to_head
        self._early = b""
        self._tail = b""
        self._interim = 0
        self._quiet = 0
        self._remaining = 0
        self._whole = False
        self.answered = False
        if self._parser is None:
            self._parser = HttpResponseParser(self)
        self._last = now = loop.time()
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
            self._last = self._loop.time()
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
        self._last = self._loop.time()
        self.answered = True
        try:
            if self._framing is None:
                self._read_head(answer, data)
            elif self._framing is Framing.CHUNKED:
                self._read_chunks(answer, data)
            else:
                self._read_counted(answer, data)
        except Malformed as error:
            self._fail(error)
        except (HttpParserError, HttpParserUpgrade) as error:
            cause = error.__context__
            self._fail(
                cause
                if isinstance(cause, Malformed)
                else Malformed(f"The FHIR server's answer is not HTTP/1.1: {error}.")
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whichever side."""
        answer = self._answer
        if answer is not None:
            if self._framing is Framing.CLOSE and exc is None:
                self._end(answer, reusable=False)
            else:
                when = "before its answer was whole" if self.answered else "before it answered"
                self._fail(Unreachable(f"The FHIR server closed the connection {when}."))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # The parser holds our bound methods: without this the two would live until the next garbage collection.
        self._transport = self._poll = self._parser = None
        self._owner.lost(self)

    # What llhttp does.

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer field, which is dropped (RFC 9110 section 6.5.1)."""
        if self._framing is None:
            self._fields.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is whole; decide how the body ends before a byte of it is taken."""
        parser = self._parser
        assert parser is not None
        if self._whole:
            raise Malformed(_CONTINUED)
        self._framing, self._remaining = framing(
            parser.get_status_code(), self._fields, http11=self._http11, to_head=self._to_head
        )
        # RFC 9112 section 9.3; HTTP/1.0's `keep-alive` is not trusted, proxies pass it on blindly.
        # After a HEAD, llhttp waits for a body and so says no where the head gives no length.
        stays = not asks_to_close(self._fields) if self._to_head else parser.should_keep_alive()
        self._keep = self._http11 and self._framing is not Framing.CLOSE and stays

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._chunks.append(piece)

    def on_message_complete(self) -> None:
        """The end as llhttp sees it; of use where only it can see it, with chunks."""
        self._whole = True

    # How an answer is read.

    def _read_head(self, answer: Answer, data: bytes) -> None:
        early = self._early
        if early:
            data = early + data
        end = data.find(_END, max(len(early) - 3, 0)) + 4
        if end < 4:
            self._await_head(data, len(early))
            return
        if end > MAX_HEAD:
            raise Malformed(_HEAD_TOO_LARGE)
        if _STATUS_LINE.match(data) is None:
            raise Malformed(f"The FHIR server answered {data[:40]!r}, which is not HTTP/1.1.")
        self._http11 = data[7] == 0x31
        self._early = b""
        if data[9] == 0x31:  # 1xx
            self._skip_interim(answer, data, end)
            return
        parser = self._parser
        assert parser is not None
        self._chunks: list[bytes] = []
        parser.feed_data(data)
        answer.status = parser.get_status_code()
        answer.headers = self._fields
        self._begin_body(answer, data, end)

    def _await_head(self, data: bytes, seen: int) -> None:
        """Keep an unfinished head until its end is there, but wait for nothing once it is known to be wrong."""
        if len(data) > MAX_HEAD:
            raise Malformed(_HEAD_TOO_LARGE)
        if not b"HTTP/1.".startswith(data[:7]):
            raise Malformed(f"The FHIR server answered {data[:7]!r}, which is not HTTP/1.1.")
        if _BARE_LF.search(data, seen) is not None:
            raise Malformed("The FHIR server's answer has a line that ends without a carriage return.")
        self._early = data

    def _skip_interim(self, answer: Answer, data: bytes, end: int) -> None:
        if data.startswith(b"101", 9):
            raise Malformed("The FHIR server wants to switch protocols, which it was not asked to.")
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise Malformed(f"The FHIR server sent more than {MAX_INTERIM} interim answers.")
        HttpResponseParser(_Ignored()).feed_data(data[:end])
        if len(data) > end:
            self._read_head(answer, data[end:])

    def _begin_body(self, answer: Answer, data: bytes, end: int) -> None:
        """What came behind the head in the same read. Exact counting finds even the empty lines that llhttp skips."""
        match self._framing:
            case Framing.CHUNKED:
                self._take_chunks(answer, data)
                if self._answer is answer and answer.waiter is not None:
                    answer.arrive()
                return
            case Framing.CLOSE:
                self._remaining = -1
            case _:
                self._remaining -= len(data) - end
                if self._remaining < 0:
                    raise Malformed(_CONTINUED)
        for piece in self._chunks:
            answer.feed(piece)
        if self._remaining == 0:
            if self._to_head:
                self._parser = None  # it may still wait for the body that a HEAD has not
            self._end(answer, reusable=self._keep)
            return
        self._parser = None
        if self._remaining < 0 or self._remaining + answer.size > EAGER:
            answer.arrive()
        answer.settle()

    def _read_counted(self, answer: Answer, data: bytes) -> None:
        if self._framing is Framing.LENGTH:
            self._remaining -= len(data)
            if self._remaining < 0:
                raise Malformed(_CONTINUED)
        answer.feed(data)
        if self._remaining == 0:
            self._end(answer, reusable=self._keep)
        else:
            answer.settle()

    def _read_chunks(self, answer: Answer, data: bytes) -> None:
        parser = self._parser
        assert parser is not None
        self._chunks = []
        parser.feed_data(data)
        self._take_chunks(answer, data)

    def _take_chunks(self, answer: Answer, data: bytes) -> None:
        chunks = self._chunks
        if len(chunks) > MAX_PIECES:
            answer.feed(b"".join(chunks))
        else:
            for piece in chunks:
                answer.feed(piece)
        self._tail = (self._tail + data[-5:])[-5:]
        if self._whole:
            # Trailer fields, or empty lines that llhttp skips, may hide behind any other ending.
            self._end(answer, reusable=self._keep and self._tail == b"0\r\n\r\n")
            return
        self._quiet = 0 if chunks else self._quiet + len(data)
        if self._quiet > MAX_HEAD:
            raise Malformed("The FHIR server sends chunk extensions or trailer fields without end.")
        answer.settle()

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
        return self._until if self._paused else min(self._until, self._last + self._deadlines.read)

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
