"""How responses are read: every way a body can end, and what a closed connection means."""

import asyncio

import pytest

from gateway.upstream.exchange_types import Request, ResponseTooLarge, Unreachable, UpstreamError, UpstreamTimeout
from tests.upstream.raw_server import GET, HELLO, LIMIT, OK, Peer, fetch, open_pool, raw_server, respond_with

HEAD = Request(b"HEAD", b"/fhir/Patient/a")
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"

REUSABLE = [
    pytest.param(GET, HELLO, 200, b"hello", id="a length"),
    pytest.param(GET, OK + b"content-length: 0\r\n\r\n", 200, b"", id="a length of nought"),
    pytest.param(GET, CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", 200, b"hello", id="one chunk"),
    pytest.param(GET, CHUNKED + b"2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, b"hello", id="chunks with an extension"),
    pytest.param(GET, CHUNKED + b"0\r\n\r\n", 200, b"", id="no chunk"),
    pytest.param(GET, CHUNKED + b"1\r\na\r\n" * 500 + b"0\r\n\r\n", 200, b"a" * 500, id="many small chunks"),
    pytest.param(GET, b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", id="204"),
    pytest.param(GET, b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b"", id="304 with a length"),
    pytest.param(HEAD, OK + b"content-length: 5\r\n\r\n", 200, b"", id="HEAD with a length"),
    pytest.param(HEAD, CHUNKED, 200, b"", id="HEAD with chunks announced"),
    pytest.param(HEAD, OK + b"\r\n", 200, b"", id="HEAD without either"),
    pytest.param(GET, b"HTTP/1.1 100 Continue\r\n\r\n" + HELLO, 200, b"hello", id="after 100 Continue"),
    pytest.param(GET, b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" * 2 + HELLO, 200, b"hello", id="after two early hints"),
    pytest.param(GET, b"HTTP/1.1 404 Not Found\r\ncontent-length: 1\r\n\r\nx", 404, b"x", id="an error status"),
    pytest.param(GET, OK + b"upgrade: h2c\r\ncontent-length: 1\r\n\r\nx", 200, b"x", id="an upgrade merely offered"),
]

NOT_REUSABLE = [
    pytest.param(OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello", id="Connection: close"),
    pytest.param(OK + b"connection: a, close\r\ncontent-length: 5\r\n\r\nhello", id="close among other options"),
    pytest.param(b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", id="HTTP/1.0"),
    pytest.param(
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello", id="HTTP/1.0 with keep-alive"
    ),
    pytest.param(CHUNKED + b"5\r\nhello\r\n0\r\nx: y\r\n\r\n", id="trailer fields"),
    pytest.param(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n\r\n", id="an empty line after the last chunk"),
]


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


async def trickle(peer: Peer, data: bytes) -> None:
    """Write single bytes, so that each can be read alone."""
    for byte in pieces(data, 1):
        peer.write(byte)
        await peer.writer.drain()
        await asyncio.sleep(0)


@pytest.mark.parametrize(("request_", "data", "status", "body"), REUSABLE)
async def test_an_answer_is_read_and_its_connection_used_again(
    request_: Request, data: bytes, status: int, body: bytes
) -> None:
    async with raw_server(respond_with(data)) as server, open_pool(server) as pool:
        for _ in range(3):
            assert await fetch(pool, request_) == (status, body)
        assert (server.connections, pool.idle, pool.in_use, pool.opened_total) == (1, 1, 0, 1)


@pytest.mark.parametrize(("request_", "data", "status", "body"), REUSABLE)
async def test_an_answer_in_single_bytes_reads_the_same(
    request_: Request, data: bytes, status: int, body: bytes
) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await trickle(peer, data)

    async with raw_server(script) as server, open_pool(server) as pool:
        assert await fetch(pool, request_) == (status, body)
        assert await fetch(pool, request_) == (status, body)


@pytest.mark.parametrize("data", NOT_REUSABLE)
async def test_an_answer_whose_connection_is_not_trusted_again(data: bytes) -> None:
    async with raw_server(respond_with(data)) as server, open_pool(server) as pool:
        assert await fetch(pool) == (200, b"hello")
        assert pool.idle == 0
        assert await fetch(pool) == (200, b"hello")
        assert server.connections == 2


async def test_a_body_without_length_lasts_until_the_connection_closes() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(OK + b"\r\nhel")
        await peer.writer.drain()
        peer.write(b"lo")

    async with raw_server(script) as server, open_pool(server) as pool:
        assert await fetch(pool) == (200, b"hello")
        assert (pool.idle, pool.in_use) == (0, 0)


async def test_header_names_are_lower_case_and_repeats_stay_in_order() -> None:
    data = OK + b"X-One: a\r\nset-cookie: b \t\r\nSet-Cookie:\tc\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(respond_with(data)) as server, open_pool(server) as pool:
        answer = await pool.send(GET)
        assert answer.headers == [
            (b"x-one", b"a"),
            (b"set-cookie", b"b"),
            (b"set-cookie", b"c"),
            (b"x-empty", b""),
            (b"content-length", b"0"),
        ]


async def test_the_host_is_the_upstreams_own() -> None:
    async with raw_server(respond_with(HELLO)) as server, open_pool(server) as pool:
        await fetch(pool, Request(b"POST", b"/fhir/Patient", ((b"accept", b"a/b"),), b"{}"))
        host = server.base_url.split("/")[2].encode()
        assert server.requests == [
            b"POST /fhir/Patient HTTP/1.1\r\nhost: " + host + b"\r\naccept: a/b\r\ncontent-length: 2\r\n\r\n{}"
        ]
        assert pool.base_path == b"/fhir"


LOST = [
    pytest.param(b"", id="before a byte"),
    pytest.param(b"HTT", id="within the status line"),
    pytest.param(OK + b"content-length: 5\r\n", id="within the head"),
    pytest.param(OK + b"content-length: 5\r\n\r\nhell", id="within a small body"),
    pytest.param(OK + b"content-length: 500000\r\n\r\nhell", id="within a large body"),
    pytest.param(CHUNKED + b"5\r\nhello\r\n", id="between chunks"),
    pytest.param(CHUNKED + b"5\r\nhello\r\n0\r\n", id="before the end of the chunks"),
    pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="after an interim answer"),
]


@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("data", LOST)
async def test_a_connection_that_is_lost_early_is_an_error_and_never_a_short_body(data: bytes, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(data)
        await peer.writer.drain()
        if how == "reset":
            peer.reset()

    async with raw_server(script) as server, open_pool(server) as pool:
        with pytest.raises(Unreachable):
            await fetch(pool)
        assert (pool.idle, pool.in_use) == (0, 0)


async def test_a_lost_stream_gives_what_came_and_then_the_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(CHUNKED + b"5\r\nhello\r\n")

    async with raw_server(script) as server, open_pool(server) as pool:
        answer = await pool.send(GET)
        got = []
        with pytest.raises(Unreachable, match="before its response was complete"):
            async for piece in answer.stream():
                got.append(piece)  # noqa: PERF401  # what came before the error is the point
        assert b"".join(got) == b"hello"


async def test_nothing_listens() -> None:
    async with raw_server(respond_with(HELLO)) as server:
        base_url = server.base_url
    async with open_pool(base_url) as pool:
        with pytest.raises(Unreachable, match=r"No connection to 127\.0\.0\.1"):
            await fetch(pool)
        assert pool.in_use == 0


TOO_LARGE = [
    pytest.param(OK + b"content-length: 200000\r\n\r\n", id="by its declared length, before it is read"),
    pytest.param(OK + b"content-length: 5\r\n\r\nhello", id="although it is here already"),
    pytest.param(CHUNKED + b"5\r\nhello\r\n", id="by its chunks, before they end"),
    pytest.param(OK + b"\r\nhello", id="by what came, before the connection closes"),
]


@pytest.mark.parametrize("data", TOO_LARGE)
async def test_a_body_above_the_limit_is_refused(data: bytes) -> None:
    async with raw_server(respond_with(data)) as server, open_pool(server) as pool:
        answer = await pool.send(GET)
        with pytest.raises(ResponseTooLarge, match="larger than 4 bytes"):
            await answer.read(4)
        assert pool.in_use == 0


async def test_a_large_body_comes_whole() -> None:
    body = bytes(range(256)) * 8192
    data = OK + b"content-length: %d\r\n\r\n" % len(body) + body
    async with raw_server(respond_with(data)) as server, open_pool(server) as pool:
        for _ in range(3):
            answer = await pool.send(GET)
            assert await answer.read(len(body)) == body
        assert server.connections == 1


async def test_a_body_is_given_out_once() -> None:
    async with raw_server(respond_with(HELLO)) as server, open_pool(server) as pool:
        answer = await pool.send(GET)
        await answer.read(LIMIT)
        with pytest.raises(RuntimeError, match="already been read"):
            await answer.read(LIMIT)
        await answer.aclose()
        assert pool.idle == 1


@pytest.mark.parametrize(
    ("data", "idle"), [(HELLO, 1), (OK + b"content-length: 500000\r\n\r\nhello", 0), (CHUNKED + b"5\r\nhello\r\n", 0)]
)
async def test_an_answer_given_up_closes_its_connection_unless_it_had_ended(data: bytes, idle: int) -> None:
    async with raw_server(respond_with(data)) as server, open_pool(server) as pool:
        answer = await pool.send(GET)
        await answer.aclose()
        await answer.aclose()
        assert (pool.idle, pool.in_use) == (idle, 0)


async def test_an_answer_before_the_request_was_written_out_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server, connections=1) as pool:
        request = Request(b"POST", b"/fhir/Binary", (), bytes(32 << 20))
        assert await fetch(pool, request) == (413, b"")
        assert pool.idle == 0


SILENT = [
    pytest.param(b"", id="nothing at all"),
    pytest.param(OK + b"content-le", id="a head that stops"),
    pytest.param(OK + b"content-length: 5\r\n\r\nhe", id="a small body that stops"),
    pytest.param(OK + b"content-length: 99999\r\n\r\nhe", id="a large body that stops"),
    pytest.param(CHUNKED + b"5\r\nhe", id="a chunk that stops"),
    pytest.param(OK + b"\r\nhe", id="a body that never ends"),
]


@pytest.mark.parametrize("data", SILENT)
async def test_silence_ends_in_a_timeout(data: bytes) -> None:
    async with raw_server(respond_with(data)) as server, open_pool(server, read_timeout=0.05) as pool:
        with pytest.raises(UpstreamTimeout, match=r"sent nothing for 0\.05 seconds"):
            await fetch(pool)
        assert (pool.idle, pool.in_use) == (0, 0)


async def endless(peer: Peer) -> None:
    await peer.read_request()
    peer.write(CHUNKED)
    while True:
        peer.write(b"1\r\nx\r\n")
        await peer.writer.drain()
        await asyncio.sleep(0)


async def test_an_answer_that_never_ends_meets_the_total_deadline() -> None:
    async with raw_server(endless) as server, open_pool(server, total_timeout=0.1) as pool:
        with pytest.raises(UpstreamTimeout, match="took longer than it may"):
            await fetch(pool)


async def test_a_stream_has_a_deadline_of_its_own() -> None:
    async with raw_server(endless) as server, open_pool(server, total_timeout=30.0, stream_timeout=0.1) as pool:
        answer = await pool.send(GET)
        with pytest.raises(UpstreamTimeout, match="took longer than it may"):
            async for _ in answer.stream():
                pass


async def test_an_answer_nobody_reads_meets_the_total_deadline_and_gives_its_place_back() -> None:
    async with raw_server(endless) as server, open_pool(server, connections=1, total_timeout=0.1) as pool:
        forgotten = await pool.send(GET)
        with pytest.raises(UpstreamError):
            await fetch(pool)
        with pytest.raises(UpstreamTimeout):
            await forgotten.read(LIMIT)


async def test_a_reader_that_is_slow_does_not_make_the_server_late() -> None:
    released = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(OK + b"content-length: %d\r\n\r\n" % (4 << 20))
        for _ in range(64):
            peer.write(bytes(65536))
            await peer.writer.drain()

    async with raw_server(script) as server, open_pool(server, read_timeout=0.5) as pool:
        answer = await pool.send(GET)
        asyncio.get_running_loop().call_later(0.8, released.set)
        await released.wait()
        assert len(await answer.read(4 << 20)) == 4 << 20
