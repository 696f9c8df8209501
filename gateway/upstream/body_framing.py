"""How the body of a response ends, determined by its head. Heads that are ambiguous are refused."""

from enum import Enum, auto

from gateway.upstream.exchange_types import MalformedResponse

# A larger head, or one with more fields, is refused before it is parsed.
MAX_HEAD_BYTES = 64 * 1024
MAX_FIELDS = 200


class BodyFraming(Enum):
    """The ways in which a body can end (RFC 9112 section 6.3)."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()


def determine_framing(
    status: int, fields: list[tuple[bytes, bytes]], *, is_http11: bool, is_head_request: bool
) -> tuple[BodyFraming, int]:
    """The framing and, for `LENGTH`, the number of bytes. Raises `MalformedResponse`.

    llhttp has already refused a second Content-Length, one that is no plain number, and one with a Transfer-Encoding.
    This function refuses what llhttp accepts.
    """
    if len(fields) > MAX_FIELDS:
        raise MalformedResponse(f"The FHIR server's response has more than {MAX_FIELDS} header fields.")
    values = dict(fields)
    coding, declared = values.get(b"transfer-encoding"), values.get(b"content-length")
    if coding is not None:
        # RFC 9112 section 6.1: the field is an error in HTTP/1.0 and with 204. Implementations read `gzip, chunked`,
        # `xchunked`, `chunked, chunked` and two fields in different ways.
        codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
        if codings != [b"chunked"]:
            raise MalformedResponse(
                f"The FHIR server's response has the Transfer-Encoding {b', '.join(codings)!r}, not chunked."
            )
        if not is_http11 or status == 204:
            raise MalformedResponse("The FHIR server's response has a Transfer-Encoding where none is allowed.")
    if declared is not None and not declared.isdigit():
        raise MalformedResponse(f"The FHIR server's response has the Content-Length {declared!r}.")
    if status == 204 and declared is not None and int(declared) != 0:
        raise MalformedResponse("The FHIR server's response has the status 204 (No Content) and a Content-Length.")
    if is_head_request or status in (204, 304):
        return BodyFraming.NONE, 0
    if coding is not None:
        return BodyFraming.CHUNKED, 0
    if declared is not None:
        length = int(declared)
        return (BodyFraming.LENGTH, length) if length else (BodyFraming.NONE, 0)
    return BodyFraming.CLOSE, 0


def has_connection_close(fields: list[tuple[bytes, bytes]]) -> bool:
    """Whether a `Connection` field holds the option `close` (RFC 9112 section 9.6)."""
    options = b",".join(value for name, value in fields if name == b"connection")
    return any(option.strip(b" \t").lower() == b"close" for option in options.split(b","))
