"""Reads a response that is a Binary in FHIR JSON without its content: of any size, in constant memory."""

from gateway.fhir.resources.binary_text import BinaryText
from gateway.fhir.resources.resource import check_utf8, remove_white_space
from gateway.upstream.exchange_types import Response


async def read_without_content(response: Response, limit: int) -> bytes:
    """The body, compact, with an empty `data`. `limit` is how many bytes it may have beside the content.

    Raises `UpstreamError` and `MalformedResourceError`.
    """
    text = BinaryText(limit)
    try:
        async for piece in response.stream():
            text.feed(piece)
    finally:
        await response.aclose()
    body = bytes(text.rest)
    check_utf8(body)
    return remove_white_space(body)
