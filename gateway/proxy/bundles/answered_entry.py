"""The entry by which a `batch-response` or `transaction-response` answers a request (R4 bundle.html)."""

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import msgspec

from gateway.asgi.response import FhirResponse, StreamedBody, fhir_response
from gateway.fhir.resources.resource import MalformedResourceError, check_utf8

_ENCODER = msgspec.json.Encoder()
_RAW = msgspec.json.Decoder(msgspec.Raw)
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = dict(zip(_MONTH_NAMES, (f"{n:02}" for n in range(1, 13)), strict=True))
_OUTCOME = b'{"resourceType":"OperationOutcome"'


async def collect_body(response: FhirResponse, limit: int) -> bytes | None:
    """The body of a response; None if it is longer than `limit` bytes. Raises `UpstreamError`."""
    body = response.body
    if not isinstance(body, StreamedBody):
        return body if len(body) <= limit else None
    chunks, size = [], 0
    try:
        async for chunk in body.chunks:
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                return None
    finally:
        await body.close()
    return b"".join(chunks)


def build_entry(response: FhirResponse, body: bytes, *, is_write: bool) -> Mapping[str, Any]:
    """The entry for a response whose body is collected. Raises `MalformedResourceError` if the body is no JSON.

    The same headers leave as in a response by itself, so that they tell no more.
    """
    headers = dict(response.headers)
    answer: dict[str, Any] = {"status": _format_status(response.status)}
    location = headers.get(b"location") or headers.get(b"content-location")
    if location is not None:
        answer["location"] = location.decode("ascii")
    if b"etag" in headers:
        answer["etag"] = headers[b"etag"].decode("ascii")
    if b"last-modified" in headers:
        answer["lastModified"] = _to_instant(headers[b"last-modified"])
    if not body:
        return {"response": answer}
    resource = _read_json(body)
    if response.status >= HTTPStatus.BAD_REQUEST or (is_write and body.startswith(_OUTCOME)):
        return {"response": {**answer, "outcome": resource}}
    return {"resource": resource, "response": answer}


def build_bundle_response(kind: str, entries: list[Mapping[str, Any]]) -> FhirResponse:
    """The Bundle of all answers, in the order of the requests."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": f"{kind}-response"}
    if entries:
        bundle["entry"] = entries
    return fhir_response(_ENCODER.encode(bundle))


def _read_json(body: bytes) -> msgspec.Raw:
    """The body as a part of another one. What was passed on unread could end it."""
    check_utf8(body)
    try:
        return _RAW.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedResourceError("not JSON") from error


@lru_cache(100)
def _format_status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _to_instant(http_date: bytes) -> str:
    """A date of the one form that the gateway gives (RFC 9110 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`."""
    _, day, month, year, clock, _ = http_date.decode("ascii").split(" ")
    return f"{year}-{_MONTHS[month]}-{day}T{clock}Z"
