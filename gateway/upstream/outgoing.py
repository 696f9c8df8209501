"""The head of an outgoing request: checked so that nothing can be smuggled into it, then written as bytes."""

import re
from functools import lru_cache

from .exchange import Headers, Request

# RFC 9110 section 5.6.2 (token). Names are lower case by contract, which makes the look-up in RESERVED exact.
_METHOD = re.compile(rb"[A-Z0-9!#$%&'*+\-.^_`|~]+")
_NAME = re.compile(rb"[a-z0-9!#$%&'*+\-.^_`|~]+")
# RFC 9112 section 3.2.1 (origin form). Visible ASCII only: neither a space nor a line end can split the request line.
_IN_TARGET = bytes(octet for octet in range(0x21, 0x7F) if octet != ord("#"))
# RFC 9110 section 5.5: a value holds no control character but the tab.
_CONTROLS = bytes((*range(9), *range(10, 32), 127))

# What this connection alone decides: where the request goes, how it is framed, and every hop-by-hop field
# (RFC 9110 section 7.6.1). A caller that sends one of them has forgotten to drop a client's header.
RESERVED = frozenset(
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


# Heads that begin the same are checked and put together once. What is longer comes back too seldom to be kept.
_REMEMBERED = 1024
_LONGEST_REMEMBERED = 1024


class RequestHeads:
    """Writes request heads for one upstream: its own `Host`, then the fields that never change, then the request's."""

    __slots__ = ("_constant", "_remembered", "_reserved")

    def __init__(self, host_field: bytes, constant: Headers = ()) -> None:
        own = field_block(constant, RESERVED)
        self._reserved = RESERVED.union(name for name, _ in constant)
        self._constant = b" HTTP/1.1\r\nhost: " + host_field + b"\r\n" + own
        self._remembered = lru_cache(_REMEMBERED)(self._beginning)

    def write(self, request: Request) -> bytes:
        """The request head up to and including the empty line. Raises `ValueError` naming what is wrong with it."""
        method, target, headers, body = request.method, request.target, request.headers, request.body
        beginning = self._remembered if len(target) <= _LONGEST_REMEMBERED else self._beginning
        head = beginning(method, target, headers)
        if request.own:
            head += field_block(request.own, self._reserved)
        # RFC 9110 section 8.6: a method that gives content a meaning says its length even when that is nought.
        if body or method in (b"POST", b"PUT", b"PATCH"):
            return b"%bcontent-length: %d\r\n\r\n" % (head, len(body))
        return head + b"\r\n"

    def _beginning(self, method: bytes, target: bytes, headers: Headers) -> bytes:
        if not _may_be_sent(method):
            raise ValueError(f"{method!r} is not a method that can be sent upstream.")
        if target[:1] != b"/" or target.translate(None, _IN_TARGET):
            raise ValueError(f"{target!r} is not a request target in origin form of visible ASCII characters.")
        return b"%b %b%b%b" % (method, target, self._constant, field_block(headers, self._reserved))


def field_block(headers: Headers, reserved: frozenset[bytes]) -> bytes:
    """Header fields as lines. Raises `ValueError` for a name or value that could be read as anything but one field."""
    lines: list[bytes] = []
    for name, value in headers:
        if name in reserved:
            raise ValueError(f"The header {name!r} is set by the connection and cannot be sent by a caller.")
        lines += (_line_start(name), value, b"\r\n")
    block = b"".join(lines)
    # One look at the whole block is cheaper than one at each value: only the line ends may hold control characters.
    if len(block.translate(None, _CONTROLS)) != len(block) - 2 * len(headers):
        offender = next(name for name, value in headers if value.translate(None, _CONTROLS) != value)
        raise ValueError(f"The header {offender!r} has a value that cannot be sent in one field.")
    return block


def _may_be_sent(method: bytes) -> bool:
    return _METHOD.fullmatch(method) is not None and method != b"CONNECT"


# Names come from the code, not from clients: a few, looked at once.
@lru_cache(256)
def _line_start(name: bytes) -> bytes:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"The header {name!r} has a name that cannot be sent in one field.")
    return name + b": "
