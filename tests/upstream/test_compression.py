"""Compressed responses are read as if they were not, within the limits of their readers, and never taken for whole."""

import gzip
import zlib

import pytest

from gateway.upstream.compressed_exchange import CompressedExchange
from gateway.upstream.exchange_types import MalformedResponse, Response, ResponseTooLarge, UpstreamError
from tests.upstream.raw_server import GET, OK, Peer, open_pool, raw_server

BODY = b'{"resourceType":"Patient"}' * 1000


def _answer(body: bytes, coding: bytes = b"gzip") -> bytes:
    return OK + b"content-encoding: %b\r\ncontent-length: %d\r\n\r\n" % (coding, len(body)) + body


async def _read(response: Response) -> bytes:
    return await response.read(len(BODY))


async def _stream(response: Response) -> bytes:
    return b"".join([piece async for piece in response.stream()])


READERS = pytest.mark.parametrize("take", [_read, _stream], ids=["read", "streamed"])


async def _ask(answer: bytes, take: object) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer)
        await peer.wait_until_closed()

    async with raw_server(script) as server, open_pool(server) as pool:
        response = await CompressedExchange(pool).send(GET)
        assert callable(take)
        try:
            return await take(response), list(response.headers)
        finally:
            assert pool.in_use == 0


@READERS
@pytest.mark.parametrize("coding", [b"gzip", b"GZIP", b"x-gzip"])
async def test_a_body_is_decompressed_and_the_coding_is_no_longer_named(take: object, coding: bytes) -> None:
    assert await _ask(_answer(gzip.compress(BODY), coding), take) == (BODY, [])


@READERS
@pytest.mark.parametrize("body", [b"", b"x"], ids=["empty", "one byte"])
async def test_a_small_body(take: object, body: bytes) -> None:
    assert (await _ask(_answer(gzip.compress(body)), take))[0] == body


@READERS
async def test_a_body_in_a_chunk_for_each_byte(take: object) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % octet for octet in gzip.compress(BODY)) + b"0\r\n\r\n"
    answer = OK + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n" + chunks
    assert (await _ask(answer, take))[0] == BODY


@READERS
@pytest.mark.parametrize("coding", [b"identity", b"br", b"deflate", b"gzip, gzip", b"br, gzip"])
async def test_another_coding_is_left_to_the_reader_who_refuses_it(take: object, coding: bytes) -> None:
    answer = _answer(b"as it came", coding)
    assert await _ask(answer, take) == (b"as it came", [(b"content-encoding", coding), (b"content-length", b"10")])


async def test_two_fields_that_name_gzip_are_not_one_coding() -> None:
    twice = b"content-encoding: gzip\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nhi"
    assert (await _ask(OK + twice, _read))[0] == b"hi"


@READERS
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(gzip.compress(BODY)[:-1], id="without its last byte"),
        pytest.param(gzip.compress(BODY)[:100], id="cut"),
        pytest.param(b"", id="nothing at all"),
        pytest.param(gzip.compress(BODY) + b"x", id="with a byte behind it"),
        pytest.param(gzip.compress(BODY) + gzip.compress(b"another"), id="two members"),
        pytest.param(gzip.compress(BODY)[:-8] + bytes(8), id="with a wrong checksum"),
        pytest.param(BODY, id="not compressed"),
        pytest.param(zlib.compress(BODY), id="zlib"),
    ],
)
async def test_what_is_not_one_whole_gzip_member_is_malformed(take: object, body: bytes) -> None:
    with pytest.raises(MalformedResponse):
        await _ask(_answer(body), take)


@pytest.mark.parametrize("size", [len(BODY) + 1, 64 << 20], ids=["one byte more", "64 MB of zeros"])
async def test_a_body_above_the_limit_is_refused_and_not_decompressed(size: int) -> None:
    with pytest.raises(ResponseTooLarge):
        await _ask(_answer(gzip.compress(bytes(size))), _read)


async def test_a_large_stream_comes_in_small_pieces() -> None:
    sizes: list[int] = []

    async def measure(response: Response) -> bytes:
        sizes.extend([len(piece) async for piece in response.stream()])
        return b""

    await _ask(_answer(gzip.compress(bytes(8 << 20))), measure)
    assert sum(sizes) == 8 << 20
    assert max(sizes) == 64 << 10


async def test_a_reader_that_stops_gives_the_connection_back() -> None:
    async def begin(response: Response) -> bytes:
        stream = response.stream()
        first = await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]  # an asynchronous generator
        return first

    answer = _answer(gzip.compress(bytes(8 << 20)) + b"never read")
    assert (await _ask(answer, begin))[0] == bytes(64 << 10)


async def test_an_interrupted_body_fails_as_it_does_without_compression() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(_answer(gzip.compress(BODY))[:-10])

    async with raw_server(script) as server, open_pool(server) as pool:
        with pytest.raises(UpstreamError):
            await (await CompressedExchange(pool).send(GET)).read(len(BODY))
