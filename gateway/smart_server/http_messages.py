"""Reads request bodies within limits, and makes JSON, HTML and redirect responses."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.credentials.unverified_token import parse_json_object
from gateway.languages.language import gettext_noop
from gateway.oauth.errors import ErrorCode, OAuthError, PageError
from gateway.oauth.parameters import (
    MalformedParametersError,
    Parameters,
    collect_parameters,
    read_form,
    read_form_pairs,
    read_json,
)
from gateway.pages.security_headers import page_headers
from gateway.pages.views import MessageView, PageLink, View
from gateway.smart_server.events.request_events import note_claims, note_refusal
from gateway.smart_server.page_language import current_language, gettext
from gateway.smart_server.pages import Pages

# long scopes are sent in forms. No honest request is longer.
MAX_BODY_BYTES = 128 * 1024
# A consent page has a field for each requested scope and for each of its parts.
MAX_FORM_FIELDS = 4000
FORM_MEDIA_TYPE = "application/x-www-form-urlencoded"
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
# Seconds. A store that is unavailable, or a check of passwords, may be available again after a short while.
RETRY_SOON = 2


class BodyTooLargeError(Exception):
    """The body is larger than `MAX_BODY_BYTES`."""


async def read_body(request: Request) -> bytes:
    """The body. Raises `BodyTooLargeError`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLargeError
    return bytes(body)


def remote_address(request: Request) -> str:
    """The IP address of the client."""
    return request.client.host if request.client else "nowhere"


def media_type(request: Request) -> str:
    """The media type of the body, without parameters, in lower case."""
    return str(request.headers.get("content-type", "")).partition(";")[0].strip().lower()


async def read_oauth_parameters(request: Request) -> Parameters:
    """The parameters of a POST, from a form or from JSON (fixed choice 9). Raises `OAuthError`."""
    try:
        body = await read_body(request)
        match media_type(request):
            case "application/x-www-form-urlencoded":
                parameters = read_form(body)
            case "application/json":
                parameters = read_json(parse_json_object(body))
            case _:
                raise OAuthError(ErrorCode.INVALID_REQUEST, f"The body must be {FORM_MEDIA_TYPE}.")
    except BodyTooLargeError:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"The body is larger than {MAX_BODY_BYTES} bytes.") from None
    except MalformedParametersError as error:
        raise OAuthError(ErrorCode.INVALID_REQUEST, str(error)) from error
    except ValueError as error:
        description = "The body is not one JSON object with each member once."
        raise OAuthError(ErrorCode.INVALID_REQUEST, description) from error
    note_claims(client_id=parameters.get("client_id"))
    return parameters


async def read_page_form(request: Request) -> tuple[Parameters, tuple[tuple[str, str], ...]]:
    """The fields of a form of our own pages, by name and as pairs: names may repeat. Raises `PageError`."""
    try:
        body = await read_body(request)
        if media_type(request) != FORM_MEDIA_TYPE:
            raise MalformedParametersError("no form")
        pairs = read_form_pairs(body, MAX_FORM_FIELDS)
        return collect_parameters(pairs, MAX_FORM_FIELDS), tuple(pairs)
    except (BodyTooLargeError, MalformedParametersError) as error:
        raise PageError(
            "form_malformed",
            "The form that your browser sent cannot be read.",
            advice=gettext_noop("Nothing was changed. Please go back and try again."),
        ) from error


def json_response(value: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response with `Cache-Control: no-store` (T-12)."""
    return Response(orjson.dumps(value), status, {**NO_STORE, **(headers or {})}, media_type="application/json")


def oauth_error_response(error: OAuthError) -> Response:
    """An OAuth error as JSON, with a challenge if Basic authentication failed (edge case 66)."""
    note_refusal(error.code.value)
    headers = {"www-authenticate": 'Basic realm="token endpoint", charset="UTF-8"'} if error.basic else {}
    retry_after = error.retry_after or (RETRY_SOON if error.status == 503 else 0)
    if retry_after:
        headers["retry-after"] = str(retry_after)
    body = {"error": error.code.value, "error_description": error.description}
    return json_response(body, status=error.status, headers=headers)


def html_response(
    view: View,
    *,
    pages: Pages,
    form_targets: tuple[str, ...] = (),
    logos: tuple[str, ...] = (),
    status: int = 200,
) -> Response:
    """An HTML page with its security headers."""
    language, renderer = current_language(), pages.renderer
    response = Response(renderer.render(view, language), status)
    response.raw_headers = [
        *page_headers(renderer.branding, language, pages.frame_ancestors, form_targets, logos, keeps_opener=True),
        *[(name, value) for name, value in response.raw_headers if name == b"content-length"],
    ]
    return response


def error_page(error: PageError, pages: Pages) -> Response:
    """An HTML page with the error, and a way back. Nothing is sent to the app (edge cases 9-11)."""
    is_refusal = error.status >= 400
    if is_refusal:
        note_refusal(error.reason)
    way_back = [PageLink(error.way_back.href, gettext(error.way_back.text))] if error.way_back is not None else []
    title = gettext("Please wait a little") if error.retry_after else gettext("This cannot go on")
    view = MessageView(
        title=gettext(error.title) if error.title else title,
        message=gettext(error.message),
        advice=gettext(error.advice) if error.advice else "",
        reason=error.reason if is_refusal else "",
        links=(*way_back, PageLink(pages.start_page, gettext("Start page"))),
        app_name=error.app_name,
    )
    response = html_response(view, pages=pages, status=error.status)
    if error.retry_after:
        retry_later(response, error.status, error.retry_after)
    return response


def retry_later(response: Response, status: int, seconds: int) -> None:
    """Make the response one that the browser may ask for again after some time (RFC 9110 10.2.3)."""
    response.status_code = status
    response.headers["retry-after"] = str(seconds)


def see_other(location: str) -> Response:
    """A 303 redirect: the browser follows it by GET and never sends the form again (A-20, edge case 22)."""
    return Response(status_code=303, headers={"location": location, **NO_STORE, "referrer-policy": "no-referrer"})
