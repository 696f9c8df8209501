"""What is answered at addresses where nothing is: a page for browsers, JSON for programs."""

from collections.abc import Callable

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.asgi.response import FHIR_HEADERS
from gateway.fhir.resources.operation_outcome import build_operation_outcome, encode_outcome
from gateway.policy.reasons import Reason

Page = Callable[[Request, int], Response]


def accepts_html(request: Request) -> bool:
    """Whether a browser opens the address as a page. Programs do not name this type."""
    return "text/html" in request.headers.get("accept", "").lower()


class UnknownPath:
    """Responds where no route is (404), or none of the method (405)."""

    def __init__(self, base_url: str, issuer_path: str | None, page: Page | None) -> None:
        """`base_url` is the FHIR base, which the response names. `page` makes a page with a status.

        Without a SMART server there is neither `issuer_path`, the path of its issuer, nor a page.
        """
        self._base_url = base_url
        self._issuer_path = issuer_path
        self._page = page

    async def respond(self, request: Request, error: Exception) -> Response:
        """The response to a request that Starlette has no route for; `error` says why."""
        assert isinstance(error, HTTPException)
        status = error.status_code
        if self._page is not None and accepts_html(request):
            response = self._page(request, status)
        elif self._issuer_path is not None and request.scope["path"].startswith(f"{self._issuer_path}/"):
            response = _oauth_error(status)
        else:
            response = self._outcome(status)
        response.headers.update(error.headers or {})
        return response

    def _outcome(self, status: int) -> Response:
        is_method = status == 405
        reason = Reason.METHOD_NOT_ALLOWED if is_method else Reason.NOT_FOUND
        where = "Another method is needed here." if is_method else "There is nothing at this address."
        text = f"{where} The FHIR base is {self._base_url}"
        outcome = build_operation_outcome(
            code="not-supported" if is_method else "not-found", reason=reason.value, text=text
        )
        response = Response(encode_outcome(outcome), status)
        response.raw_headers += FHIR_HEADERS
        return response


def _oauth_error(status: int) -> Response:
    text = "Another method is needed here." if status == 405 else "There is nothing at this address."
    body = orjson.dumps({"error": "invalid_request", "error_description": text})
    return Response(body, status, {"cache-control": "no-store"}, media_type="application/json")
