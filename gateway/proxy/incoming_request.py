"""The client's HTTP request, before it is parsed as FHIR."""

import re
from collections.abc import Mapping

import msgspec

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.types import Header, Receive
from gateway.fhir.query_limits import MAX_QUERY, MAX_SEALED_QUERY
from gateway.fhir.request.content import WrittenContent, parse_content
from gateway.fhir.request.interaction import Interaction, Write
from gateway.fhir.request.parse_request import RequestError, parse_request
from gateway.fhir.request_error import RequestProblem
from gateway.fhir.search_parameters import SearchType
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import FHIR_JSON
from gateway.proxy.upstream_trace import UpstreamTrace

_REQUEST_ID = re.compile(rb"[A-Za-z0-9\-._]{1,64}")

# Headers that change what a request means or how it is read. Without them, method, path, query and Accept say it all.
_MEANINGFUL_HEADERS = frozenset(
    {
        b"content-length",
        b"content-type",
        b"if-modified-since",
        b"if-none-exist",
        b"if-none-match",
        b"transfer-encoding",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
    }
)


class IncomingRequest(msgspec.Struct, gc=False):
    """A request as it arrived. `path` is the raw path below the base; repeated header fields are joined."""

    method: str
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    receive: Receive
    trace: UpstreamTrace

    @property
    def accept(self) -> bytes:
        """The client's Accept header. `_format` overrides it, and means FHIR JSON if it is accepted (R4 3.1.0.1.11)."""
        if b"_format=" in self.query and b"&_format=" in b"&" + self.query:
            return FHIR_JSON
        return self.headers.get(b"accept", b"*/*")

    def is_plain_get(self) -> bool:
        """Whether this is a GET or HEAD whose meaning depends only on its path, its query and its Accept header."""
        return self.method in {"GET", "HEAD"} and self.headers.keys().isdisjoint(_MEANINGFUL_HEADERS)


def join_headers(fields: list[Header]) -> dict[bytes, bytes]:
    """Header values by name. Repeated fields are joined by commas (RFC 9110 5.3), so that none is overlooked."""
    joined: dict[bytes, bytes] = {}
    for name, value in fields:
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined


def choose_request_id(sent_by_client: bytes, decision_id: str) -> bytes:
    """The request id that the client sent, if it is well formed; else the decision id."""
    return sent_by_client if _REQUEST_ID.fullmatch(sent_by_client) else decision_id.encode()


def parse_interaction(
    method: str,
    path: bytes,
    query: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
    extra_parameters: Mapping[str, Mapping[str, SearchType]],
    *,
    max_query: int = MAX_QUERY,
) -> Interaction:
    """The FHIR interaction of a request. Raises `RequestRefused` if it has none. `max_query` is in bytes."""
    try:
        return parse_request(method, path, query, headers, body, extra_parameters=extra_parameters, max_query=max_query)
    except RequestError as error:
        raise refuse_request(error) from error


def parse_written_content(write: Write, headers: Mapping[bytes, bytes], body: bytes) -> WrittenContent | None:
    """The content of a write. Raises `RequestRefused` if it is not what the write needs."""
    try:
        return parse_content(write, headers, body)
    except RequestError as error:
        raise refuse_request(error) from error


def refuse_request(error: RequestError) -> RequestRefused:
    """The refusal of a request that cannot be parsed."""
    refused = RequestRefused(Reason(error.problem.value), error.offender, hint=error.hint)
    refused.location = error.location
    if error.allowed_methods:
        refused.headers.append((b"allow", ", ".join(error.allowed_methods).encode()))
    if error.problem is RequestProblem.PATCH_FORMAT_UNSUPPORTED:
        refused.headers.append((b"accept-patch", b"application/json-patch+json"))
    return refused


def parse_sealed_request(
    path: str, query: str, extra_parameters: Mapping[str, Mapping[str, SearchType]]
) -> Interaction:
    """The interaction of the request in a paging link of ours. What came as a form may be longer than a query."""
    return parse_interaction(
        "GET", path.encode(), query.encode(), {}, b"", extra_parameters, max_query=MAX_SEALED_QUERY
    )


async def read_body(receive: Receive, limit: int) -> bytes:
    """The request's body. Raises `RequestRefused` if it is longer than `limit` bytes."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message.get("too_slow"):
            raise RequestRefused(Reason.REQUEST_TOO_SLOW)
        if message["type"] == "http.disconnect":
            raise RequestRefused(Reason.QUERY_MALFORMED, hint="The connection was closed before the body ended.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise RequestRefused(Reason.REQUEST_TOO_LARGE)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
