"""Raw content of a Binary that the FHIR server has as FHIR JSON alone: of any size, in constant memory.

The resource is read and judged without its content first. Then the same version is read again for the content, which
must be the last of its elements: no byte leaves before all others are known to be those that were judged.
"""

import base64
import re
from collections.abc import AsyncIterator

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse, StreamedBody
from gateway.fhir.resources.binary_text import BinaryText
from gateway.fhir.resources.resource import (
    MalformedResourceError,
    Members,
    check_utf8,
    read_resource,
    remove_white_space,
)
from gateway.fhir.resources.version import read_version
from gateway.policy.decision_types import UpstreamRequest
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import FhirServer, failure, read_head, refuse_response
from gateway.proxy.reading.binary_format import check_content_type
from gateway.proxy.reading.read_response import DOCUMENT_HEADERS, build_validators
from gateway.proxy.request_context import RequestContext
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.upstream.exchange_types import MalformedResponse, Response, UpstreamError

_CONTENT_AT_END = b'"data":""}'
_END_OF_CONTENT = b'"}'
# An encoder may put line ends into base64, and escape a slash.
_SPACE = re.compile(rb"\\[nrt]|[ \t\r\n]")


async def fetch_binary(
    server: FhirServer, upstream_request: UpstreamRequest, trace: UpstreamTrace
) -> tuple[Members, bytes, bool]:
    """The members and the text of a Binary in FHIR JSON, and whether its content was too large to be among them.

    Raises `RequestRefused` and `MalformedResourceError`.
    """
    try:
        return *read_resource(await server.fetch(upstream_request, trace)), False
    except RequestRefused as refused:
        if refused.deny.reason is not Reason.UPSTREAM_TOO_LARGE:
            raise
    return *read_resource(await server.fetch_without_content(upstream_request, trace)), True


async def stream_decoded_content(
    server: FhirServer, members: Members, text: bytes, context: RequestContext
) -> FhirResponse:
    """The content of a permitted Binary, which was judged as `members` without it. `text` is what they were read from.

    Raises `RequestRefused`: with 406 if the client does not accept its type, and as too large without a version to
    which the second read could be tied, or if other elements follow the content. Raises `MalformedResourceError`.
    """
    content_type, version = check_content_type(members, context), read_version(members)
    address = getattr(context.interaction, "id", None)
    if version.version_id is None or address is None or not text.endswith(_CONTENT_AT_END):
        raise RequestRefused(Reason.UPSTREAM_TOO_LARGE)
    response = await server.open(UpstreamRequest(f"/Binary/{address}/_history/{version.version_id}"), context.trace)
    head = read_head(response)
    if not head.is_readable or not head.is_json:
        await refuse_response(response)
    content = _decode(response, members, server.body_limit)
    try:
        first = await anext(content, b"")
    except UpstreamError as error:
        await response.aclose()
        raise failure(error) from error
    body = StreamedBody(_join(first, content), response.aclose)
    headers = [(b"content-type", content_type), *build_validators(version), *DOCUMENT_HEADERS]
    return FhirResponse(200, Reason.PERMITTED, body, headers, kept=1)


async def _join(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in others:
        yield piece


async def _decode(response: Response, members: Members, limit: int) -> AsyncIterator[bytes]:
    """The bytes that the base64 stands for. They do not begin, or break off, if this is not what was judged."""
    text, left, is_judged = BinaryText(limit), b"", False
    try:
        async for piece in response.stream():
            left += text.feed(piece)
            if left and not is_judged:
                _check_members(text.rest if text.is_complete else text.rest + _END_OF_CONTENT, members)
                is_judged = True
            # An escape may be divided between two pieces.
            kept = len(left) - 1 if left.endswith(b"\\") else len(left)
            clean = _SPACE.sub(b"", left[:kept].replace(rb"\/", b"/"))
            whole = len(clean) - len(clean) % 4
            if whole:
                yield base64.b64decode(clean[:whole], validate=True)
            left = clean[whole:] + left[kept:]
        _check_members(text.rest, members)
        if left:
            raise MalformedResourceError("base64 that is not complete")
    except (ValueError, MalformedResourceError) as error:
        raise MalformedResponse("The FHIR server sent a Binary that cannot be decoded.") from error


def _check_members(text: bytes | bytearray, members: Members) -> None:
    """Raise `MalformedResponse` unless the text without content has these members. Raises `MalformedResourceError`."""
    content = bytes(text)
    check_utf8(content)
    if read_resource(remove_white_space(content))[0] != members:
        raise MalformedResponse("The FHIR server sent another Binary than the one that was judged.")
