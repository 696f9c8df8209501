"""A request that waited behind another one of its connection begins with nothing of what that one had set."""

import asyncio
from contextvars import ContextVar

from starlette.responses import PlainTextResponse

from gateway.asgi.types import Receive, Scope, Send
from tests.proxy.running_gateway import serve_on
from tests.servers.ports import free_port

_PATH: ContextVar[str] = ContextVar("path", default="nothing")


async def _application(scope: Scope, receive: Receive, send: Send) -> None:
    """Responds with what an earlier request has set, and sets its own path."""
    found = _PATH.get()
    _PATH.set(scope["path"])
    await PlainTextResponse(f"found {found};")(scope, receive, send)


async def test_a_request_finds_no_context_of_the_one_before_it() -> None:
    port = free_port()
    async with serve_on(_application, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /first HTTP/1.1\r\nhost: x\r\n\r\nGET /second HTTP/1.1\r\nhost: x\r\n\r\n"
            b"GET /third HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        received = await asyncio.wait_for(reader.read(), 30)
        writer.close()
    assert received.count(b"found nothing;") == 3, received
