"""How the bytes of an answer are read: llhttp for heads and chunks, counting for everything else, strict throughout."""

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from .answer import Answer
from .exchange import Malformed
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


class _Interim:
    """What llhttp tells about an interim answer, which has no body (RFC 9112 section 6.3) and may not announce one."""

    def on_header(self, name: bytes, _: bytes) -> None:
        if name.lower() in (b"transfer-encoding", b"content-length"):
            raise Malformed("The FHIR server sent an interim answer that announces a body.")


class AnswerReader:
    """Reads one answer after another from the bytes of one connection. `Connection` adds the socket and the time.

    Bodies of known length, and those that last until the connection closes, go past llhttp: counting them makes it
    exact where an answer ends, even where llhttp skips empty lines, and saves a copy.
    """

    __slots__ = (
        "_chunks", "_early", "_fields", "_framing", "_http11", "_interim", "_keep", "_parser", "_quiet", "_remaining",
        "_tail", "_to_head", "_whole",
    )  # fmt: skip

    def __init__(self) -> None:
        self._parser: HttpResponseParser | None = None

    def _expect(self, *, to_head: bool) -> None:
        """An answer is to come, to a HEAD or to another method."""
        self._fields: list[tuple[bytes, bytes]] = []
        self._framing: Framing | None = None
        self._to_head = to_head
        self._early = b""
        self._tail = b""
        self._interim = 0
        self._quiet = 0
        self._remaining = 0
        self._whole = False
        if self._parser is None:
            self._parser = HttpResponseParser(self)

    def _forget(self) -> None:
        """The parser holds our bound methods: without this the two would live until the next garbage collection."""
        self._parser = None

    @property
    def _ends_by_closing(self) -> bool:
        return self._framing is Framing.CLOSE

    def _end(self, answer: Answer, *, reusable: bool) -> None:
        """The answer is whole; whether its connection may carry another."""
        raise NotImplementedError

    def _read(self, answer: Answer, data: bytes) -> None:
        """Some more bytes. Raises `Malformed`."""
        try:
            if self._framing is None:
                self._read_head(answer, data)
            elif self._framing is Framing.CHUNKED:
                self._read_chunks(answer, data)
            else:
                self._read_counted(answer, data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if isinstance(error.__context__, Malformed):
                raise error.__context__ from None
            raise Malformed(f"The FHIR server's answer is not HTTP/1.1: {error}.") from None

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
        HttpResponseParser(_Interim()).feed_data(data[:end])
        if len(data) > end:
            self._read_head(answer, data[end:])

    def _begin_body(self, answer: Answer, data: bytes, end: int) -> None:
        """What came behind the head in the same read. Exact counting finds even the empty lines that llhttp skips."""
        match self._framing:
            case Framing.CHUNKED:
                self._take_chunks(answer, data)
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
