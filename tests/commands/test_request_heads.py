"""A request head that does not end is refused, its connection is closed, and the gateway keeps serving."""

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.commands.serving.http_protocol import MAX_HEAD
from tests.proxy.running_gateway import running_gateway

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
        response = asyncio.ensure_future(reader.read())
        with contextlib.suppress(ConnectionError):
            while not response.done():
                writer.write(more)
                await writer.drain()
                await asyncio.sleep(0)
        # The connection may be reset before the response has been received.
        with contextlib.suppress(ConnectionError):
            assert b" 431 " in await response
        writer.transport.abort()
        health = await gateway.client.get(f"{parts.scheme}://{parts.netloc}/healthz")
        assert health.status_code == 200


async def test_a_head_that_is_just_large_is_answered(tmp_path: Path) -> None:
    async with running_gateway("http://127.0.0.1:9/fhir", tmp_path) as gateway:
        response = await gateway.request("/Observation?code=" + "x" * 15000, headers={"x-filler": "y" * 40000})
        assert response.status_code == 502
        too_large = await gateway.request("/Observation", headers={"x-filler": "y" * (2 * MAX_HEAD)})
        assert too_large.status_code == 431


async def test_a_long_body_in_one_piece_is_no_head(tmp_path: Path) -> None:
    async with running_gateway("http://127.0.0.1:9/fhir", tmp_path) as gateway:
        parts = urlsplit(gateway.base_url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        body = b"code=" + b"x" * (2 * MAX_HEAD)
        content_type = b"content-type: application/x-www-form-urlencoded"
        head = b"POST /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n%b\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % (content_type, len(body)) + body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 405 ")
        writer.transport.abort()
