"""Reading what comes in, bounded, and answering it: the small change of every endpoint here."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.keys.token import json_object
from gateway.oauth.errors import ErrorCode, OAuthError, PageError
from gateway.oauth.parameters import MalformedParametersError, Parameters, collect, read_form, read_json, read_pairs
from gateway.web.html.policy import page_headers
from gateway.web.html.render import render
from gateway.web.html.views import MessageView, View

# long scopes travel in forms; nothing longer is a request that anybody means.
MAX_FORM = 128 * 1024
# A consent page has a field for each scope of a request and for each part of it that can be ticked.
MAX_FIELDS = 4000
FORM = "application/x-www-form-urlencoded"
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
# Seconds: a store comes back sooner than the window of failed attempts is over.
_RETRY_AFTER = {429: "60", 503: "2"}


class BodyTooLargeError(Exception):
    """The body is larger than any request of these endpoints needs."""


async def read_body(request: Request) -> bytes:
    """The body. Raises `BodyTooLargeError`."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM:
            raise BodyTooLargeError
    return bytes(body)


def remote_of(request: Request) -> str:
    """The address that the request came from."""
    return request.client.host if request.client else "nowhere"


def media_type(request: Request) -> str:
    """The media type of the body, without parameters, in lower case."""
    return str(request.headers.get("content-type", "")).partition(";")[0].strip().lower()


async def oauth_parameters(request: Request) -> Parameters:
    """The parameters of a POST to an endpoint for machines: a form, or JSON (fixed choice 9). Raises `OAuthError`."""
    try:
        body = await read_body(request)
        match media_type(request):
            case "application/x-www-form-urlencoded":
                return read_form(body)
            case "application/json":
                return read_json(json_object(body))
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"The body must be {FORM}.")
    except BodyTooLargeError:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"The body is larger than {MAX_FORM} bytes.") from None
    except MalformedParametersError as error:
        raise OAuthError(ErrorCode.INVALID_REQUEST, str(error)) from error
    except ValueError as error:
        description = "The body is not one JSON object with each member once."
        raise OAuthError(ErrorCode.INVALID_REQUEST, description) from error


async def page_form(request: Request) -> tuple[Parameters, tuple[tuple[str, str], ...]]:
    """The fields of a form of our own pages: by name, and all pairs where a name may repeat. Raises `PageError`."""
    try:
        body = await read_body(request)
        if media_type(request) != FORM:
            raise MalformedParametersError("no form")
        pairs = read_pairs(body, MAX_FIELDS)
        return collect(pairs, MAX_FIELDS), tuple(pairs)
    except (BodyTooLargeError, MalformedParametersError) as error:
        raise PageError("form_malformed", "The form that your browser sent cannot be read.") from error


def json_answer(value: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody stores (T-12)."""
    return Response(orjson.dumps(value), status, {**NO_STORE, **(headers or {})}, media_type="application/json")


def error_answer(error: OAuthError) -> Response:
    """An OAuth error as JSON, with the challenge where Basic was tried (edge case 66)."""
    headers = {"www-authenticate": 'Basic realm="token endpoint", charset="UTF-8"'} if error.basic else {}
    if error.status in _RETRY_AFTER:
        headers["retry-after"] = _RETRY_AFTER[error.status]
    body = {"error": error.code.value, "error_description": error.description}
    return json_answer(body, status=error.status, headers=headers)


def page(
    view: View,
    *,
    frame_ancestors: tuple[str, ...],
    form_targets: tuple[str, ...] = (),
    logos: tuple[str, ...] = (),
    status: int = 200,
) -> Response:
    """A page with the headers that hold a browser to it."""
    response = Response(render(view), status)
    response.raw_headers = [
        *page_headers(frame_ancestors, form_targets, logos, opener=True),
        *[(name, value) for name, value in response.raw_headers if name == b"content-length"],
    ]
    return response


def error_page(error: PageError, frame_ancestors: tuple[str, ...], *, status: int = 400) -> Response:
    """A page that says what went wrong, for a person; nothing is sent to the app (edge cases 9-11)."""
    view = MessageView(title="This cannot go on", message=error.message, reason=error.reason)
    return page(view, frame_ancestors=frame_ancestors, status=status)


def see_other(location: str) -> Response:
    """A redirect after which the browser asks by GET, never sends the form again (A-20, edge case 22)."""
    return Response(status_code=303, headers={"location": location, **NO_STORE, "referrer-policy": "no-referrer"})
