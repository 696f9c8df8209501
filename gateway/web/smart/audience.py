"""Whom an address is for, which decides how it says that it cannot go on: to people on a page, to machines in JSON."""

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.errors import ErrorCode, OAuthError, PageError
from gateway.storage.store import StoreAwayError
from gateway.web.smart.requests import error_answer, error_page

_log = logging.getLogger(__name__)
Endpoint = Callable[[Request], Awaitable[Response]]


def for_people(endpoint: Endpoint, frame_ancestors: tuple[str, ...]) -> Endpoint:
    """An endpoint that people look at: it raises `PageError` and `StoreAwayError`, and they are shown a page.

    `frame_ancestors` are the origins that may show that page in a frame.
    """

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except PageError as error:
            return error_page(error, frame_ancestors)
        except StoreAwayError as error:
            return _away_page(error, frame_ancestors)

    return answer


def for_machines(endpoint: Endpoint) -> Endpoint:
    """An endpoint that programs call: it raises `StoreAwayError`, and they are told in JSON."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except StoreAwayError as error:
            return _away_answer(error)

    return answer


def _away_page(error: StoreAwayError, frame_ancestors: tuple[str, ...]) -> Response:
    """A page that says so; never a way on (authorization.md "Tokens and state")."""
    _note(error)
    message = "Sign-in is not available at the moment. Please try again in a minute."
    response = error_page(PageError("store_unavailable", message), frame_ancestors, status=503)
    response.headers["retry-after"] = "5"
    return response


def _away_answer(error: StoreAwayError) -> Response:
    """An error of OAuth; never a token (authorization.md "Tokens and state")."""
    _note(error)
    return error_answer(OAuthError(ErrorCode.TEMPORARILY_UNAVAILABLE, "Please try again in a moment."))


def _note(error: StoreAwayError) -> None:
    _log.error("the store does not answer", extra={"detail": str(error)[:200]})
