"""The JSON text of a Binary without its content, read piece by piece: memory use does not depend on the content."""

import re

from gateway.fhir.resources.resource import MalformedResourceError

_STRUCTURE = re.compile(rb'["{}\[\]:,]')
_STRING_END = re.compile(rb'["\\]')
_DATA = b"data"


class BinaryText:
    """Splits the text of a Binary into its content, which is the value of `data`, and the rest.

    `rest` is the text with an empty `data`. It errs on the safe side: a `data` that it does not find stays in the rest.
    """

    def __init__(self, limit: int) -> None:
        """`limit` is how many bytes the rest may have."""
        self.rest = bytearray()
        self._limit = limit
        self._depth = 0
        self._is_key = False
        self._key: bytes | None = None
        self._string: bytearray | None = None
        self._in_content = False
        self._is_escaped = False

    @property
    def is_complete(self) -> bool:
        """Whether the text ends outside of the content, and of every object."""
        return not self._in_content and not self._depth

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece, and return what of it is content. Raises `MalformedResourceError` above the limit."""
        position, content = 0, []
        while position < len(piece):
            if self._in_content:
                end = self._find_string_end(piece, position)
                content.append(piece[position : end if end is not None else len(piece)])
                if end is None:
                    break
                self._in_content = False
                position = end
                self._keep(piece[position : position + 1])
                position += 1
            elif self._string is not None:
                end = self._find_string_end(piece, position)
                stop = len(piece) if end is None else end + 1
                self._keep(piece[position:stop])
                if self._is_key:
                    self._string += piece[position : stop if end is None else end]
                if end is not None:
                    self._key, self._string = bytes(self._string) if self._is_key else None, None
                position = stop
            else:
                position = self._read_structure(piece, position)
        return b"".join(content)

    def _read_structure(self, piece: bytes, position: int) -> int:
        match = _STRUCTURE.search(piece, position)
        stop = len(piece) if match is None else match.end()
        self._keep(piece[position:stop])
        if match is None:
            return stop
        match match[0]:
            case b'"':
                if self._depth == 1 and not self._is_key and self._key == _DATA:
                    self._in_content, self._key = True, None
                else:
                    self._string = bytearray()
            case b":":
                self._is_key = False
            case b",":
                self._is_key, self._key = self._depth == 1, None
            case b"{":
                self._depth += 1
                self._is_key = self._depth == 1
            case b"[":
                self._depth += 1
                self._is_key = False
            case _:
                self._depth -= 1
                self._is_key = False
        return stop

    def _find_string_end(self, piece: bytes, position: int) -> int | None:
        """Where the quotation mark is that ends a string; None if that is in a later piece."""
        while position < len(piece):
            if self._is_escaped:
                self._is_escaped = False
                position += 1
                continue
            match = _STRING_END.search(piece, position)
            if match is None:
                return None
            if match[0] == b'"':
                return match.start()
            self._is_escaped = True
            position = match.end()
        return None

    def _keep(self, text: bytes) -> None:
        self.rest += text
        if len(self.rest) > self._limit:
            raise MalformedResourceError("a Binary with too much beside its content")
