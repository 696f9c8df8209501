"""A request head has an end: whoever goes on writing one is answered and cut off, and the gateway lives on."""

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.commands.http import MAX_HEAD
from tests.gateway.running import running_gateway

ENDLESS = {
    "a header value": (b"GET /fhir/Patient/1 HTTP/1.1\r\nhost: x\r\nx: ", b"a" * 4096),
    "header after header": (b"GET /fhir/Patient/1 HTTP/1.1\r\n", b"a: b\r\n" * 512),
    "a request line": (b"GET /fhir/", b"a" * 4096),
    "the head of a second request": (b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /fhir/", b"a" * 4096),
}


@pytest.mark.parametrize(("start", "more"), ENDLESS.values(), ids=ENDLESS)
async def test_a_head_without_end_is_cut_off(start: bytes, more: bytes, tmp_path: Path) -> None:
    async with running_gateway("http://127.0.0.1:9/fhir", tmp_path) as gateway:
        parts = urlsplit(gateway.base_url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(start)
        answered = asyncio.ensure_future(reader.read())
        with contextlib.suppress(ConnectionError):
            while not answered.done():
                writer.write(more)
                await writer.drain()
                await asyncio.sleep(0)
        # The connection may be reset with the answer still under way; what counts is that it is over.
        with contextlib.suppress(ConnectionError):
            assert b" 431 " in await answered
        writer.transport.abort()
        alive = await gateway.client.get(f"{parts.scheme}://{parts.netloc}/healthz")
        assert alive.status_code == 200


async def test_a_head_that_is_just_large_is_answered(tmp_path: Path) -> None:
    async with running_gateway("http://127.0.0.1:9/fhir", tmp_path) as gateway:
        answer = await gateway.ask("/Observation?code=" + "x" * 15000, headers={"x-filler": "y" * 40000})
        assert answer.status_code == 502
        too_large = await gateway.ask("/Observation", headers={"x-filler": "y" * (2 * MAX_HEAD)})
        assert too_large.status_code == 431


async def test_a_long_body_in_one_piece_is_no_head(tmp_path: Path) -> None:
    async with running_gateway("http://127.0.0.1:9/fhir", tmp_path) as gateway:
        parts = urlsplit(gateway.base_url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        body = b"code=" + b"x" * (2 * MAX_HEAD)
        kind = b"content-type: application/x-www-form-urlencoded"
        head = b"POST /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n%b\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % (kind, len(body)) + body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 405 ")
        writer.transport.abort()
