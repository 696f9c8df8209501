"""Wrappers that turn the exceptions of an endpoint into responses: an HTML page for browsers, JSON for programs."""

import logging
from collections.abc import Awaitable, Callable, Container

from starlette.requests import Request
from starlette.responses import Response

from gateway.asgi.cors import token_endpoint_headers, token_endpoint_preflight_headers
from gateway.languages.language import gettext_noop
from gateway.oauth.errors import ErrorCode, OAuthError, PageError
from gateway.smart_server.events.request_events import RequestEvents, note_claims
from gateway.smart_server.http_messages import error_page, oauth_error_response, remote_address
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError, describe_wait
from gateway.smart_server.page_language import gettext
from gateway.smart_server.pages import Pages
from gateway.storage.backends.store import StoreUnavailableError
from gateway.telemetry.server_event import EventKind

_log = logging.getLogger(__name__)
Endpoint = Callable[[Request], Awaitable[Response]]
# Seconds.
_RETRY_PAGE = 5
_STORE_UNAVAILABLE = PageError(
    "store_unavailable",
    "Sign-in is not available at the moment. Please try again in a minute.",
    title=gettext_noop("Please wait a little"),
    status=503,
)
_FAILED = PageError(
    "internal_error",
    "Something failed here, and it is not your fault. Please try again, or start again in the app.",
    title=gettext_noop("Something failed here"),
    status=500,
)


def recorded(endpoint: Endpoint, refusal: EventKind, events: RequestEvents) -> Endpoint:
    """Wrap an endpoint, outside of the wrappers below, so that each refusal is exactly one event.

    `refusal` is its kind, where what refused did not add one of its own.
    """

    async def respond(request: Request) -> Response:
        with events.of_request(refusal, remote_address(request)) as exchange:
            response = await endpoint(request)
            exchange.status = response.status_code
            client = getattr(request.state, "client", None)
            if client is not None:
                note_claims(client_id=client.client_id)
            return response

    return respond


def html_errors(endpoint: Endpoint, pages: Pages) -> Endpoint:
    """Wrap an endpoint of pages: whatever it raises becomes an HTML page, in the language of the browser."""

    async def respond(request: Request) -> Response:
        pages.use_language_of(request)
        try:
            return await endpoint(request)
        except PageError as page_error:
            error = page_error
        except TooManyAttemptsError as too_many:
            error = _too_many_requests_page(too_many)
        except StoreUnavailableError:
            # No step of a sign-in is taken without the store (authorization.md "Tokens and state").
            error = _STORE_UNAVAILABLE
        except Exception:
            _log.exception("an endpoint failed", extra={"path": request.scope["path"]})
            error = _FAILED
        response = error_page(error, pages)
        if error.status == 503:
            response.headers["retry-after"] = str(_RETRY_PAGE)
        return response

    return respond


def _too_many_requests_page(error: TooManyAttemptsError) -> PageError:
    message = gettext(
        "Too many requests have come from your network in a short time. Please wait %(time)s, and start again.",
        time=describe_wait(error.retry_after),
    )
    return PageError("too_many_requests", message, retry_after=error.retry_after)


def json_errors(endpoint: Endpoint) -> Endpoint:
    """Wrap an endpoint of programs: `TooManyAttemptsError` and `StoreUnavailableError` become OAuth errors in JSON."""

    async def respond(request: Request) -> Response:
        try:
            return await endpoint(request)
        except TooManyAttemptsError as error:
            description = "Too many requests have come from this address in a short time."
            return oauth_error_response(
                OAuthError(ErrorCode.TEMPORARILY_UNAVAILABLE, description, retry_after=error.retry_after)
            )
        except StoreUnavailableError:
            return _store_unavailable_response()

    return respond


def json_errors_with_cors(path: str, endpoint: Endpoint, all_origins: Callable[[], Container[str]]) -> Endpoint:
    """Wrap an endpoint that apps in browsers call: every response, errors too, gets CORS headers (CO-2, CO-5).

    `all_origins` returns the origins of all clients. The endpoint stores the authenticated client in `request.state`;
    then only the origins of that client may read the response.
    """
    respond_without_cors = json_errors(endpoint)

    async def respond(request: Request) -> Response:
        origin = request.headers.get("origin")
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=dict(token_endpoint_preflight_headers(origin, all_origins())))
        try:
            response = await respond_without_cors(request)
        except Exception:
            _log.exception("an endpoint failed", extra={"path": path})
            response = oauth_error_response(OAuthError(ErrorCode.SERVER_ERROR, "The server failed; its log says why."))
        client = getattr(request.state, "client", None)
        origins = all_origins() if client is None else client.origins
        response.headers.update(dict(token_endpoint_headers(origin, origins)))
        return response

    return respond


def _store_unavailable_response() -> Response:
    """No token is issued without the store (authorization.md "Tokens and state")."""
    return oauth_error_response(OAuthError(ErrorCode.TEMPORARILY_UNAVAILABLE, "Please try again in a moment."))
