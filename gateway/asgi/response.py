"""Responses of the FHIR endpoints, and the ASGI messages that send them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from gateway.asgi.types import WHOLE_RESPONSE, Header, Send
from gateway.policy.reasons import Reason
from gateway.upstream.exchange_types import UpstreamError

FHIR_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"application/fhir+json;charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    # A browser must not reuse a response for the next user of the same device (RFC 9111 4.2.2).
    (b"cache-control", b"no-store"),
)

_NO_COUNTS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StreamedBody:
    """A body that is passed on in chunks. `close` abandons the chunks that have not arrived yet.

    With `is_judged`, what must not be shown is taken out of it on its way.
    """

    chunks: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]
    is_judged: bool = False


class FhirResponse(msgspec.Struct, gc=False):
    """A response, with the facts that go into the request's record.

    `kept` is the number of resources in it. `dropped` and `narrowing_misses` count the resources that were removed
    from it, by type; a narrowing miss is one that the narrowed request had excluded. `withheld` counts those of
    the removed ones that only a record rule hides. `overtaken` says that somebody else wrote between the check of a
    write and the write. `replaced` is what was stored before a write.
    """

    status: int
    reason: Reason
    body: bytes | StreamedBody
    headers: list[Header] = []
    kept: int = 0
    dropped: Mapping[str, int] = _NO_COUNTS
    narrowing_misses: Mapping[str, int] = _NO_COUNTS
    overtaken: bool = False
    withheld: Mapping[str, int] = _NO_COUNTS
    replaced: Mapping[str, Any] | None = None


def fhir_response(body: bytes, *, headers: tuple[Header, ...] = ()) -> FhirResponse:
    """A permitted response in FHIR JSON."""
    return FhirResponse(200, Reason.PERMITTED, body, [*FHIR_HEADERS, *headers])


def send_response(
    send: Send, response: FhirResponse, *, head: bool, supports_whole_response: bool = False
) -> Awaitable[None]:
    """Send the response; for a HEAD request only its status and headers.

    `supports_whole_response` is true where the server offers the extension `WHOLE_RESPONSE`.
    """
    body = response.body
    if not isinstance(body, bytes):
        return _stream(send, response, body, head=head)
    if supports_whole_response:
        return send({"type": WHOLE_RESPONSE, "status": response.status, "headers": response.headers, "body": body})
    return _send_start_and_body(send, response, body, head=head)


async def _send_start_and_body(send: Send, response: FhirResponse, body: bytes, *, head: bool) -> None:
    headers = response.headers
    if response.status == 304:
        body = b""
    else:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def _stream(send: Send, response: FhirResponse, body: StreamedBody, *, head: bool) -> None:
    """Pass the body on. If the FHIR server breaks it off, it ends early, and the HTTP server closes the connection."""
    try:
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        if not head:
            async for chunk in body.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except UpstreamError:
        return
    finally:
        await body.close()
