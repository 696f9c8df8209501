"""The gateway as one ASGI application: joins the proxy and the SMART server, and dispatches between them."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from gateway.asgi.bounded_routes import BoundedRoutes
from gateway.asgi.client_address import TrustedProxies
from gateway.asgi.client_certificate import CertificateHeader
from gateway.asgi.health import Health
from gateway.asgi.no_sniff import NoSniff
from gateway.asgi.recorded_routes import RecordedRoutes
from gateway.asgi.refusal import RequestRefused
from gateway.asgi.traced_routes import TracedRoutes
from gateway.asgi.types import ASGIApplication, Receive, Scope, Send
from gateway.asgi.unknown_path import UnknownPath
from gateway.lasting_parts import LastingParts
from gateway.policy.reasons import Reason
from gateway.proxy.build import Proxy, build_fhir_server, build_proxy
from gateway.proxy.internal_requests import InternalRequests
from gateway.proxy.lasting_parts import progress_limits
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.settings.enforcement.user_access_brands import BRANDS_PATH
from gateway.settings.model import Settings
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.tracing.build import build_tracer
from gateway.telemetry.watched_parts import AuditState, WatchedParts

if TYPE_CHECKING:
    from gateway.smart_server.assembly import SmartServerAssembly
    from gateway.smart_server.configuration_control import ConfigurationControl

_log = logging.getLogger(__name__)
# Seconds between two attempts to read the CapabilityStatement at start.
_STATEMENT_RETRY = 10.0
# Medplum's launch endpoint lies below the FHIR base, where everything else is FHIR.
_MEDPLUM_PREFIX, _MEDPLUM_SUFFIXES = b"/ClientApplication/", (b"/$smart-launch", b"/%24smart-launch")
_Endpoint = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]


class Gateway:
    """The whole gateway as one ASGI application. The FHIR base comes first, because most requests go there."""

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        lasting: LastingParts | None = None,
        configuration: "ConfigurationControl | None" = None,
    ) -> None:
        """`telemetry` receives a record of every request; it is not closed here.

        `lasting` has what gateways share that replace each other; without it, this one has its own and closes it.
        `configuration` is for the admin API, where the configuration can be changed.
        """
        self._settings = settings
        self._telemetry = telemetry
        self._owned = LastingParts(settings) if lasting is None else None
        lasting = lasting or self._owned
        assert lasting is not None
        self._lasting = lasting
        self._tasks: list[asyncio.Task[None]] = []
        proxies = settings.listen.trusted_proxies
        self._trusted_proxies = TrustedProxies(proxies) if proxies else None
        certificates = settings.listen.client_certificates
        self._certificate_header = None
        if self._trusted_proxies is not None and certificates is not None and certificates.header is not None:
            self._certificate_header = CertificateHeader(certificates.header, self._trusted_proxies)
        self._smart_server = _build_smart_server(settings, lasting)
        self._connections = lasting.connections.take(settings.upstream)
        self.pool = self._connections.pool
        server = build_fhir_server(settings.upstream, self._connections.exchange, self.pool.base_path)
        self._tracer = build_tracer(settings, lasting.span_exports)
        proxy = build_proxy(
            settings, server, lasting.control_client, telemetry, self._smart_server, lasting.proxy, self._tracer
        )
        self._resolver = proxy.dependencies.resolver
        self._capability_statement = proxy.capability_statement
        self._proxy = proxy.application
        self._app_state = proxy.app_state
        self._app_state_path = urlsplit(settings.app_state_base() or "").path.encode()
        self._page_links = proxy.page_links
        self._exports = proxy.exports
        self._shadowed_callers = proxy.shadowed_callers
        if self._smart_server is not None:
            fhir = InternalRequests(proxy.dependencies)
            self._smart_server.open(fhir, lasting.control_client, telemetry.add_event, configuration)
        self._base_path = urlsplit(settings.public_base_url).path.encode()
        self._issuer_path = urlsplit(settings.smart_server_issuer()).path.encode() if self._smart_server else None
        self._documents = self._public_documents(proxy)
        self._other_prefixes = self._prefixes_below_base()
        routes = RecordedRoutes(NoSniff(self._build_starlette()), telemetry)
        self._starlette = self._traced(BoundedRoutes(routes, lasting.proxy.in_progress, telemetry))
        self._admin = self._build_admin(lasting)

    def drain(self) -> None:
        """Say from now on that this gateway is not ready, because it is about to stop."""
        self._health.is_draining = True

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Dispatch by the raw path: nothing is decoded before the FHIR parser sees it."""
        if self._certificate_header is not None and scope["type"] == "http":
            self._certificate_header.set_certificate(scope)
        if self._trusted_proxies is not None:
            self._trusted_proxies.set_client(scope)
        return self._application_for(scope)(scope, receive, send)

    def administer(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Respond to a request that came to the admin port, which there must be (`settings.admin`)."""
        if self._trusted_proxies is not None:
            self._trusted_proxies.set_client(scope)
        assert self._admin is not None
        return self._admin(scope, receive, send)

    def watched_parts(self, audit_log: AuditState) -> WatchedParts:
        """What the metrics read of this gateway, and of the audit log that it writes."""
        fetches: list[Mapping[tuple[str, str], int]] = [self._lasting.control_client.fetches]
        if self._smart_server is not None:
            fetches.append(self._smart_server.fetches)
        return WatchedParts(
            self.pool,
            self._page_links,
            self._resolver,
            audit_log,
            self._shadowed_callers,
            fetches,
            smart_server=self._smart_server,
            site_rules=self._settings.record_rules.load_site_rules(),
        )

    def _application_for(self, scope: Scope) -> _Endpoint:
        if scope["type"] != "http":
            return self._starlette
        path = scope["raw_path"]
        if self._app_state is not None and path.startswith(self._app_state_path):
            rest = path[len(self._app_state_path) :]
            if not rest or rest.startswith(b"/"):
                return self._app_state
        if not path.startswith(self._base_path) or (
            self._other_prefixes and (path.startswith(self._other_prefixes) or path == self._issuer_path)
        ):
            return self._starlette
        path_below_base = path[len(self._base_path) :]
        document = self._documents.get(path)
        if document is not None:
            return document
        if (
            self._smart_server is not None
            and path_below_base.startswith(_MEDPLUM_PREFIX)
            and path_below_base.endswith(_MEDPLUM_SUFFIXES)
        ):
            return self._starlette
        return self._proxy if not path_below_base or path_below_base.startswith(b"/") else self._starlette

    def _public_documents(self, proxy: Proxy) -> dict[bytes, _Endpoint]:
        """The documents below the FHIR base that are not FHIR, by their paths."""
        documents: dict[bytes, _Endpoint] = {}
        if self._settings.smart_server is not None or self._settings.authorization_server is not None:
            documents[self._base_path + b"/.well-known/smart-configuration"] = proxy.smart_configuration
        if proxy.brand_bundle is not None:
            documents[f"{self._base_path.decode()}/{BRANDS_PATH}".encode()] = proxy.brand_bundle
        return {path: self._traced(document, path.decode()) for path, document in documents.items()}

    def _traced(self, endpoint: _Endpoint, route: str | None = None) -> _Endpoint:
        """The endpoint with a span for each request, where traces are configured."""
        return endpoint if self._tracer is None else TracedRoutes(endpoint, self._tracer, route)

    def _prefixes_below_base(self) -> tuple[bytes, ...]:
        """The beginnings of paths that lie below the FHIR base but are not FHIR.

        There are some only if the base has no path, or if the issuer lies below the base.
        """
        prefixes = [] if self._base_path else [b"/healthz", b"/readyz", b"/rpc"]
        issuer = urlsplit(self._settings.smart_server_issuer()).path.encode() + b"/"
        if self._smart_server is not None and issuer.startswith(self._base_path + b"/"):
            prefixes.append(issuer)
        return tuple(prefixes)

    def _build_starlette(self) -> Starlette:
        """Everything that is not FHIR: health checks and the SMART server."""
        check_store = self._smart_server.check_store if self._smart_server is not None else None
        self._health = Health(self._check_fhir_server, check_store, self._can_audit)
        routes: list[BaseRoute] = [
            Route("/healthz", self._health.liveness),
            Route("/readyz", self._health.readiness),
        ]
        page, issuer_path = None, None
        if self._smart_server is not None:
            routes += self._smart_server.routes(self._base_path.decode())
            page, issuer_path = self._smart_server.unknown_page, urlsplit(self._settings.smart_server_issuer()).path
        unknown = UnknownPath(self._settings.public_base_url, issuer_path, page)
        starlette = Starlette(
            routes=routes, lifespan=self._lifespan, exception_handlers={HTTPException: unknown.respond}
        )
        # A redirect that adds a slash would make the browser send a form a second time (edge case 22).
        starlette.router.redirect_slashes = False
        return starlette

    def _build_admin(self, lasting: LastingParts) -> ASGIApplication | None:
        """The application of the admin port, where there is one."""
        if lasting.admin is None or self._smart_server is None:
            return None
        # Imported here, because without an admin port nobody needs it.
        from gateway.admin.build import build_admin_application  # noqa: PLC0415
        from gateway.admin.health import HealthChecks  # noqa: PLC0415

        checks = HealthChecks(self._check_fhir_server, self._smart_server.check_store)
        dependencies = self._smart_server.dependencies
        return build_admin_application(self._settings, dependencies, lasting.admin, checks, self._can_audit)

    def _can_audit(self) -> bool:
        """Whether requests are served as far as their AuditEvents are concerned."""
        return not self._telemetry.refuses_requests

    async def _check_fhir_server(self) -> str:
        """Read the CapabilityStatement, which is cached for a while. Raises `RequestRefused`.

        Returns what is unusual about the FHIR server.
        """
        await self._capability_statement.respond(UpstreamTrace(b"readyz"), time.time())
        return self._capability_statement.warning

    async def _wait_for_capability_statement(self) -> None:
        """Read the CapabilityStatement at start, and retry until it is known: no search is counted before that."""
        while True:
            try:
                await self._capability_statement.respond(UpstreamTrace(b"start"), time.time())
                return
            except RequestRefused as refused:
                # A FHIR version that is not supported is logged where it is found.
                if refused.deny.reason is not Reason.UPSTREAM_VERSION_UNSUPPORTED:
                    _log.warning("the FHIR server does not answer yet", extra={"reason": refused.deny.reason.value})
            await asyncio.sleep(_STATEMENT_RETRY)

    async def prepare(self) -> None:
        """Read what is needed to take the place of another gateway. Raises `StoreUnavailableError`.

        A FHIR server that does not answer is waited for after `start`.
        """
        if self._smart_server is not None:
            await self._smart_server.prepare()
        with contextlib.suppress(RequestRefused):
            await self._check_fhir_server()

    async def start(self, replaced: "Gateway | None" = None) -> None:
        """Start the tasks in the background. `replaced` is the gateway whose place this one has taken, if any."""
        self._lasting.proxy.in_progress.limits = progress_limits(self._settings.overload)
        self._tasks.append(asyncio.create_task(self._wait_for_capability_statement()))
        if replaced is not None:
            self._continue_counts(replaced)
        if self._smart_server is not None:
            previous = None if replaced is None else replaced._settings.smart_server
            forget = self._resolver.forget_ended
            self._tasks += await self._smart_server.start_background_tasks(forget, previous)

    def _continue_counts(self, replaced: "Gateway") -> None:
        """Go on from the counts of another gateway, so that no counter falls."""
        self._page_links.continue_counts(replaced._page_links)
        if self.pool is not replaced.pool:
            self.pool.opened_total += replaced.pool.opened_total

    async def aclose(self) -> None:
        """Stop the tasks, and close what no other gateway uses. No request may be in progress."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._capability_statement.aclose()
        await self._lasting.connections.give_back(self._connections)
        await self._exports.aclose()
        if self._tracer is not None:
            await self._lasting.span_exports.give_back(self._tracer.export)
        if self._owned is not None:
            await self._owned.aclose()

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await self.start()
        try:
            yield
        finally:
            await self.aclose()


def _build_smart_server(settings: Settings, lasting: LastingParts) -> "SmartServerAssembly | None":
    """The SMART server, where one is configured."""
    if lasting.smart_server is None:
        return None
    # Imported here, because its pages, its store and their libraries take 11 MB of memory.
    from gateway.smart_server.assembly import SmartServerAssembly  # noqa: PLC0415

    return SmartServerAssembly(settings, lasting.smart_server)
