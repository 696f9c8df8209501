"""One question to the FHIR server, and its answer as far as it may be believed."""

import re
import time
from functools import lru_cache
from typing import NoReturn

import msgspec

from gateway.fhir.resource import MalformedResourceError, check_text
from gateway.policy.decision import Send
from gateway.policy.reasons import Reason
from gateway.upstream.exchange import (
    Exchange,
    Headers,
    Malformed,
    PoolExhausted,
    Request,
    Response,
    ResponseTooLarge,
    TimedOut,
    Unreachable,
    UpstreamError,
)
from gateway.web.answer import Header, Refused
from gateway.web.trace import Trace

FHIR_JSON = b"application/fhir+json"
_JSON_TYPE = re.compile(rb"(application/(fhir\+)?json|text/json)\s*(;.*)?", re.IGNORECASE)
_VALIDATORS = {
    b"etag": re.compile(rb'(W/)?"[\x21\x23-\x7e]{0,64}"'),
    b"last-modified": re.compile(rb"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT"),
}

# No type and no validator that we understand is longer; so what is remembered of them is small.
_LONGEST_VALUE = 256

# Above this a search leaves as POST _search: request lines of 8 KB are refused by common servers.
_LONGEST_QUERY = 4096

# For the pool: on every request, since a body that is encoded could not be verified without decoding it.
CONSTANT_HEADERS: Headers = ((b"accept-encoding", b"identity"),)
_JSON_HEADERS: Headers = ((b"accept", FHIR_JSON),)
_FORM = (b"content-type", b"application/x-www-form-urlencoded")
# A shared search cache answers one user's rows to another, and leniency drops our own narrowing (hapi.md B2, B4).
_SEARCH_HEADERS: Headers = ((b"cache-control", b"no-cache"), (b"prefer", b"handling=strict"))

_FAILURES: dict[type[UpstreamError], Reason] = {
    Unreachable: Reason.UPSTREAM_UNREACHABLE,
    TimedOut: Reason.UPSTREAM_TIMEOUT,
    Malformed: Reason.UPSTREAM_MALFORMED,
    ResponseTooLarge: Reason.UPSTREAM_TOO_LARGE,
    PoolExhausted: Reason.OVERLOADED,
}


# Failures that hang on the one record that was asked for, and would not have come without it.
OF_THE_RECORD = frozenset(
    {Reason.UPSTREAM_MALFORMED, Reason.UPSTREAM_TOO_LARGE, Reason.UPSTREAM_REFUSED, Reason.UPSTREAM_REJECTED}
)


# Structs, because two are made per request: a frozen dataclass takes three times as long to make.
class Fetched(msgspec.Struct, frozen=True, gc=False):
    """A whole JSON body that is UTF-8, with the validators that came along, if they have the right form."""

    body: bytes
    validators: tuple[Header, ...]


class Head(msgspec.Struct, frozen=True, gc=False):
    """What the head of an answer says, as far as it matters here."""

    readable: bool
    json: bool
    validators: tuple[Header, ...]


class FhirServer:
    """The upstream as the proxy asks it: JSON only, and nothing of the client's headers."""

    def __init__(self, exchange: Exchange, base_path: bytes, *, body_limit: int) -> None:
        """`base_path` is the path of the upstream's base without trailing slash; `body_limit` is in bytes."""
        self._exchange = exchange
        self._base_path = base_path
        self._body_limit = body_limit

    async def fetch(self, send: Send, trace: Trace) -> Fetched:
        """The answer to `send`, read whole. Raises `Refused` for anything but a 200 in FHIR JSON, and not in UTF-8."""
        asked_at = time.perf_counter()
        try:
            response = await self._exchange.send(self._request(send, trace.request_id, FHIR_JSON))
            head = read_head(response)
            if not head.readable:
                await refuse(response)
            if not head.json:
                await response.aclose()
                raise Refused(Reason.UPSTREAM_MALFORMED)
            body = await response.read(self._body_limit)
        except UpstreamError as error:
            raise Refused(_FAILURES[type(error)]) from error
        finally:
            trace.add(time.perf_counter() - asked_at)
        try:
            check_text(body)
        except MalformedResourceError as error:
            raise Refused(Reason.UPSTREAM_MALFORMED) from error
        return Fetched(body, head.validators)

    async def open(self, send: Send, trace: Trace, accept: bytes = FHIR_JSON) -> Response:
        """The answer to `send` with its body still to come. Raises `Refused` where there is none."""
        request = self._request(send, trace.request_id, accept)
        asked_at = time.perf_counter()
        try:
            return await self._exchange.send(request)
        except UpstreamError as error:
            raise Refused(_FAILURES[type(error)]) from error
        finally:
            trace.add(time.perf_counter() - asked_at)

    def _request(self, send: Send, request_id: bytes, accept: bytes) -> Request:
        path = self._base_path + send.path.encode()
        own: Headers = ((b"x-request-id", request_id),)
        headers: Headers = _JSON_HEADERS if accept is FHIR_JSON else ((b"accept", accept),)
        if send.search:
            headers += _SEARCH_HEADERS
        query = send.query.encode()
        if send.search and len(query) > _LONGEST_QUERY:
            return Request(b"POST", path + b"/_search", (*headers, _FORM), query, own)
        return Request(b"GET", path + b"?" + query if query else path or b"/", headers, own=own)


def read_head(response: Response) -> Head:
    """One look at the head: a 200 that is not encoded is readable; validators must have their form (RFC 9110 8.8)."""
    json, plain, validators = False, True, []
    for name, value in response.headers:
        if name == b"content-type":
            json = len(value) <= _LONGEST_VALUE and _means_json(value)
        elif name == b"content-encoding":
            plain = value == b"identity"
        elif name in _VALIDATORS and len(value) <= _LONGEST_VALUE and _has_its_form(name, value):
            validators.append((name, value))
    return Head(response.status == 200 and plain, json, tuple(validators))


# A server says its few types again and again, and the version and time of a record that is read again.
@lru_cache(256)
def _means_json(content_type: bytes) -> bool:
    return _JSON_TYPE.fullmatch(content_type) is not None


@lru_cache(1024)
def _has_its_form(name: bytes, value: bytes) -> bool:
    return _VALIDATORS[name].fullmatch(value) is not None


async def refuse(response: Response) -> NoReturn:
    """Give the answer up and raise the `Refused` that fits its status; what a failure says never leaves (leak_28)."""
    await response.aclose()
    raise Refused(_failure(response.status))


def _failure(status: int) -> Reason:
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
