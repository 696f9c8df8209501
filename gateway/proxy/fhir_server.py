"""Sends requests to the FHIR server, and accepts its responses only in the expected form."""

import re
from functools import lru_cache
from typing import NoReturn, Protocol

import msgspec

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.resources.resource import MalformedResourceError, check_utf8, remove_white_space
from gateway.policy.decision_types import UpstreamRequest, UpstreamWrite
from gateway.policy.reasons import Reason
from gateway.proxy.content_left_out import read_without_content
from gateway.proxy.upstream_trace import Question, UpstreamTrace
from gateway.upstream.exchange_types import (
    CallerGone,
    Exchange,
    Headers,
    MalformedResponse,
    PoolExhausted,
    Request,
    RequestContent,
    Response,
    ResponseTooLarge,
    ShareExhausted,
    Unreachable,
    UpstreamError,
    UpstreamTimeout,
)

FHIR_JSON = b"application/fhir+json"
_JSON_TYPE = re.compile(rb"(application/(fhir\+)?json|text/json)\s*(;.*)?", re.IGNORECASE)

# No content type that is understood here is longer. The limit keeps the cache of them small.
_MAX_CONTENT_TYPE = 256

# A search with a longer query is sent as POST _search, because common servers refuse request lines of 8 KB.
_MAX_QUERY_LENGTH = 4096

# Headers of every upstream request, added by the connection pool. A compressed body could not be judged as it is.
UPSTREAM_HEADERS: Headers = ((b"accept-encoding", b"identity"),)
_JSON_HEADERS: Headers = ((b"accept", FHIR_JSON),)
_FORM = (b"content-type", b"application/x-www-form-urlencoded")
# A shared search cache would return one user's results to another, and lenient handling could drop the criteria that
# narrow the search (hapi.md B2, B4).
_SEARCH_HEADERS: Headers = ((b"cache-control", b"no-cache"), (b"prefer", b"handling=strict"))

_RESOURCE = (b"content-type", FHIR_JSON)
# What the client prefers does not matter: the answer is judged, and its version is in the body.
_REPRESENTATION = (b"prefer", b"return=representation")
_WRITTEN = frozenset({200, 201, 202, 204})

_FAILURE_REASONS: dict[type[UpstreamError], Reason] = {
    Unreachable: Reason.UPSTREAM_UNREACHABLE,
    UpstreamTimeout: Reason.UPSTREAM_TIMEOUT,
    MalformedResponse: Reason.UPSTREAM_MALFORMED,
    ResponseTooLarge: Reason.UPSTREAM_TOO_LARGE,
    PoolExhausted: Reason.OVERLOADED,
    ShareExhausted: Reason.TOO_MANY_REQUESTS,
    CallerGone: Reason.CLIENT_GONE,
}
_REJECTIONS = frozenset({Reason.UPSTREAM_REJECTED, Reason.NOT_FOUND})


class ContentToSend(Protocol):
    """A body that is not read before it is sent."""

    def put_into(self, text: bytes) -> RequestContent:
        """The body of the request to the FHIR server, whose text was judged. Raises `RequestRefused`."""


# A Struct, because one is created per request: creating a frozen dataclass takes three times as long.
class ResponseHead(msgspec.Struct, frozen=True, gc=False):
    """What matters of a response head. `is_readable`: the status is 200 and the body is not compressed.

    Its validators do not matter: those of what leaves come from the body (enforcement.md 8).
    """

    is_readable: bool
    is_json: bool


_UNREADABLE = ResponseHead(is_readable=False, is_json=False)


class WriteAnswer(msgspec.Struct, frozen=True, gc=False):
    """The response to a write that the server carried out. The body is empty unless it is FHIR JSON."""

    status: int
    headers: Headers
    body: bytes


class FhirServer:
    """Sends the proxy's requests: for JSON, and without any header of the client except `Accept` for Binary."""

    def __init__(self, exchange: Exchange, base_path: bytes, *, body_limit: int) -> None:
        """`base_path` is the path of the FHIR server's base URL, without trailing slash; `body_limit` is in bytes."""
        self._exchange = exchange
        self.base_path = base_path
        self.body_limit = body_limit

    async def fetch(self, upstream_request: UpstreamRequest, trace: UpstreamTrace) -> bytes:
        """The complete body, compact. Raises `RequestRefused` unless the response is a 200 with FHIR JSON in UTF-8."""
        question = trace.ask()
        try:
            request = self._build_request(upstream_request, trace, question, FHIR_JSON)
            response = await self._exchange.send(request)
            question.status = response.status
            head = read_head(response)
            if not (head.is_readable and head.is_json):
                await _refuse_unless_json(response, head)
            body = await response.read(self.body_limit)
        except UpstreamError as error:
            raise failure(error, question) from error
        finally:
            trace.add_answer(question)
        try:
            check_utf8(body)
            return remove_white_space(body)
        except MalformedResourceError as error:
            raise RequestRefused(Reason.UPSTREAM_MALFORMED) from error

    async def fetch_without_content(self, upstream_request: UpstreamRequest, trace: UpstreamTrace) -> bytes:
        """As `fetch`, of a Binary of any size, with an empty `data`."""
        response = await self.open(upstream_request, trace)
        await _require_json(response)
        try:
            return await read_without_content(response, self.body_limit)
        except UpstreamError as error:
            raise failure(error) from error
        except MalformedResourceError as error:
            raise RequestRefused(Reason.UPSTREAM_MALFORMED) from error

    async def fetch_own(self, upstream_request: UpstreamRequest, trace: UpstreamTrace) -> bytes:
        """As `fetch`, for a request that the gateway makes on its own account.

        That the server rejects it, or does not know what is asked for, is no mistake of the client: to the client the
        server has failed. The audit log and the metrics have the true reason.
        """
        try:
            return await self.fetch(upstream_request, trace)
        except RequestRefused as refused:
            if refused.deny.reason in _REJECTIONS:
                refused.public_reason = Reason.UPSTREAM_FAILED
            raise

    async def open(
        self, upstream_request: UpstreamRequest, trace: UpstreamTrace, accept: bytes = FHIR_JSON
    ) -> Response:
        """The response with its body still unread. Raises `RequestRefused` if there is no response."""
        question = trace.ask()
        return await self._send(self._build_request(upstream_request, trace, question, accept), trace, question)

    async def send(self, request: Request, trace: UpstreamTrace) -> Response:
        """The response to a complete request, with its body still unread. Raises `RequestRefused` if there is none."""
        question = trace.ask()
        question.request = msgspec.structs.replace(request, caller=trace.caller)
        return await self._send(question.request, trace, question)

    async def _send(self, request: Request, trace: UpstreamTrace, question: Question) -> Response:
        try:
            response = await self._exchange.send(request)
            question.status = response.status
            return response
        except UpstreamError as error:
            raise failure(error, question) from error
        finally:
            trace.add_answer(question)

    async def send_write(
        self, write: UpstreamWrite, trace: UpstreamTrace, upload: ContentToSend | None = None
    ) -> WriteAnswer:
        """Send a write. Raises `RequestRefused` unless the server carried it out.

        The body cannot be read as a refusal: the write is done, whatever the body is. Of an `upload` it is without the
        content.
        """
        question = trace.ask()
        try:
            request = self._build_write(write, trace, question)
            trace.stay()
            if upload is not None:
                request = msgspec.structs.replace(request, body=b"", content=upload.put_into(write.body))
            response = await self._exchange.send(request)
            question.status = response.status
            if response.status not in _WRITTEN:
                await response.aclose()
                raise RequestRefused(_write_failure_reason(response.status, write))
            head = read_head(response)
            try:
                if upload is None:
                    body = await response.read(self.body_limit)
                else:
                    body = await read_without_content(response, self.body_limit)
            except (UpstreamError, MalformedResourceError):
                body = b""
        except UpstreamError as error:
            raise failure(error, question) from error
        finally:
            trace.add_answer(question)
        return WriteAnswer(response.status, tuple(response.headers), body if head.is_json else b"")

    def _build_write(self, write: UpstreamWrite, trace: UpstreamTrace, question: Question) -> Request:
        target = self.base_path + write.path.encode() + (b"?" + write.query.encode() if write.query else b"")
        target = target or b"/"
        headers: Headers = (*_JSON_HEADERS, _REPRESENTATION)
        if write.method != "DELETE":
            headers += (_RESOURCE,)
        if write.if_none_match:
            headers += ((b"if-none-match", b"*"),)
        varying = question.headers
        if write.if_match is not None:
            varying += ((b"if-match", f'W/"{write.if_match}"'.encode()),)
        if write.if_none_exist:
            varying += ((b"if-none-exist", write.if_none_exist.encode()),)
        question.request = Request(write.method.encode(), target, headers, write.body, varying, caller=trace.caller)
        return question.request

    def _build_request(
        self, upstream_request: UpstreamRequest, trace: UpstreamTrace, question: Question, accept: bytes
    ) -> Request:
        path = self.base_path + upstream_request.path.encode()
        headers: Headers = _JSON_HEADERS if accept is FHIR_JSON else ((b"accept", accept),)
        if upstream_request.is_search:
            headers += _SEARCH_HEADERS
        query = upstream_request.query.encode()
        method, target, body = b"GET", path + b"?" + query if query else path or b"/", b""
        if upstream_request.body:
            trace.stay()
            method, target, headers, body = b"POST", path, (*headers, _RESOURCE), upstream_request.body
        elif len(query) > _MAX_QUERY_LENGTH and (upstream_request.is_search or upstream_request.may_be_form):
            method, target, headers, body = b"POST", path + b"/_search", (*headers, _FORM), query
        question.request = Request(method, target, headers, body, question.headers, caller=trace.caller)
        return question.request


def failure(error: UpstreamError, question: Question | None = None) -> RequestRefused:
    """The refusal for an exchange that failed, which is noted in the `question`."""
    if question is not None:
        question.error = error
    return RequestRefused(_FAILURE_REASONS[type(error)])


def read_head(response: Response) -> ResponseHead:
    """Read the response head."""
    values = dict(response.headers)
    content_type, coding = values.get(b"content-type", b""), values.get(b"content-encoding", b"identity")
    if len(content_type) > _MAX_CONTENT_TYPE or len(coding) > _MAX_CONTENT_TYPE:
        return _UNREADABLE
    return _describe_head(response.status, content_type, coding)


# Cached: a server uses few content types.
@lru_cache(256)
def _describe_head(status: int, content_type: bytes, coding: bytes) -> ResponseHead:
    return ResponseHead(status == 200 and coding == b"identity", _JSON_TYPE.fullmatch(content_type) is not None)


async def read_json(response: Response, limit: int) -> bytes:
    """The body of a readable response with FHIR JSON. Raises `RequestRefused` and `UpstreamError`."""
    await _require_json(response)
    return await response.read(limit)


async def _require_json(response: Response) -> None:
    """Close the response and raise `RequestRefused` unless it is readable and has FHIR JSON."""
    await _refuse_unless_json(response, read_head(response))


async def _refuse_unless_json(response: Response, head: ResponseHead) -> None:
    if not head.is_readable:
        await refuse_response(response)
    if not head.is_json:
        await response.aclose()
        raise RequestRefused(Reason.UPSTREAM_MALFORMED)


async def refuse_response(response: Response) -> NoReturn:
    """Close the response and raise the `RequestRefused` for its status. Its body is never passed on (leak_28)."""
    await response.aclose()
    raise RequestRefused(_failure_reason(response.status))


def _write_failure_reason(status: int, write: UpstreamWrite) -> Reason:
    """A version that is no longer the current one is answered with 412 or, by HAPI, with 409 (hapi.md)."""
    if status == 412 or (status == 409 and write.method == "PUT" and write.if_match is not None):
        return Reason.PRECONDITION_FAILED
    return Reason.UPSTREAM_CONFLICT if status == 409 else _failure_reason(status)


def _failure_reason(status: int) -> Reason:
    if status in {404, 410}:
        return Reason.NOT_FOUND
    if status in {401, 403, 407}:
        return Reason.UPSTREAM_REFUSED
    if status in {429, 503}:
        return Reason.OVERLOADED
    if status in {408, 504}:
        return Reason.UPSTREAM_TIMEOUT
    if 400 <= status < 500 or status == 501:
        return Reason.UPSTREAM_REJECTED
    return Reason.UPSTREAM_FAILED if status >= 500 else Reason.UPSTREAM_MALFORMED
