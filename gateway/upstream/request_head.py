"""Writes the head of an outgoing request, and checks that nothing can be smuggled into it."""

import re
from functools import lru_cache

from gateway.upstream.exchange_types import Headers, Request

# RFC 9110 section 5.6.2 (token). Names are in lower case, so that the lookup in RESERVED_HEADERS is exact.
_METHOD = re.compile(rb"[A-Z0-9!#$%&'*+\-.^_`|~]+")
_NAME = re.compile(rb"[a-z0-9!#$%&'*+\-.^_`|~]+")
# RFC 9112 section 3.2.1 (origin form). Visible ASCII only: no space or line end can split the request line.
_TARGET_CHARACTERS = bytes(octet for octet in range(0x21, 0x7F) if octet != ord("#"))
# RFC 9110 section 5.5: the only control character in a value is the tab.
_CONTROLS = bytes((*range(9), *range(10, 32), 127))

# Only the connection sets these: the host, the framing and all hop-by-hop fields (RFC 9110 section 7.6.1). A caller
# that passes one of them has forgotten to drop a header of a client.
RESERVED_HEADERS = frozenset(
    (
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)


# Equal beginnings of heads are checked and joined once. Longer targets are repeated too seldom to be cached.
_CACHE_SIZE = 1024
_MAX_CACHED_TARGET = 1024


class RequestHeadWriter:
    """Writes request heads for one server: `Host`, the constant fields, then the fields of the request."""

    __slots__ = ("_cached_start", "_constant_block", "_reserved")

    def __init__(self, host_field: bytes, constant: Headers = ()) -> None:
        constant_fields = field_block(constant, RESERVED_HEADERS)
        self._reserved = RESERVED_HEADERS.union(name for name, _ in constant)
        self._constant_block = b" HTTP/1.1\r\nhost: " + host_field + b"\r\n" + constant_fields
        self._cached_start = lru_cache(_CACHE_SIZE)(self._write_start)

    def write(self, request: Request) -> bytes:
        """The request head including the empty line. Raises `ValueError`, which says what is wrong."""
        method, target, headers, body = request.method, request.target, request.headers, request.body
        write_start = self._cached_start if len(target) <= _MAX_CACHED_TARGET else self._write_start
        head = write_start(method, target, headers)
        if request.varying_headers:
            head += field_block(request.varying_headers, self._reserved)
        if request.content is not None:
            length = request.content.length
            return head + (b"transfer-encoding: chunked\r\n\r\n" if length is None else _length_field(length))
        # RFC 9110 section 8.6: methods with content state its length even if it is 0.
        if body or method in (b"POST", b"PUT", b"PATCH"):
            return head + _length_field(len(body))
        return head + b"\r\n"

    def _write_start(self, method: bytes, target: bytes, headers: Headers) -> bytes:
        if not _is_valid_method(method):
            raise ValueError(f"{method!r} is not a method that can be sent upstream.")
        if target[:1] != b"/" or target.translate(None, _TARGET_CHARACTERS):
            raise ValueError(f"{target!r} is not a request target in origin form of visible ASCII characters.")
        return b"%b %b%b%b" % (method, target, self._constant_block, field_block(headers, self._reserved))


def field_block(headers: Headers, reserved: frozenset[bytes]) -> bytes:
    """Header fields as lines. Raises `ValueError` for a name or value that could be read as more than one field."""
    lines: list[bytes] = []
    for name, value in headers:
        if name in reserved:
            raise ValueError(f"The header {name!r} is set by the connection and cannot be sent by a caller.")
        lines += (_field_start(name), value, b"\r\n")
    block = b"".join(lines)
    # One check of the whole block is cheaper than one per value. Only the line ends may be control characters.
    if len(block.translate(None, _CONTROLS)) != len(block) - 2 * len(headers):
        offender = next(name for name, value in headers if value.translate(None, _CONTROLS) != value)
        raise ValueError(f"The header {offender!r} has a value that cannot be sent in one field.")
    return block


def _length_field(length: int) -> bytes:
    return b"content-length: %d\r\n\r\n" % length


def _is_valid_method(method: bytes) -> bool:
    return _METHOD.fullmatch(method) is not None and method != b"CONNECT"


# Names come from the code and not from clients, so there are few.
@lru_cache(256)
def _field_start(name: bytes) -> bytes:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"The header {name!r} has a name that cannot be sent in one field.")
    return name + b": "
