"""Runs the gateway: the public port, the metrics port and the admin port in one event loop, until it is stopped."""

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import uvicorn
import uvloop

from gateway.audit_delivery.build import AuditTrail, build_audit_trail
from gateway.commands.serving.admin_parts import build_admin_parts
from gateway.commands.serving.client_connections.build import connection_bounds
from gateway.commands.serving.client_connections.connections import ClientConnections
from gateway.commands.serving.client_connections.timed_protocol import share_connections
from gateway.commands.serving.configurations import Configurations
from gateway.commands.serving.gateway_server import GatewayServer, SecondServer
from gateway.commands.serving.http_protocol import BoundedHttpProtocol
from gateway.commands.serving.listening_sockets import open_sockets
from gateway.commands.serving.own_tls import add_admin_tls, add_tls
from gateway.commands.serving.process_parts import ProcessParts
from gateway.commands.serving.reloader import Reloader
from gateway.commands.serving.worker import Worker
from gateway.lasting_parts import LastingParts
from gateway.settings.loading.problem import dotted_path
from gateway.settings.model import Settings
from gateway.settings.warnings import find_warnings
from gateway.telemetry.audit_event_metrics import AuditEventMetrics
from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.configuration_metrics import ConfigurationMetrics
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.metrics_app import MetricsApp
from gateway.telemetry.operational_log import configure_logs
from gateway.telemetry.overload_metrics import OverloadMetrics
from gateway.telemetry.span_metrics import SpanMetrics
from gateway.telemetry.telemetry import Telemetry

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sockets:
    """What is listened on. `metrics` and `admin` are empty where there is no such port."""

    public: list[socket.socket]
    metrics: list[socket.socket]
    admin: list[socket.socket]


def open_all_sockets(settings: Settings) -> Sockets:
    """Raises `ListenError` if an address cannot be listened on."""
    public = open_sockets("listen", settings.listen.host, settings.listen.port)
    metrics, admin = settings.metrics, settings.admin
    return Sockets(
        public,
        [] if metrics.port is None else open_sockets("metrics", metrics.host, metrics.port),
        [] if admin.port is None else open_sockets("admin", admin.host, admin.port),
    )


def log_warnings(settings: Settings) -> None:
    """Log the settings that are valid and probably not meant."""
    for warning in find_warnings(settings):
        _log.warning(
            "a setting to look at again", extra={"setting": dotted_path(warning.path), "text": warning.sentence}
        )


def serve(configurations: Configurations) -> None:
    """Serve in this process until SIGINT or SIGTERM.

    Raises `ListenError` if an address cannot be listened on; then nothing has been started.
    """
    current = configurations.current
    configure_logs(current.settings.log_level, configuration=current.version)
    sockets = open_all_sockets(current.settings)
    log_warnings(current.settings)
    run_process(configurations, sockets)


def run_process(configurations: Configurations, sockets: Sockets, worker: Worker | None = None) -> None:
    """Serve until this process is to stop. `worker` is what it shares with others, if it is one of several."""
    # A second signal cancels whatever is in progress.
    with contextlib.suppress(asyncio.CancelledError):
        uvloop.run(_serve(configurations, sockets, worker))


def log_unhandled_error(_: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log an error that nobody awaits, without asyncio's message, which would quote values."""
    _log.error("an error of ours outside of any request", exc_info=context.get("exception"))


async def _serve(configurations: Configurations, sockets: Sockets, worker: Worker | None) -> None:
    asyncio.get_running_loop().set_exception_handler(log_unhandled_error)
    settings, version = configurations.current.settings, configurations.current.version
    trail = build_audit_trail(settings)
    admin = build_admin_parts(settings, worker, trail)
    metrics = Metrics()
    audit = AuditLog.from_settings(
        settings.audit, worker.audit_lock if worker else None, None if admin is None else admin.recent
    )
    telemetry = Telemetry(metrics, audit, None if trail is None else trail.log)
    lasting = LastingParts(settings, worker.paging_key if worker else None, admin)
    connections = ClientConnections(connection_bounds(settings))
    parts = ProcessParts(telemetry, ConfigurationMetrics(version), lasting, worker, connections)
    reloader = Reloader(configurations, parts)
    reloader.watch(metrics, audit)
    metrics.registry.register(OverloadMetrics(connections, lasting.proxy.in_progress))
    metrics.registry.register(SpanMetrics(lasting.span_exports.counts))
    if trail is not None:
        metrics.registry.register(AuditEventMetrics(trail.log, trail.delivery.states))
    config = _config(reloader.application, settings.listen.host, settings.listen.port, lifespan="on")
    share_connections(config, connections)
    add_tls(config, settings.listen)
    admin_config = _config(
        reloader.application.administer, settings.admin.host, settings.admin.port or 0, lifespan="off"
    )
    add_admin_tls(admin_config, settings.admin)
    public = GatewayServer(config, settings.shutdown, reloader, worker.start.commands if worker else None)
    # Objects made at start live as long as the process, so the garbage collector need not visit them.
    gc.collect()
    gc.freeze()
    addresses = {"public_base_url": settings.public_base_url, "upstream": settings.upstream.base_url}
    _log.info("serving", extra=addresses)
    try:
        async with (
            _serve_metrics(settings, metrics, sockets.metrics, worker),
            _serve_beside(admin_config, sockets.admin),
            _handed_on(trail),
        ):
            await public.serve(sockets.public)
    finally:
        telemetry.flush()
        audit.close()


def _handed_on(trail: AuditTrail | None) -> contextlib.AbstractAsyncContextManager[None]:
    """AuditEvents are handed on in the background, where there are any."""
    return contextlib.nullcontext() if trail is None else trail.delivery.running()


@contextlib.asynccontextmanager
async def _serve_metrics(
    settings: Settings, metrics: Metrics, sockets: list[socket.socket], worker: Worker | None
) -> AsyncIterator[None]:
    """Serve the metrics of this process, or the sum over all workers."""
    if not sockets:
        yield
        return
    async with contextlib.AsyncExitStack() as stack:
        exposition = await stack.enter_async_context(worker.share(metrics)) if worker is not None else metrics
        config = _config(MetricsApp(exposition), settings.metrics.host, settings.metrics.port or 0, lifespan="off")
        async with _serve_beside(config, sockets):
            yield


@contextlib.asynccontextmanager
async def _serve_beside(config: uvicorn.Config, sockets: list[socket.socket]) -> AsyncIterator[None]:
    """Serve on another port as long as this lasts; without a socket, nothing."""
    if not sockets:
        yield
        return
    server = SecondServer(config)
    serving = asyncio.create_task(server.serve(sockets))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _config(app: Any, host: str, port: int, *, lifespan: Literal["on", "off"]) -> uvicorn.Config:
    """uvloop and httptools. There is no access log, because the audit line records requests (performance.md rule 2).

    uvicorn reads no proxy headers. Published addresses come from the configuration alone (checklist G-8), and the
    client's address from `listen.trusted_proxies`.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=BoundedHttpProtocol,
        interface="asgi3",
        ws="none",
        lifespan=lifespan,
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )
