"""Hostile framing: answers that break HTTP/1.1 itself, never end, or never come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from tests.servers.hostile.bodies import MIB, stolen
from tests.servers.hostile.documents import honest
from tests.servers.hostile.modes import Mode
from tests.servers.hostile.question import FHIR_JSON, Kind, Question, Wire
from tests.servers.hostile.world import entry, of_a, of_b
from tests.servers.people import B_MARKER

Chunks = Callable[[Question], AsyncIterator[bytes]]

_SLOW_SECONDS = 0.2
_LATER_SECONDS = 0.1


def framed(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer as bytes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {FHIR_JSON}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _head(*headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {FHIR_JSON}", *headers, "", ""]).encode()


def _chunk(body: bytes, extension: str = "") -> bytes:
    return f"{len(body):x}{extension}\r\n".encode() + body + b"\r\n"


def _secret(question: Question) -> bytes:
    """An answer about B, ready to be smuggled."""
    return framed(stolen(question))


async def _many(question: Question, count: int | None) -> AsyncIterator[bytes]:
    """A Bundle of B's records in chunks, `count` of them about a mebibyte long, or for ever."""
    yield _head("Transfer-Encoding: chunked")
    yield _chunk(b'{"resourceType": "Bundle", "type": "searchset", "entry": [')
    one = json.dumps(entry(of_b(question.type), question.base)).encode() + b","
    block = _chunk(one * (MIB // len(one)))
    sent = 0
    while count is None or sent < count:
        yield block
        sent += 1
        await asyncio.sleep(0)
    yield _chunk(one[:-1] + b"]}") + b"0\r\n\r\n"


def _huge_body(question: Question) -> AsyncIterator[bytes]:
    return _many(question, 64)


def _endless_body(question: Question) -> AsyncIterator[bytes]:
    return _many(question, None)


async def _huge_string(question: Question) -> AsyncIterator[bytes]:
    before, _, after = json.dumps({**of_a(question.type, question.id), "language": "--"}).partition("--")
    yield _head(f"Content-Length: {len(before) + len(after) + 64 * MIB}") + before.encode()
    for _ in range(64):
        yield b"a" * MIB
    yield after.encode()


async def _slow_body(question: Question) -> AsyncIterator[bytes]:
    body = stolen(question)
    yield _head(f"Content-Length: {len(body)}")
    for byte in body:
        yield bytes([byte])
        await asyncio.sleep(_SLOW_SECONDS)


async def _silent(_question: Question) -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def _once(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def _closes_at_once(_question: Question) -> AsyncIterator[bytes]:
    return _once()


def _truncated_body(question: Question) -> AsyncIterator[bytes]:
    body = stolen(question)
    return _once(_head(f"Content-Length: {len(body) + 100}"), body)


def _truncated_chunks(question: Question) -> AsyncIterator[bytes]:
    return _once(_head("Transfer-Encoding: chunked"), _chunk(stolen(question)))


def _ends_with_connection(question: Question) -> AsyncIterator[bytes]:
    return _once(_head("Connection: close"), stolen(question))


def _two_lengths(question: Question) -> AsyncIterator[bytes]:
    a, b = honest(question).body, _secret(question)
    return _once(_head(f"Content-Length: {len(a)}", f"Content-Length: {len(a) + len(b)}"), a, b)


def _length_and_chunks(question: Question) -> AsyncIterator[bytes]:
    a = honest(question).body
    body = _chunk(a) + b"0\r\n\r\n"
    return _once(_head(f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"), body, _secret(question))


def _unasked_answer(question: Question) -> AsyncIterator[bytes]:
    return _once(framed(honest(question).body) + _secret(question))


async def _unasked_answer_later(question: Question) -> AsyncIterator[bytes]:
    yield framed(honest(question).body)
    await asyncio.sleep(_LATER_SECONDS)
    yield _secret(question)


def _with_body(status: str) -> Chunks:
    """A status that never has a body, with one."""

    def chunks(question: Question) -> AsyncIterator[bytes]:
        body = _secret(question)
        return _once(_head(f"Content-Length: {len(body)}", status=status), body)

    return chunks


def _early_hints(question: Question) -> AsyncIterator[bytes]:
    hints = f"HTTP/1.1 103 Early Hints\r\nLink: <{question.base}/Patient/{B_MARKER}>; rel=preload\r\n\r\n"
    return _once(hints.encode(), framed(honest(question).body))


def _switching_protocols(question: Question) -> AsyncIterator[bytes]:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    return _once(head, stolen(question))


async def _header_flood(_question: Question) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield f"X-Flood: {B_MARKER}\r\n".encode() * 1000
        await asyncio.sleep(0)


def _split_header(question: Question) -> AsyncIterator[bytes]:
    body = stolen(question)
    head = f"HTTP/1.1 200 OK\nContent-Type: {FHIR_JSON}\nX-Split: a\n {B_MARKER}\nContent-Length: {len(body)}\n\n"
    return _once(head.encode(), body)


def _bad_status_line(question: Question) -> AsyncIterator[bytes]:
    return _once(b"HTTP/1.1 OK two hundred\r\n", framed(stolen(question)).partition(b"\r\n")[2])


def _no_head(question: Question) -> AsyncIterator[bytes]:
    return _once(stolen(question))


def _trailers_of_b(question: Question) -> AsyncIterator[bytes]:
    last = f"0;{B_MARKER}\r\nX-Secret: {B_MARKER}\r\nSet-Cookie: a={B_MARKER}\r\n\r\n"
    body = _chunk(honest(question).body, f";patient={B_MARKER}")
    return _once(_head("Transfer-Encoding: chunked", "Trailer: X-Secret"), body, last.encode())


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


def _wire(chunks: Chunks, close: bool) -> Callable[[Question], Wire | None]:
    return lambda question: None if question.kind is Kind.METADATA else Wire(chunks(question), close)


ANSWERS: dict[Mode, Callable[[Question], Wire | None]] = {
    **{mode: _wire(chunks, close=True) for mode, chunks in _CLOSING.items()},
    **{mode: _wire(chunks, close=False) for mode, chunks in _KEEPING_ALIVE.items()},
}
