"""What is not HTTP/1.1 is refused with an OperationOutcome, and a wish for another protocol is not granted."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
import pytest_asyncio

from tests.proxy.leaked_marks import is_refused
from tests.proxy.running_gateway import RunningGateway, running_gateway

FORM = b"content-type: application/x-www-form-urlencoded\r\n"
READ = b"GET /fhir/Patient/1 HTTP/1.1\r\nhost: x\r\n"
SEARCH = b"POST /fhir/Patient/_search HTTP/1.1\r\nhost: x\r\n" + FORM
UPGRADE = b"connection: upgrade\r\nupgrade: %b\r\n"
LAST = READ + b"connection: close\r\n\r\n"


@pytest_asyncio.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with running_gateway("http://127.0.0.1:9/fhir", tmp_path) as gateway:
        yield gateway


async def exchange(gateway: RunningGateway, *pieces: bytes) -> list[httpx2.Response]:
    """The responses until the gateway closes the connection."""
    parts = urlsplit(gateway.base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    received = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return parse_responses(received)


def parse_responses(received: bytes) -> list[httpx2.Response]:
    responses = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        status, *fields = head.decode("latin-1").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
        length = int(dict(headers).get("content-length", "0"))
        responses.append(httpx2.Response(int(status.split(" ")[1]), headers=headers, content=rest[:length]))
        received = rest[length:]
    return responses


MALFORMED = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "words": b"hello\r\n\r\n",
    "an unknown method": b"FOO /fhir/Patient HTTP/1.1\r\nhost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown version": b"GET /fhir/Patient HTTP/3.7\r\nhost: x\r\n\r\n",
    "two lengths": SEARCH + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    "a length beside chunks": SEARCH + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk without a size": SEARCH + b"transfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a space after a field name": b"GET /fhir/Patient HTTP/1.1\r\nhost : x\r\n\r\n",
    "a NUL in a field": READ + b"a: b\x00c\r\n\r\n",
    "a path that is not ASCII": b"GET /fhir/P\xc3\xa4tient HTTP/1.1\r\nhost: x\r\n\r\n",
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a port that is none": b"GET http://x:99999999/fhir/Patient HTTP/1.1\r\nhost: x\r\n\r\n",
    "an address without a path": b"GET http://x HTTP/1.1\r\nhost: x\r\n\r\n",
    "a body behind a wish for WebSocket": SEARCH + UPGRADE % b"websocket" + b"content-length: 3\r\n\r\na=b",
    "chunks behind a wish for HTTP/2": SEARCH + UPGRADE % b"h2c" + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
async def test_what_cannot_be_read_is_400_with_our_own_outcome(gateway: RunningGateway, sent: bytes) -> None:
    [response] = await exchange(gateway, sent)
    assert is_refused(response, 400, "request_malformed")
    assert response.headers["content-type"] == "application/fhir+json;charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["connection"] == "close"


async def test_a_head_without_end_is_431_with_our_own_outcome(gateway: RunningGateway) -> None:
    [response] = await exchange(gateway, READ + b"a: " + b"b" * 70_000)
    assert is_refused(response, 431, "request_too_large")


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"TLS/1.2, HTTP/1.1"])
async def test_a_wish_for_another_protocol_is_answered_in_http_and_the_log_advises_nothing(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture, protocol: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    [response] = await exchange(gateway, READ + UPGRADE % protocol + b"\r\n")
    assert is_refused(response, 401, "token_missing")
    assert response.headers["connection"] == "close"
    assert "pip install" not in caplog.text
    assert "WebSocket" not in caplog.text


SMUGGLED = {
    "in one piece": (SEARCH + UPGRADE % b"h2c" + b"content-length: %d\r\n\r\n" % len(LAST) + LAST,),
    "in two pieces": (SEARCH + UPGRADE % b"h2c" + b"content-length: %d\r\n\r\n" % len(LAST), LAST),
    "without a length": (READ + UPGRADE % b"websocket" + b"\r\n", LAST),
}


@pytest.mark.parametrize("pieces", SMUGGLED.values(), ids=SMUGGLED)
async def test_leak_34_what_follows_a_wish_for_another_protocol_is_no_request(
    gateway: RunningGateway, pieces: tuple[bytes, ...]
) -> None:
    """A proxy in front that ignores the wish would take the second response for that of another user's request."""
    assert len(await exchange(gateway, *pieces)) == 1


@pytest.mark.parametrize("requests", [1, 2, 3])
async def test_the_refusal_of_what_follows_is_not_taken_for_the_response_to_what_came_before(
    gateway: RunningGateway, requests: int
) -> None:
    responses = await exchange(gateway, (READ + b"\r\n") * requests + b"hello\r\n\r\n")
    assert [response.status_code for response in responses] == [401] * requests
    assert responses[-1].headers["connection"] == "close"


async def test_a_broken_body_behind_another_request_ends_the_connection_without_a_false_response(
    gateway: RunningGateway,
) -> None:
    pieces = READ + b"\r\n" + SEARCH + b"transfer-encoding: chunked\r\n\r\nzz\r\n\r\n"
    assert {response.status_code for response in await exchange(gateway, pieces)} <= {401}
