"""Refuses what is not FHIR while its address has too much in progress: pages, the token endpoint, registrations."""

import time

from gateway.asgi.health import HEALTH_PATHS
from gateway.asgi.requests_in_progress import RequestsInProgress, of_address
from gateway.asgi.temporarily_unavailable import temporarily_unavailable
from gateway.asgi.types import CONNECTION, ASGIApplication, Receive, Scope, Send
from gateway.telemetry.server_event import REQUESTS_IN_PROGRESS, EventKind, ServerEvent
from gateway.telemetry.telemetry import Telemetry


class BoundedRoutes:
    """The FHIR endpoint counts by itself, by the client of the token."""

    def __init__(self, routes: ASGIApplication, in_progress: RequestsInProgress, telemetry: Telemetry) -> None:
        self._routes = routes
        self._in_progress = in_progress
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it. Health checks are answered."""
        if scope["type"] == "http" and scope["path"] not in HEALTH_PATHS:
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
                await temporarily_unavailable(reason)(scope, receive, send)
                return
        await self._routes(scope, receive, send)
