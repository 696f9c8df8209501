"""One request and its response, which is written in one piece where the application has it whole."""

import asyncio
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

from gateway.asgi.refusal import RequestRefused, refusal_response
from gateway.asgi.types import WHOLE_RESPONSE
from gateway.policy.reasons import Reason

_INTERNAL_ERROR = refusal_response(RequestRefused(Reason.INTERNAL_ERROR), realm="")
# Not allowed in a header value (RFC 9110 5.5, as in uvicorn). The line end of each field has two of them.
_CONTROL_CHARACTERS = bytes([*range(9), *range(10, 32), 127])
# Bytes. Copying a body up to this size behind its head costs less than a second system call.
_MAX_COPIED_BODY = 256 * 1024
# Bytes. A smaller body is taken by the operating system, which bounds what waits there.
_LARGE_BODY = 64 * 1024


class WholeResponseCycle(RequestResponseCycle):
    """One request and its response, which the application may send as a single message (`WHOLE_RESPONSE`).

    uvicorn writes head and body separately, which makes two packets, and checks every field separately.
    """

    # In which the application runs. Set before it begins.
    task: asyncio.Task[None]
    # The client did not send the body in its time.
    is_too_slow = False
    # The client may need a while to take the response.
    is_large = False

    async def receive(self) -> Any:
        """The next ASGI message. That of a client that is too slow says so, beside the end."""
        message = await super().receive()
        return {**message, "too_slow": True} if self.is_too_slow else message

    async def send(self, message: Any) -> None:
        """Send an ASGI message or a whole response. Raises `RuntimeError` as uvicorn does."""
        if message["type"] != WHOLE_RESPONSE or self.response_started:
            await super().send(message)
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        status, body = message["status"], message["body"]
        head = response_head(status, [*self.default_headers, *message["headers"]])
        self.response_started = True
        self.waiting_for_100_continue = False
        length = b"" if status == 304 else b"content-length: %d\r\n" % len(body)
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        if status == 304 or self.scope["method"] == "HEAD":
            body = b""
        if len(body) <= _MAX_COPIED_BODY:
            self.transport.write(b"".join((head, length, end, body)))
        else:
            self.transport.write(b"".join((head, length, end)))
            self.transport.write(body)
        self.is_large = len(body) > _LARGE_BODY
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    async def send_500_response(self) -> None:
        """Respond to a request that the application has failed to respond to."""
        self.keep_alive = False
        response = _INTERNAL_ERROR
        await self.send({"type": WHOLE_RESPONSE, "status": 500, "headers": response.headers, "body": response.body})


def response_head(status: int, fields: list[tuple[bytes, bytes]]) -> bytes:
    """The status line and the fields, without the empty line. Raises `RuntimeError` for a field that cannot be sent."""
    parts = [STATUS_LINE[status]]
    for name, value in fields:
        parts += (_field_start(name), value, b"\r\n")
    head = b"".join(parts)
    # The only control characters of a valid head are its line ends.
    if len(head.translate(None, _CONTROL_CHARACTERS)) != len(head) - 2 * len(fields) - 2:
        raise RuntimeError("Invalid HTTP header value.")
    return head


@lru_cache(256)
def _field_start(name: bytes) -> bytes:
    if HEADER_RE.search(name) or name.lower() in {b"connection", b"content-length", b"transfer-encoding"}:
        raise RuntimeError("Invalid HTTP header name.")
    return name.lower() + b": "
