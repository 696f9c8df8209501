"""A response written in one piece equals the one that uvicorn writes, and idle connections are closed."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.asgi.response import FhirResponse, send_response
from gateway.asgi.types import WHOLE_RESPONSE, Receive, Scope, Send
from gateway.commands.serving.http_protocol import BoundedHttpProtocol
from gateway.policy.reasons import Reason
from tests.servers.ports import free_port

_HEADERS = [(b"Content-Type", b"application/fhir+json"), (b"etag", b'W/"1"'), (b"x-told", "ü".encode("latin-1"))]
_REQUESTS = {
    "a GET": b"GET /200 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a GET of nothing": b"GET /200/0 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a GET of much": b"GET /200/3000000 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a HEAD": b"HEAD /200 HTTP/1.1\r\nhost: x\r\n\r\n",
    "what has not changed": b"GET /304 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a HEAD of what has not changed": b"HEAD /304 HTTP/1.1\r\nhost: x\r\n\r\n",
    "no content": b"OPTIONS /204/0 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a refusal": b"GET /403 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a status without a name": b"GET /599 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a POST": b"POST /200 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc",
    "a POST that waits to go on": b"POST /200 HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.0": b"GET /200 HTTP/1.0\r\n\r\n",
    "a client that closes": b"GET /200 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "two requests at once": b"GET /200/5 HTTP/1.1\r\nhost: x\r\n\r\nGET /403/7 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a path with escapes": b"GET /200/5/%C3%BC?a=%20 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a value that is two lines": b"GET /bad-value HTTP/1.1\r\nhost: x\r\n\r\n",
    "a name that is no name": b"GET /bad-name HTTP/1.1\r\nhost: x\r\n\r\n",
}


async def _application(scope: Scope, receive: Receive, send: Send) -> None:
    """Responds to `/STATUS/SIZE` with a body of that size."""
    kind, _, size = scope["path"].lstrip("/").partition("/")
    if kind == "slow":
        await asyncio.sleep(1.3)
    headers = [*_HEADERS, (b"x-scope", _scope_text(scope))]
    if kind == "bad-value":
        headers.append((b"x-bad", b"a\r\nset-cookie: b=c"))
    if kind == "bad-name":
        headers.append((b"x bad", b"a"))
    response = FhirResponse(
        int(kind) if kind.isdigit() else 200, Reason.PERMITTED, b"x" * int(size.split("/")[0] or 9), headers
    )
    supports_whole_response = WHOLE_RESPONSE in scope.get("extensions", ())
    await send_response(send, response, head=scope["method"] == "HEAD", supports_whole_response=supports_whole_response)


def _scope_text(scope: Scope) -> bytes:
    members = {name: value for name, value in scope.items() if name not in {"client", "server", "extensions", "state"}}
    return repr(sorted(members.items())).encode("ascii", "backslashreplace")


@contextlib.asynccontextmanager
async def _serve(protocol: type[HttpToolsProtocol], port: int) -> AsyncIterator[uvicorn.Server]:
    config = uvicorn.Config(
        _application,
        port=port,
        http=protocol,
        log_level="critical",
        access_log=False,
        ws="none",
        lifespan="off",
        server_header=False,
        timeout_keep_alive=1,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
            if task.done():
                task.result()
        yield server
    finally:
        server.should_exit = True
        await task


async def _response_bytes(protocol: type[HttpToolsProtocol], request: bytes) -> bytes:
    """Everything that the server sends until it closes the connection."""
    port = free_port()
    async with _serve(protocol, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        response = await reader.read()
        writer.close()
        return re.sub(rb"(?m)^date: .*\r\n", b"", response)


@pytest.mark.parametrize("request_bytes", _REQUESTS.values(), ids=_REQUESTS)
async def test_the_answer_is_the_one_that_uvicorn_writes(request_bytes: bytes) -> None:
    ours, theirs = await asyncio.gather(
        _response_bytes(BoundedHttpProtocol, request_bytes), _response_bytes(HttpToolsProtocol, request_bytes)
    )
    if b"/bad-" in request_bytes:
        # uvicorn closes the connection without a response; the gateway sends one.
        assert theirs == b""
        assert ours.startswith(b"HTTP/1.1 500 ")
        assert b'"code":"internal_error"' in ours
        assert b"set-cookie" not in ours
        return
    assert _fields_in_order(ours) == _fields_in_order(theirs)


def _fields_in_order(response: bytes) -> list[list[bytes]]:
    """Heads with their fields sorted, because `connection: close` may be at another place, and bodies as they are."""
    return [sorted(part.split(b"\r\n")) for part in response.split(b"\r\n\r\n")]


async def test_a_connection_that_is_idle_is_closed() -> None:
    port = free_port()
    async with _serve(BoundedHttpProtocol, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"GET /200/1 HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\nx")
        idle_since = time.monotonic()
        assert await reader.read() == b""
        assert 0.9 < time.monotonic() - idle_since < 5
        writer.close()


async def test_a_connection_that_waits_for_its_answer_is_not_idle() -> None:
    port = free_port()
    async with _serve(BoundedHttpProtocol, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in (b"/200/1", b"/slow/1", b"/200/1"):
            writer.write(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path)
            assert await reader.readuntil(b"\r\n\r\nx")
        writer.close()


async def test_a_server_that_stops_answers_what_is_under_way_and_closes() -> None:
    port = free_port()
    async with _serve(BoundedHttpProtocol, port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /200/1 HTTP/1.1\r\nhost: x\r\n\r\nGET /slow/1 HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\nx")
        server.should_exit = True
        response = await reader.read()
        assert response.endswith(b"\r\nconnection: close\r\n\r\nx")
        writer.close()
