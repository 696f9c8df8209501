"""The raw content of a Binary on its way to the FHIR server: read in pieces, and sent as a part of FHIR JSON."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.types import Receive
from gateway.fhir.request.binary_body import parse_upload
from gateway.fhir.request.content import WrittenResource, encode_resource
from gateway.fhir.request.interaction import ReturnPreference
from gateway.fhir.request_error import RequestError
from gateway.policy.decision_types import AllowWrite
from gateway.policy.reasons import Reason
from gateway.policy.writing.binary_owner import looks_at_content
from gateway.proxy.incoming_request import refuse_request
from gateway.upstream.exchange_types import RequestContent

# Seconds without a piece of the body, and bytes a second in the long run. Whoever is slower holds a connection to the
# FHIR server that others need.
_MAX_SILENCE = 20.0
_MIN_RATE = 8192


class Upload:
    """A body that is not read yet. It is sent once, in the place of `marker` in the JSON of its Binary.

    What leaves was judged: the FHIR server gets the resource, and need not understand any header.
    """

    def __init__(self, receive: Receive, limit: int, length: int | None) -> None:
        """`limit` and `length`, the one that the client states, are in bytes."""
        self.marker = secrets.token_hex(16)
        self._receive: Receive | None = receive
        self._limit = limit
        self._length = length

    def put_into(self, text: bytes) -> RequestContent:
        """The body of the request to the FHIR server. `text` is FHIR JSON with the marker. Raises `RequestRefused`."""
        before, _, after = text.partition(self.marker.encode())
        receive, self._receive = self._receive, None
        if receive is None:
            # It cannot be sent twice: another write under the same condition was quicker.
            raise RequestRefused(Reason.UPSTREAM_CONFLICT)
        length = None if self._length is None else len(before) + (self._length + 2) // 3 * 4 + len(after)
        return RequestContent(self._encode(before, receive, after), length)

    async def _encode(self, before: bytes, receive: Receive, after: bytes) -> AsyncIterator[bytes]:
        size, rest = 0, before
        left = b""
        async for piece in _read_pieces(receive):
            size += len(piece)
            if size > self._limit:
                raise RequestRefused(Reason.REQUEST_TOO_LARGE)
            left += piece
            whole = len(left) - len(left) % 3
            yield rest + base64.b64encode(left[:whole])
            rest, left = b"", left[whole:]
        if not size:
            raise RequestRefused(Reason.BODY_MISSING)
        if self._length not in (None, size):
            raise RequestRefused(Reason.BODY_INCOMPLETE)
        yield base64.b64encode(left) + after


async def _read_pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The pieces of a body as they arrive. Raises `RequestRefused` if it ends early or comes too slowly."""
    clock, has_more, size, waited = asyncio.get_running_loop().time, True, 0, 0.0
    while has_more:
        started_at = clock()
        try:
            async with asyncio.timeout(min(_MAX_SILENCE, _MAX_SILENCE + size / _MIN_RATE - waited)):
                message = await receive()
        except TimeoutError as error:
            raise RequestRefused(Reason.BODY_INCOMPLETE) from error
        if message.get("too_slow"):
            raise RequestRefused(Reason.REQUEST_TOO_SLOW)
        if message["type"] == "http.disconnect":
            raise RequestRefused(Reason.BODY_INCOMPLETE)
        has_more = message.get("more_body", False)
        piece = message.get("body", b"")
        size, waited = size + len(piece), waited + clock() - started_at
        if piece:
            yield piece


def open_upload(
    allow: AllowWrite, headers: Mapping[bytes, bytes], receive: Receive, limit: int
) -> tuple[WrittenResource, Upload]:
    """The Binary that is to be judged, and the content that it will have. Raises `RequestRefused`."""
    if any(map(looks_at_content, (allow.permission, allow.grant.read_permission(allow.write.resource_type)))):
        hint = "A rule judges the content, so that it has to come as FHIR JSON."
        raise RequestRefused(Reason.MEDIA_TYPE_UNSUPPORTED, "Content-Type", hint=hint)
    length = _read_length(headers)
    if length is not None and length > limit:
        raise RequestRefused(Reason.REQUEST_TOO_LARGE)
    if length == 0:
        raise RequestRefused(Reason.BODY_MISSING)
    upload = Upload(receive, limit, length)
    try:
        return encode_resource(parse_upload(allow.write, headers, upload.marker)), upload
    except RequestError as error:
        raise refuse_request(error) from error


def without_representation(allow: AllowWrite) -> AllowWrite:
    """The write whose response does not repeat the content that the client has just sent."""
    if allow.write.preference is not ReturnPreference.REPRESENTATION:
        return allow
    return replace(allow, write=replace(allow.write, preference=ReturnPreference.MINIMAL))


def _read_length(headers: Mapping[bytes, bytes]) -> int | None:
    if b"transfer-encoding" in headers:
        return None
    value = headers.get(b"content-length", b"")
    return int(value) if value.isdigit() and len(value) <= 15 else None
