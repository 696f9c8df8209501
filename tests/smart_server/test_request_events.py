"""The wrapper of every endpoint of the SMART server: each refusal, however it came about, is exactly one event."""

import contextlib
from collections.abc import Awaitable, Callable

import pytest
from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.errors import ErrorCode, OAuthError, PageError
from gateway.settings.authorization.smart_server import SmartServer
from gateway.smart_server.error_responses import html_errors, json_errors, json_errors_with_cors, recorded
from gateway.smart_server.events.request_events import RequestEvents, note_claims, note_refusal
from gateway.smart_server.http_messages import oauth_error_response
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError
from gateway.smart_server.pages import build_pages
from gateway.storage.backends.store import StoreUnavailableError
from gateway.telemetry.server_event import EVENT_TEXTS, REFUSALS, EventKind, ServerEvent

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDRESS = "127.0.0.1"

Wrapper = Callable[[Callable[[Request], Awaitable[Response]]], Callable[[Request], Awaitable[Response]]]
WRAPPERS: dict[str, Wrapper] = {
    "pages": lambda endpoint: html_errors(endpoint, build_pages(SmartServer(), "https://gw.example/auth")),
    "JSON": json_errors,
    "JSON for browsers": lambda endpoint: json_errors_with_cors("/x", endpoint, frozenset),
}
ERRORS: dict[str, Exception] = {
    "a page": PageError("some_reason", "A sentence."),
    "too many attempts": TooManyAttemptsError(5),
    "a store that is away": StoreUnavailableError("gone"),
    "a fault": RuntimeError("a fault"),
}


async def outcome(endpoint: Callable[[Request], Awaitable[Response]], wrap: Wrapper) -> list[ServerEvent]:
    """The events of one request to the endpoint."""
    seen: list[ServerEvent] = []
    events = RequestEvents(seen.append, lambda: 1.0)
    request = Request({"type": "http", "method": "GET", "headers": [], "client": (ADDRESS, 1), "path": "/"})
    with contextlib.suppress(RuntimeError, PageError):
        await recorded(wrap(endpoint), EventKind.REQUEST_REFUSED, events)(request)
    return seen


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
async def test_every_error_at_every_sort_of_endpoint_is_one_event(wrap: Wrapper, error: Exception) -> None:
    async def endpoint(_: Request) -> Response:
        raise error

    (event,) = await outcome(endpoint, wrap)
    assert event.kind is EventKind.REQUEST_REFUSED
    assert event.reason


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422, 429, 500, 503])
async def test_every_status_of_a_refusal_is_one_event(status: int) -> None:
    async def endpoint(_: Request) -> Response:
        return Response(status_code=status)

    (event,) = await outcome(endpoint, json_errors)
    assert event.reason


async def test_the_first_refusal_of_a_request_holds_and_success_is_none() -> None:
    async def twice(_: Request) -> Response:
        note_claims(client_id="app")
        note_refusal("first")
        return oauth_error_response(OAuthError(ErrorCode.INVALID_REQUEST, "A sentence."))

    async def success(_: Request) -> Response:
        note_claims(client_id="app")
        return Response()

    assert [(event.reason, event.client_id) for event in await outcome(twice, json_errors)] == [("first", "app")]
    assert await outcome(success, json_errors) == []


async def test_every_kind_of_refusal_and_of_event_is_described() -> None:
    assert set(EVENT_TEXTS) == set(EventKind)
    assert {kind for kind in EventKind if kind.value.endswith(("_refused", "_failed"))} <= REFUSALS
