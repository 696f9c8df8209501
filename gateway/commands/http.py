"""uvicorn's HTTP/1.1 protocol with an end to request heads: without one, a single connection could fill the memory."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A token of 16 KiB and a query of 16 KiB fit in with room to spare; larger ones are refused anyway.
MAX_HEAD = 64 * 1024
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
)
_SENTENCE = b"The request line and headers are larger than this server accepts.\n"


class BoundedHttpProtocol(HttpToolsProtocol):
    """Answers 431 and closes where a head is still unfinished after `MAX_HEAD` bytes (RFC 6585 5)."""

    _unfinished = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        """Some more bytes of the client."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_head:
            self._unfinished += len(data)
            if self._unfinished > MAX_HEAD and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE % (len(_SENTENCE), _SENTENCE))
                self.transport.close()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head, self._unfinished = False, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole; what follows is the head of another."""
        super().on_message_complete()
        self._in_head = True
