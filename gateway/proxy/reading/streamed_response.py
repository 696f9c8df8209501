"""Responses passed on without judging their body: reads of a token that sees everything, and raw Binary content."""

import re
from collections.abc import AsyncIterator

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse, StreamedBody
from gateway.asgi.types import Header
from gateway.fhir.request.interaction import Read, VRead
from gateway.fhir.request.media_types import accepts_json
from gateway.fhir.resources.links import UrlRewriter
from gateway.fhir.resources.version import read_version_of_body
from gateway.policy.decision_types import UpstreamRequest
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import FHIR_JSON, FhirServer, ResponseHead, failure, read_head, refuse_response
from gateway.proxy.reading.binary_format import (
    check_acceptable,
    is_plain_media_type,
    lacks_form,
    respond_with_content,
)
from gateway.proxy.reading.decoded_content import fetch_binary, stream_decoded_content
from gateway.proxy.reading.read_response import DOCUMENT_HEADERS, respond_to_read
from gateway.proxy.request_context import RequestContext
from gateway.upstream.exchange_types import Response, UpstreamError

_CONTENT_LENGTH = re.compile(rb"\d{1,15}")
# Bytes. A resource up to this size is read as a whole, because its validators are in its `meta`. A larger one is
# streamed, and has no validators.
_MAX_COLLECTED = 256 * 1024


async def pass_through(
    server: FhirServer, upstream_request: UpstreamRequest, context: RequestContext, rewriter: UrlRewriter
) -> FhirResponse:
    """The response to a read of a token that sees everything, without judging it.

    Raises `RequestRefused`, and `MalformedResourceError` where the body has to be read.
    """
    interaction = context.interaction
    if not isinstance(interaction, Read | VRead):
        raise TypeError("Only a read is passed through.")
    is_binary = interaction.resource_type == "Binary"
    response = await server.open(upstream_request, context.trace, context.accept if is_binary else FHIR_JSON)
    head = read_head(response)
    if is_binary and (lacks_form(response) or (head.is_readable and head.is_json and not accepts_json(context.accept))):
        await response.aclose()
        members, text, is_without_content = await fetch_binary(server, upstream_request, context.trace)
        if is_without_content:
            return await stream_decoded_content(server, members, text, context)
        return respond_with_content(members, context)
    if not head.is_readable:
        await refuse_response(response)
    if is_binary:
        await check_acceptable(response, context.accept)
    if not head.is_json:
        return stream_response(response, head, rewriter)
    limit = server.body_limit if isinstance(interaction, VRead) else _MAX_COLLECTED
    body, rest = await _collect(response, limit)
    if rest is None:
        return _respond_to_collected(body, response, interaction, rewriter)
    if isinstance(interaction, VRead):
        # Which version it is could not be said.
        await response.aclose()
        raise RequestRefused(Reason.UPSTREAM_TOO_LARGE)
    return _stream(response, head, rewriter, _prepend(body, rest))


def stream_response(
    response: Response, head: ResponseHead, rewriter: UrlRewriter, validators: tuple[Header, ...] = ()
) -> FhirResponse:
    """A response that passes the FHIR server's body on in chunks, in constant memory (performance.md rule 7).

    In JSON the FHIR server's URLs are replaced by the public ones (enforcement.md 5), which may change the length. The
    server's own validators are not passed on (enforcement.md 8).
    """
    return _stream(response, head, rewriter, response.stream(), validators)


def _stream(
    response: Response,
    head: ResponseHead,
    rewriter: UrlRewriter,
    chunks: AsyncIterator[bytes],
    validators: tuple[Header, ...] = (),
) -> FhirResponse:
    headers = _headers_to_pass(response)
    if head.is_json:
        headers = [header for header in headers if header[0] != b"content-length"]
        chunks = rewriter.rewrite_stream(chunks)
    body = StreamedBody(chunks, response.aclose)
    streamed = FhirResponse(200, Reason.PERMITTED, body, [*headers, *validators, *DOCUMENT_HEADERS])
    streamed.kept = 1
    return streamed


def _respond_to_collected(
    body: bytes, response: Response, interaction: Read | VRead, rewriter: UrlRewriter
) -> FhirResponse:
    version = read_version_of_body(body, interaction.resource_type, interaction.id)
    if isinstance(interaction, VRead) and not version.may_be(interaction.version_id):
        raise RequestRefused(Reason.UPSTREAM_MALFORMED, public_reason=Reason.NOT_FOUND)
    headers = [header for header in _headers_to_pass(response) if header[0] != b"content-length"]
    return respond_to_read(rewriter.rewrite(body), version, interaction, (*headers, *DOCUMENT_HEADERS))


async def _collect(response: Response, limit: int) -> tuple[bytes, AsyncIterator[bytes] | None]:
    """The body and None; for a body above `limit` bytes its beginning, and the chunks that follow.

    Raises `RequestRefused` if the FHIR server breaks it off.
    """
    length = next((value for name, value in response.headers if name == b"content-length"), b"")
    try:
        if _CONTENT_LENGTH.fullmatch(length) and int(length) <= limit:
            return await response.read(limit), None
        chunks = response.stream()
        pieces, size = [], 0
        async for chunk in chunks:
            pieces.append(chunk)
            size += len(chunk)
            if size > limit:
                return b"".join(pieces), chunks
    except UpstreamError as error:
        raise failure(error) from error
    return b"".join(pieces), None


async def _prepend(beginning: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield beginning
    async for chunk in rest:
        yield chunk


def _headers_to_pass(response: Response) -> list[Header]:
    return [(name, value) for name, value in response.headers if _may_pass(name, value)]


def _may_pass(name: bytes, value: bytes) -> bool:
    """Whether a header is passed on. `Content-Disposition` is not: its file name is text chosen by the server."""
    if name == b"content-type":
        return is_plain_media_type(value)
    return name == b"content-length" and _CONTENT_LENGTH.fullmatch(value) is not None
