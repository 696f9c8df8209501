"""How long an answer's body is, told from its head alone, or a refusal when two readers could disagree about it."""

from enum import Enum, auto

from .exchange import Malformed

# A head larger than this, or with more fields, is refused before it is looked at.
MAX_HEAD = 64 * 1024
MAX_FIELDS = 200


class Framing(Enum):
    """The ways in which a body can end (RFC 9112 section 6.3)."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()


def framing(status: int, fields: list[tuple[bytes, bytes]], *, http11: bool, to_head: bool) -> tuple[Framing, int]:
    """The framing and, for `LENGTH`, the number of bytes. Raises `Malformed`.

    llhttp has already refused a second Content-Length, one that is no plain number, and one beside Transfer-Encoding;
    here is what it lets through.
    """
    if len(fields) > MAX_FIELDS:
        raise Malformed(f"The FHIR server's answer has more than {MAX_FIELDS} header fields.")
    known = dict(fields)
    coding, declared = known.get(b"transfer-encoding"), known.get(b"content-length")
    if coding is not None:
        # RFC 9112 section 6.1: in HTTP/1.0 and with 204 the field is a fault; `gzip, chunked`, `xchunked`,
        # `chunked, chunked` and two fields are each read differently by some peer.
        codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
        if codings != [b"chunked"]:
            raise Malformed(
                f"The FHIR server's answer is encoded for transfer as {b', '.join(codings)!r}, not as chunked."
            )
        if not http11 or status == 204:
            raise Malformed("The FHIR server's answer has a Transfer-Encoding where none is allowed.")
    if declared is not None and not declared.isdigit():
        raise Malformed(f"The FHIR server's answer has the Content-Length {declared!r}.")
    if status == 204 and declared is not None and int(declared) != 0:
        raise Malformed("The FHIR server's answer has the status 204 (No Content) and a Content-Length.")
    if to_head or status in (204, 304):
        return Framing.NONE, 0
    if coding is not None:
        return Framing.CHUNKED, 0
    if declared is not None:
        length = int(declared)
        return (Framing.LENGTH, length) if length else (Framing.NONE, 0)
    return Framing.CLOSE, 0


def asks_to_close(fields: list[tuple[bytes, bytes]]) -> bool:
    """Whether a `Connection` field holds the option `close` (RFC 9112 section 9.6)."""
    options = b",".join(value for name, value in fields if name == b"connection")
    return any(option.strip(b" \t").lower() == b"close" for option in options.split(b","))
