"""Parses responses strictly: heads and chunks with llhttp, other bodies by counting bytes."""

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.upstream.body_framing import MAX_HEAD_BYTES, BodyFraming, determine_framing, has_connection_close
from gateway.upstream.exchange_types import MalformedResponse
from gateway.upstream.response import UpstreamResponse

# A response whose body is at most this long is returned with its body: that wakes the caller once and not twice.
EAGER_BODY_BYTES = 64 * 1024
# The limit of interim responses (1xx) before the final one. RFC 9110 section 15.2 sets none.
MAX_INTERIM_RESPONSES = 8
# More chunks in one read are joined, so that tiny chunks cannot multiply the memory used.
MAX_PIECES_PER_READ = 64

_HEAD_END = b"\r\n\r\n"
# RFC 9112 section 4. llhttp also accepts RTSP and ICE, HTTP/2.0 and 0.9, and control characters in the reason.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?\r\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_HEAD_TOO_LARGE = f"The head of the FHIR server's response is larger than {MAX_HEAD_BYTES} bytes."
_EXCESS_BYTES = "The FHIR server sent bytes after the end of its response."


class _InterimHeaderCheck:
    """Refuses an interim response that announces a body. It cannot have one (RFC 9112 section 6.3)."""

    def on_header(self, name: bytes, _: bytes) -> None:
        if name.lower() in (b"transfer-encoding", b"content-length"):
            raise MalformedResponse("The FHIR server sent an interim response that announces a body.")


class ResponseParser:
    """Parses the responses of one connection. The subclass `Connection` adds the socket and the deadlines.

    Bodies of known length, and those that end with the connection, bypass llhttp. Counting their bytes gives the exact
    end of the response, even where llhttp skips empty lines, and saves a copy.
    """

    __slots__ = (
        "_bytes_without_body",
        "_chunks",
        "_fields",
        "_framing",
        "_interim_count",
        "_is_head_request",
        "_is_http11",
        "_is_reusable",
        "_last_bytes",
        "_message_complete",
        "_parser",
        "_pending_head",
        "_remaining",
    )  # fmt: skip

    def __init__(self) -> None:
        self._parser: HttpResponseParser | None = None

    def _begin_response(self, *, is_head_request: bool) -> None:
        """Prepare for the next response, to a HEAD or another method."""
        self._fields: list[tuple[bytes, bytes]] = []
        self._framing: BodyFraming | None = None
        self._is_head_request = is_head_request
        self._pending_head = b""
        self._last_bytes = b""
        self._interim_count = 0
        self._bytes_without_body = 0
        self._remaining = 0
        self._message_complete = False
        if self._parser is None:
            self._parser = HttpResponseParser(self)

    def _drop_parser(self) -> None:
        """Break the reference cycle with llhttp's parser, which holds bound methods of this object."""
        self._parser = None

    @property
    def _ends_by_closing(self) -> bool:
        return self._framing is BodyFraming.CLOSE

    def _end(self, response: UpstreamResponse, *, reusable: bool) -> None:
        """The response is complete. `reusable`: whether the connection may be used again."""
        raise NotImplementedError

    def _parse(self, response: UpstreamResponse, data: bytes) -> None:
        """Parse more bytes. Raises `MalformedResponse`."""
        try:
            if self._framing is None:
                self._read_head(response, data)
            elif self._framing is BodyFraming.CHUNKED:
                self._read_chunks(response, data)
            else:
                self._read_counted(response, data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if isinstance(error.__context__, MalformedResponse):
                raise error.__context__ from None
            raise MalformedResponse(f"The FHIR server's response is not HTTP/1.1: {error}.") from None

    # Called by llhttp.

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer field, which is ignored (RFC 9110 section 6.5.1)."""
        if self._framing is None:
            self._fields.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is complete: determine the framing before the first byte of the body."""
        parser = self._parser
        assert parser is not None
        if self._message_complete:
            raise MalformedResponse(_EXCESS_BYTES)
        self._framing, self._remaining = determine_framing(
            parser.get_status_code(), self._fields, is_http11=self._is_http11, is_head_request=self._is_head_request
        )
        # RFC 9112 section 9.3. The `keep-alive` of HTTP/1.0 is not trusted, because proxies forward it unchecked.
        # After a HEAD, llhttp expects a body and so returns False for a head without a length.
        is_persistent = not has_connection_close(self._fields) if self._is_head_request else parser.should_keep_alive()
        self._is_reusable = self._is_http11 and self._framing is not BodyFraming.CLOSE and is_persistent

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._chunks.append(piece)

    def on_message_complete(self) -> None:
        """The end of the message as llhttp sees it. It is used for chunked bodies only."""
        self._message_complete = True

    # Parsing.

    def _read_head(self, response: UpstreamResponse, data: bytes) -> None:
        examined = len(self._pending_head)
        if examined:
            data = self._pending_head + data
        end = data.find(_HEAD_END, examined - 3 if examined > 3 else 0) + 4
        if end < 4:
            self._await_head(data, examined)
            return
        if end > MAX_HEAD_BYTES:
            raise MalformedResponse(_HEAD_TOO_LARGE)
        if _STATUS_LINE.match(data) is None:
            raise MalformedResponse(f"The FHIR server sent {data[:40]!r}, which is not HTTP/1.1.")
        self._is_http11 = data[7] == 0x31
        self._pending_head = b""
        if data[9] == 0x31:  # 1xx
            self._skip_interim(response, data, end)
            return
        parser = self._parser
        assert parser is not None
        self._chunks: list[bytes] = []
        parser.feed_data(data)
        response.status = parser.get_status_code()
        response.headers = self._fields
        self._begin_body(response, data, end)

    def _await_head(self, data: bytes, examined: int) -> None:
        """Keep an incomplete head until its end arrives, unless it is already invalid."""
        if len(data) > MAX_HEAD_BYTES:
            raise MalformedResponse(_HEAD_TOO_LARGE)
        if not b"HTTP/1.".startswith(data[:7]):
            raise MalformedResponse(f"The FHIR server sent {data[:7]!r}, which is not HTTP/1.1.")
        if _BARE_LF.search(data, examined) is not None:
            raise MalformedResponse("The FHIR server's response has a line that ends without a carriage return.")
        self._pending_head = data

    def _skip_interim(self, response: UpstreamResponse, data: bytes, end: int) -> None:
        if data.startswith(b"101", 9):
            raise MalformedResponse("The FHIR server wants to switch protocols, although the request did not.")
        self._interim_count += 1
        if self._interim_count > MAX_INTERIM_RESPONSES:
            raise MalformedResponse(f"The FHIR server sent more than {MAX_INTERIM_RESPONSES} interim responses.")
        HttpResponseParser(_InterimHeaderCheck()).feed_data(data[:end])
        if len(data) > end:
            self._read_head(response, data[end:])

    def _begin_body(self, response: UpstreamResponse, data: bytes, end: int) -> None:
        """Process the bytes after the head in the same read. Counting finds even the empty lines that llhttp skips."""
        match self._framing:
            case BodyFraming.CHUNKED:
                self._take_chunks(response, data)
                response.receive_head()
                return
            case BodyFraming.CLOSE:
                self._remaining = -1
            case _:
                self._remaining -= len(data) - end
                if self._remaining < 0:
                    raise MalformedResponse(_EXCESS_BYTES)
        for piece in self._chunks:
            response.feed(piece)
        if self._remaining == 0:
            if self._is_head_request:
                self._parser = None  # it may still wait for a body, which a response to HEAD does not have
            self._end(response, reusable=self._is_reusable)
            return
        self._parser = None
        if self._remaining < 0 or self._remaining + response.buffered_bytes > EAGER_BODY_BYTES:
            response.receive_head()
        response.end_read()

    def _read_counted(self, response: UpstreamResponse, data: bytes) -> None:
        if self._framing is BodyFraming.LENGTH:
            self._remaining -= len(data)
            if self._remaining < 0:
                raise MalformedResponse(_EXCESS_BYTES)
        response.feed(data)
        if self._remaining == 0:
            self._end(response, reusable=self._is_reusable)
        else:
            response.end_read()

    def _read_chunks(self, response: UpstreamResponse, data: bytes) -> None:
        parser = self._parser
        assert parser is not None
        self._chunks = []
        parser.feed_data(data)
        self._take_chunks(response, data)

    def _take_chunks(self, response: UpstreamResponse, data: bytes) -> None:
        chunks = self._chunks
        if len(chunks) > MAX_PIECES_PER_READ:
            response.feed(b"".join(chunks))
        else:
            for piece in chunks:
                response.feed(piece)
        self._last_bytes = (self._last_bytes + data[-5:])[-5:]
        if self._message_complete:
            # Any other ending may contain trailer fields, or empty lines that llhttp skips.
            self._end(response, reusable=self._is_reusable and self._last_bytes == b"0\r\n\r\n")
            return
        self._bytes_without_body = 0 if chunks else self._bytes_without_body + len(data)
        if self._bytes_without_body > MAX_HEAD_BYTES:
            raise MalformedResponse("The FHIR server sends chunk extensions or trailer fields without end.")
        response.end_read()
