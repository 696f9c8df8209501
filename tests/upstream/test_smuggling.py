"""Ambiguous responses: each is refused, and its connection is never used again."""

import asyncio
import os
import socket

import pytest

from gateway.upstream.body_framing import MAX_FIELDS, MAX_HEAD_BYTES
from gateway.upstream.exchange_types import MalformedResponse, Request
from tests.upstream.raw_server import GET, HELLO, OK, Peer, fetch, open_pool, raw_server, respond_with
from tests.upstream.test_responses import CHUNKED, HEAD, trickle

ZERO = b"content-length: 0\r\n\r\n"
ONE = b"1\r\na\r\n0\r\n\r\n"

HOSTILE = {
    "Transfer-Encoding beside Content-Length": OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n" + ONE,
    "Content-Length beside Transfer-Encoding": OK + b"transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n" + ONE,
    "two Content-Lengths that differ": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "two Content-Lengths that agree": OK + b"content-length: 1\r\ncontent-length: 1\r\n\r\na",
    "Content-Length as a list": OK + b"content-length: 1, 1\r\n\r\na",
    "Content-Length with a sign": OK + b"content-length: +1\r\n\r\na",
    "Content-Length below nought": OK + b"content-length: -1\r\n\r\na",
    "Content-Length in hexadecimal": OK + b"content-length: 0x1\r\n\r\na",
    "Content-Length with an underscore": OK + b"content-length: 1_0\r\n\r\na",
    "Content-Length with a space inside": OK + b"content-length: 1 1\r\n\r\na",
    "Content-Length without a value": OK + b"content-length:\r\n\r\na",
    "Content-Length beyond 64 bits": OK + b"content-length: 99999999999999999999\r\n\r\na",
    "Transfer-Encoding gzip": OK + b"transfer-encoding: gzip\r\n\r\n" + ONE,
    "Transfer-Encoding gzip, chunked": OK + b"transfer-encoding: gzip, chunked\r\n\r\n" + ONE,
    "Transfer-Encoding chunked, gzip": OK + b"transfer-encoding: chunked, gzip\r\n\r\n" + ONE,
    "Transfer-Encoding chunked twice in one field": OK + b"transfer-encoding: chunked, chunked\r\n\r\n" + ONE,
    "Transfer-Encoding chunked in two fields": OK + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n" + ONE,
    "Transfer-Encoding identity": OK + b"transfer-encoding: identity\r\n\r\na",
    "Transfer-Encoding xchunked": OK + b"transfer-encoding: xchunked\r\n\r\n" + ONE,
    "Transfer-Encoding with a parameter": OK + b"transfer-encoding: chunked;x=y\r\n\r\n" + ONE,
    "Transfer-Encoding after a vertical tab": OK + b"transfer-encoding:\x0bchunked\r\n\r\n" + ONE,
    "Transfer-Encoding without a value": OK + b"transfer-encoding:\r\n\r\n" + ONE,
    "Transfer-Encoding in HTTP/1.0": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + ONE,
    "204 with a length": b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello",
    "204 in chunks": b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n" + ONE,
    "304 with a body": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello",
    "a field folded over two lines": OK + b"x: a\r\n b\r\n" + ZERO,
    "a field folded by a tab": OK + b"x: a\r\n\tb\r\n" + ZERO,
    "a length folded into the next line": OK + b"content-length:\r\n 5\r\n\r\nhello",
    "a space before the first field": OK + b" x: a\r\n" + ZERO,
    "a space before the colon": OK + b"content-length : 5\r\n\r\nhello",
    "a field without a name": OK + b": a\r\n" + ZERO,
    "a field without a colon": OK + b"x\r\n" + ZERO,
    "a name outside ASCII": OK + b"x\xc3\xb6: a\r\n" + ZERO,
    "a bare line feed after the status line": b"HTTP/1.1 200 OK\n" + ZERO,
    "a bare line feed after a field": OK + b"x: a\n" + ZERO,
    "a bare line feed as the empty line": OK + b"content-length: 5\r\n\nhello\r\n\r\n",
    "bare line feeds throughout": b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello",
    "a bare carriage return in a field": OK + b"x: a\rb\r\n" + ZERO,
    "a NUL in the reason": b"HTTP/1.1 200 O\0K\r\n" + ZERO,
    "a bare carriage return in the reason": b"HTTP/1.1 200 O\rK\r\n" + ZERO,
    "a NUL in a field": OK + b"x: a\0b\r\n" + ZERO,
    "a control character in a field": OK + b"x: a\x01b\r\n" + ZERO,
    "a DEL in a field": OK + b"x: a\x7fb\r\n" + ZERO,
    "a chunk size with a prefix": CHUNKED + b"0x1\r\na\r\n0\r\n\r\n",
    "a chunk size below nought": CHUNKED + b"-1\r\na\r\n0\r\n\r\n",
    "a chunk size with a space": CHUNKED + b"1 \r\na\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"f" * 17 + b"\r\na\r\n0\r\n\r\n",
    "a chunk without a size": CHUNKED + b"\r\na\r\n0\r\n\r\n",
    "a chunk size ended by a line feed": CHUNKED + b"1\na\r\n0\r\n\r\n",
    "a chunk extension ended by a line feed": CHUNKED + b"1;x\na\r\n0\r\n\r\n",
    "a carriage return in a chunk extension": CHUNKED + b"1;x\ry\r\na\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
    "a chunk without its line end": CHUNKED + b"1\r\na0\r\n\r\n",
    "a trailer that is no field": CHUNKED + b"1\r\na\r\n0\r\nGET / HTTP/1.1\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\n" + ZERO,
    "HTTP/2 without a minor version": b"HTTP/2 200\r\n" + ZERO,
    "HTTP/0.9 with a head": b"HTTP/0.9 200 OK\r\n" + ZERO,
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n" + ZERO,
    "http in lower case": b"http/1.1 200 OK\r\n" + ZERO,
    "RTSP": b"RTSP/1.0 200 OK\r\n" + ZERO,
    "ICE": b"ICE/1.0 200 OK\r\n" + ZERO,
    "the HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an HTTP/2 SETTINGS frame": b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\x10\0\0\0\x06\0\0\0\0",
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "only a body": b'{"resourceType":"Patient"}',
    "an empty line before the status line": b"\r\n" + HELLO,
    "a space before the status line": b" " + HELLO,
    "two spaces before the status": b"HTTP/1.1  200 OK\r\n" + ZERO,
    "a status of two digits": b"HTTP/1.1 20 OK\r\n" + ZERO,
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n" + ZERO,
    "the status 099": b"HTTP/1.1 099 OK\r\n" + ZERO,
    "the status 600": b"HTTP/1.1 600 OK\r\n" + ZERO,
    "101 with an upgrade": b"HTTP/1.1 101 S\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    "101 without one": b"HTTP/1.1 101 S\r\n\r\n",
    "101 after 100": b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 101 S\r\n\r\n",
    "RTSP after 100": b"HTTP/1.1 100 C\r\n\r\nRTSP/1.1 200 OK\r\n" + ZERO,
    "an empty line after 100": b"HTTP/1.1 100 C\r\n\r\n\r\n" + HELLO,
    "a bare carriage return within 100": b"HTTP/1.1 100 C\r\nx: a\rb\r\n\r\n" + HELLO,
    "an interim answer that announces a body": b"HTTP/1.1 103 E\r\nContent-Length: 5\r\n\r\n" + HELLO,
    "an interim answer that announces chunks": b"HTTP/1.1 103 E\r\ntransfer-encoding: chunked\r\n\r\n" + HELLO,
    "interim answers without end": b"HTTP/1.1 103 E\r\n\r\n" * 9 + HELLO,
    "a head that is too large": OK + b"x: " + b"a" * MAX_HEAD_BYTES + b"\r\n" + ZERO,
    "a head that is too large and does not end": OK + b"x: " + b"a" * MAX_HEAD_BYTES,
    "too many fields": OK + b"x: a\r\n" * MAX_FIELDS + ZERO,
    "chunk extensions without end": CHUNKED + b"1;" + b"x" * 400_000,
    "trailer fields without end": CHUNKED + b"0\r\n" + b"x: y\r\n" * 80_000,
}

# A second response follows in the same read. In single bytes, the first response ends before the excess bytes come.
CONTINUED = {
    "a byte after the body": HELLO + b"x",
    "an empty line after the body": HELLO + b"\r\n",
    "a second answer after the body": HELLO + HELLO,
    "a second answer after no body": OK + ZERO + HELLO,
    "the start of a second answer": HELLO + b"HTTP/1.1 200",
    "a second answer after the last chunk": CHUNKED + ONE + HELLO,
    "a second answer after 204": b"HTTP/1.1 204 No Content\r\n\r\n" + HELLO,
    "bytes after Connection: close": OK + b"connection: close\r\ncontent-length: 1\r\n\r\nab",
}

TO_HEAD = {
    "a body after HEAD": HELLO,
    "chunks after HEAD": CHUNKED + ONE,
    "an empty line after HEAD": OK + b"\r\n\r\n",
    "a second answer after HEAD": OK + ZERO + HELLO,
}


def as_params(rows: dict[str, bytes]) -> list[object]:
    return [pytest.param(data, id=name) for name, data in rows.items()]


@pytest.mark.parametrize("data", as_params(HOSTILE | CONTINUED))
async def test_an_ambiguous_answer_is_refused_and_its_connection_closed(data: bytes) -> None:
    await assert_refused(data, GET)


@pytest.mark.parametrize("data", as_params(TO_HEAD))
async def test_a_head_request_has_no_body(data: bytes) -> None:
    await assert_refused(data, HEAD)


async def assert_refused(data: bytes, request: Request) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(data if peer.number == 1 else HELLO if request is GET else OK + b"content-length: 5\r\n\r\n")
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server) as pool:
        with pytest.raises(MalformedResponse):
            await fetch(pool, request)
        assert (pool.idle, pool.in_use) == (0, 0)
        assert (await fetch(pool, request))[0] == 200
        assert server.connections == 2


@pytest.mark.parametrize("data", as_params({name: data for name, data in HOSTILE.items() if len(data) < 1000}))
async def test_an_ambiguous_answer_in_single_bytes_is_refused_too(data: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await trickle(peer, data if peer.number == 1 else HELLO)
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server) as pool:
        # A body that is valid until its end, such as that of a 304, may have been returned by then.
        try:
            status, body = await fetch(pool)
        except MalformedResponse:
            pass
        else:
            assert status == 304
            assert body == b""
        assert await fetch(pool) == (200, b"hello")
        assert server.connections == 2


@pytest.mark.parametrize("surplus", [b"x", b"\r\n", HELLO], ids=["a byte", "an empty line", "a whole answer"])
async def test_bytes_that_come_while_a_connection_is_idle_close_it(surplus: bytes) -> None:
    idle, closed = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(HELLO)
        if peer.number == 1:
            await idle.wait()
            peer.write(surplus)
        await peer.wait_until_closed()
        closed.set()

    async with raw_server(script) as server, open_pool(server) as pool:
        await fetch(pool)
        assert pool.idle == 1
        idle.set()
        await closed.wait()
        assert pool.idle == 0
        assert await fetch(pool) == (200, b"hello")
        assert server.connections == 2


async def test_bytes_that_wait_unread_are_found_before_the_next_request() -> None:
    """The event loop has not read the bytes yet; only a system call finds them."""
    numbers: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.read_request()
        numbers.append(os.dup(peer.writer.get_extra_info("socket").fileno()))
        peer.write(HELLO)
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server) as pool:
        await fetch(pool)
        with socket.socket(fileno=numbers[0]) as same:
            same.send(HELLO.replace(b"hello", b"wrong"))
            assert await fetch(pool) == (200, b"hello")
        assert server.connections == 2
        os.close(numbers[1])


async def test_answers_that_are_well_formed_do_reuse_their_connection() -> None:
    """Connections are reused at all; otherwise the tables above would pass, too."""
    async with raw_server(respond_with(HELLO)) as server, open_pool(server) as pool:
        await fetch(pool)
        await fetch(pool)
        assert server.connections == 1
