"""Hostile framing: responses that violate HTTP/1.1, never end, or never begin."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from tests.servers.hostile.bodies import MIB, stolen_document
from tests.servers.hostile.documents import honest_response
from tests.servers.hostile.messages import FHIR_JSON, FhirRequest, RawResponse, RequestKind
from tests.servers.hostile.modes import Mode
from tests.servers.hostile.world import a_resource, b_resource, entry
from tests.servers.people import B_MARKER

Chunks = Callable[[FhirRequest], AsyncIterator[bytes]]

_SLOW_SECONDS = 0.2
_LATER_SECONDS = 0.1


def encode_response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A complete response as bytes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {FHIR_JSON}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _encode_head(*headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {FHIR_JSON}", *headers, "", ""]).encode()


def _encode_chunk(body: bytes, extension: str = "") -> bytes:
    return f"{len(body):x}{extension}\r\n".encode() + body + b"\r\n"


def _response_about_b(request: FhirRequest) -> bytes:
    """A complete response about B, which can be smuggled into another."""
    return encode_response(stolen_document(request))


async def _chunked_records(request: FhirRequest, count: int | None) -> AsyncIterator[bytes]:
    """A Bundle of B's records in `count` chunks of about a mebibyte; endless if `count` is None."""
    yield _encode_head("Transfer-Encoding: chunked")
    yield _encode_chunk(b'{"resourceType": "Bundle", "type": "searchset", "entry": [')
    record = json.dumps(entry(b_resource(request.type), request.base)).encode() + b","
    block = _encode_chunk(record * (MIB // len(record)))
    sent = 0
    while count is None or sent < count:
        yield block
        sent += 1
        await asyncio.sleep(0)
    yield _encode_chunk(record[:-1] + b"]}") + b"0\r\n\r\n"


def _huge_body(request: FhirRequest) -> AsyncIterator[bytes]:
    return _chunked_records(request, 64)


def _endless_body(request: FhirRequest) -> AsyncIterator[bytes]:
    return _chunked_records(request, None)


async def _huge_string(request: FhirRequest) -> AsyncIterator[bytes]:
    before, _, after = json.dumps({**a_resource(request.type, request.id), "language": "--"}).partition("--")
    yield _encode_head(f"Content-Length: {len(before) + len(after) + 64 * MIB}") + before.encode()
    for _ in range(64):
        yield b"a" * MIB
    yield after.encode()


async def _slow_body(request: FhirRequest) -> AsyncIterator[bytes]:
    body = stolen_document(request)
    yield _encode_head(f"Content-Length: {len(body)}")
    for byte in body:
        yield bytes([byte])
        await asyncio.sleep(_SLOW_SECONDS)


async def _silent(_question: FhirRequest) -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def _send_parts(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def _closes_at_once(_question: FhirRequest) -> AsyncIterator[bytes]:
    return _send_parts()


def _truncated_body(request: FhirRequest) -> AsyncIterator[bytes]:
    body = stolen_document(request)
    return _send_parts(_encode_head(f"Content-Length: {len(body) + 100}"), body)


def _truncated_chunks(request: FhirRequest) -> AsyncIterator[bytes]:
    return _send_parts(_encode_head("Transfer-Encoding: chunked"), _encode_chunk(stolen_document(request)))


def _ends_with_connection(request: FhirRequest) -> AsyncIterator[bytes]:
    return _send_parts(_encode_head("Connection: close"), stolen_document(request))


def _two_lengths(request: FhirRequest) -> AsyncIterator[bytes]:
    a, b = honest_response(request).body, _response_about_b(request)
    return _send_parts(_encode_head(f"Content-Length: {len(a)}", f"Content-Length: {len(a) + len(b)}"), a, b)


def _length_and_chunks(request: FhirRequest) -> AsyncIterator[bytes]:
    a = honest_response(request).body
    body = _encode_chunk(a) + b"0\r\n\r\n"
    return _send_parts(
        _encode_head(f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"), body, _response_about_b(request)
    )


def _unasked_answer(request: FhirRequest) -> AsyncIterator[bytes]:
    return _send_parts(encode_response(honest_response(request).body) + _response_about_b(request))


async def _unasked_answer_later(request: FhirRequest) -> AsyncIterator[bytes]:
    yield encode_response(honest_response(request).body)
    await asyncio.sleep(_LATER_SECONDS)
    yield _response_about_b(request)


def _with_body(status: str) -> Chunks:
    """A status that never has a body, with one."""

    def chunks(request: FhirRequest) -> AsyncIterator[bytes]:
        body = _response_about_b(request)
        return _send_parts(_encode_head(f"Content-Length: {len(body)}", status=status), body)

    return chunks


def _early_hints(request: FhirRequest) -> AsyncIterator[bytes]:
    hints = f"HTTP/1.1 103 Early Hints\r\nLink: <{request.base}/Patient/{B_MARKER}>; rel=preload\r\n\r\n"
    return _send_parts(hints.encode(), encode_response(honest_response(request).body))


def _switching_protocols(request: FhirRequest) -> AsyncIterator[bytes]:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    return _send_parts(head, stolen_document(request))


async def _header_flood(_question: FhirRequest) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield f"X-Flood: {B_MARKER}\r\n".encode() * 1000
        await asyncio.sleep(0)


def _split_header(request: FhirRequest) -> AsyncIterator[bytes]:
    body = stolen_document(request)
    head = f"HTTP/1.1 200 OK\nContent-Type: {FHIR_JSON}\nX-Split: a\n {B_MARKER}\nContent-Length: {len(body)}\n\n"
    return _send_parts(head.encode(), body)


def _bad_status_line(request: FhirRequest) -> AsyncIterator[bytes]:
    return _send_parts(b"HTTP/1.1 OK two hundred\r\n", encode_response(stolen_document(request)).partition(b"\r\n")[2])


def _no_head(request: FhirRequest) -> AsyncIterator[bytes]:
    return _send_parts(stolen_document(request))


def _trailers_of_b(request: FhirRequest) -> AsyncIterator[bytes]:
    last = f"0;{B_MARKER}\r\nX-Secret: {B_MARKER}\r\nSet-Cookie: a={B_MARKER}\r\n\r\n"
    body = _encode_chunk(honest_response(request).body, f";patient={B_MARKER}")
    return _send_parts(_encode_head("Transfer-Encoding: chunked", "Trailer: X-Secret"), body, last.encode())


_CLOSING: dict[Mode, Chunks] = {
    Mode.ENDLESS_BODY: _endless_body,
    Mode.SILENT: _silent,
    Mode.CLOSES_AT_ONCE: _closes_at_once,
    Mode.TRUNCATED_BODY: _truncated_body,
    Mode.TRUNCATED_CHUNKS: _truncated_chunks,
    Mode.ENDS_WITH_CONNECTION: _ends_with_connection,
    Mode.SWITCHING_PROTOCOLS: _switching_protocols,
    Mode.HEADER_FLOOD: _header_flood,
    Mode.BAD_STATUS_LINE: _bad_status_line,
    Mode.NO_HEAD: _no_head,
}

_KEEPING_ALIVE: dict[Mode, Chunks] = {
    Mode.HUGE_BODY: _huge_body,
    Mode.HUGE_STRING: _huge_string,
    Mode.SLOW_BODY: _slow_body,
    Mode.TWO_LENGTHS: _two_lengths,
    Mode.LENGTH_AND_CHUNKS: _length_and_chunks,
    Mode.UNASKED_ANSWER: _unasked_answer,
    Mode.UNASKED_ANSWER_LATER: _unasked_answer_later,
    Mode.BODY_AFTER_304: _with_body("304 Not Modified"),
    Mode.BODY_AFTER_204: _with_body("204 No Content"),
    Mode.EARLY_HINTS: _early_hints,
    Mode.SPLIT_HEADER: _split_header,
    Mode.TRAILERS_OF_B: _trailers_of_b,
}


def _raw_response(chunks: Chunks, close: bool) -> Callable[[FhirRequest], RawResponse | None]:
    return lambda request: None if request.kind is RequestKind.METADATA else RawResponse(chunks(request), close)


RESPONSES: dict[Mode, Callable[[FhirRequest], RawResponse | None]] = {
    **{mode: _raw_response(chunks, close=True) for mode, chunks in _CLOSING.items()},
    **{mode: _raw_response(chunks, close=False) for mode, chunks in _KEEPING_ALIVE.items()},
}
