"""Refuses what is not FHIR while events cannot be recorded: nobody signs in, and no token is issued."""

from gateway.asgi.health import HEALTH_PATHS
from gateway.asgi.temporarily_unavailable import temporarily_unavailable
from gateway.asgi.types import ASGIApplication, Receive, Scope, Send
from gateway.policy.reasons import Reason
from gateway.telemetry.telemetry import Telemetry


class RecordedRoutes:
    """The FHIR endpoint refuses by itself, with the decision id of its request."""

    def __init__(self, routes: ASGIApplication, telemetry: Telemetry) -> None:
        self._routes = routes
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it. Health checks are answered."""
        if scope["type"] == "http" and self._telemetry.refuses_requests and scope["path"] not in HEALTH_PATHS:
            await temporarily_unavailable(Reason.AUDIT_UNAVAILABLE)(scope, receive, send)
            return
        await self._routes(scope, receive, send)
