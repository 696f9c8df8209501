"""Records a span for each request that is not FHIR: the FHIR endpoint does so by itself."""

from starlette.routing import Route

from gateway.asgi.health import HEALTH_PATHS
from gateway.asgi.types import ASGIApplication, Message, Receive, Scope, Send
from gateway.telemetry.tracing.spans import CURRENT_SPANS, RequestSpans
from gateway.telemetry.tracing.tracer import Tracer


class TracedRoutes:
    """An application whose requests are recorded, by the route that the application found."""

    def __init__(self, application: ASGIApplication, tracer: Tracer, route: str | None = None) -> None:
        """`route` is that of all requests, if the application has but one."""
        self._application = application
        self._tracer = tracer
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or scope["path"] in HEALTH_PATHS:
            await self._application(scope, receive, send)
            return
        spans = self._tracer.start(dict(scope["headers"]))
        if not isinstance(spans, RequestSpans):
            await self._application(scope, receive, send)
            return
        status = 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        token = CURRENT_SPANS.set(spans)
        try:
            await self._application(scope, receive, send_and_note)
        finally:
            CURRENT_SPANS.reset(token)
            route = self._route or _find_route(scope)
            self._tracer.finish_response(spans, scope["method"], route, status)


def _find_route(scope: Scope) -> str | None:
    """The template of the path; None where no route was found, because the path itself may hold anything."""
    route = scope.get("route")
    return scope.get("root_path", "") + route.path_format if isinstance(route, Route) else None
