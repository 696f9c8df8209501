"""Refuses what is not FHIR while its address has too much in progress: pages, the token endpoint, registrations."""

import time
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.responses import JSONResponse

from gateway.asgi.requests_in_progress import RequestsInProgress, of_address
from gateway.asgi.types import CONNECTION, Receive, Scope, Send
from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS
from gateway.telemetry.server_event import REQUESTS_IN_PROGRESS, EventKind, ServerEvent
from gateway.telemetry.telemetry import Telemetry

_Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
_HEALTH_PATHS = ("/healthz", "/readyz")
# Seconds.
_RETRY_AFTER = {429: "1", 503: "5"}


class BoundedRoutes:
    """The FHIR endpoint counts by itself, by the client of the token."""

    def __init__(self, routes: _Application, in_progress: RequestsInProgress, telemetry: Telemetry) -> None:
        self._routes = routes
        self._in_progress = in_progress
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it. Health checks are answered."""
        if scope["type"] == "http" and scope["path"] not in _HEALTH_PATHS:
            client = scope.get("client")
            address = client[0] if client else None
            reason = self._in_progress.admit(of_address(address), scope)
            if reason is not None:
                scope["extensions"][CONNECTION].is_held_back = True
                self._telemetry.add_event(
                    ServerEvent(
                        kind=EventKind.RATE_LIMITED,
                        at=time.time(),
                        reason=REQUESTS_IN_PROGRESS,
                        remote_address=address,
                    )
                )
                await _refusal(reason)(scope, receive, send)
                return
        await self._routes(scope, receive, send)


def _refusal(reason: Reason) -> JSONResponse:
    """The error that RFC 6749 4.1.2.1 has for a server that cannot handle the request for a while."""
    text = REFUSAL_TEXTS[reason]
    body = {"error": "temporarily_unavailable", "error_description": text.sentence}
    return JSONResponse(body, text.status, {"retry-after": _RETRY_AFTER[text.status], "cache-control": "no-store"})
