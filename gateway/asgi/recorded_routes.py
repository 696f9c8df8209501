"""Refuses what is not FHIR while events cannot be recorded: nobody signs in, and no token is issued."""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.responses import JSONResponse

from gateway.asgi.types import Receive, Scope, Send
from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS
from gateway.telemetry.telemetry import Telemetry

_Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
_HEALTH_PATHS = ("/healthz", "/readyz")
_TEXT = REFUSAL_TEXTS[Reason.AUDIT_UNAVAILABLE]
# RFC 6749 4.1.2.1 has the error for a server that cannot handle the request for a while.
_BODY = {"error": "temporarily_unavailable", "error_description": _TEXT.sentence}
_HEADERS = {"retry-after": "5", "cache-control": "no-store"}


class RecordedRoutes:
    """The FHIR endpoint refuses by itself, with the decision id of its request."""

    def __init__(self, routes: _Application, telemetry: Telemetry) -> None:
        self._routes = routes
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it. Health checks are answered."""
        if scope["type"] == "http" and self._telemetry.refuses_requests and scope["path"] not in _HEALTH_PATHS:
            await JSONResponse(_BODY, _TEXT.status, _HEADERS)(scope, receive, send)
            return
        await self._routes(scope, receive, send)
