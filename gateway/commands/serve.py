"""Run the gateway: the public port and the metrics port in one event loop, until told to stop."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Generator, Mapping
from typing import Any, Literal

import uvicorn
import uvloop

from gateway.app import Gateway
from gateway.commands.http import BoundedHttpProtocol
from gateway.settings.model import Settings
from gateway.telemetry.audit import AuditLog
from gateway.telemetry.logs import configure_logs
from gateway.telemetry.metrics import Metrics, MetricsApp
from gateway.web.telling import Telemetry

_log = logging.getLogger(__name__)


class _SideServer(uvicorn.Server):
    """A second server in the same loop: it leaves signals to the first and stops with it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Nothing is captured."""
        yield


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; then answer what is under way, and end."""
    configure_logs(settings.log_level)
    # uvicorn raises the signal again once it has stopped; by then everything is closed.
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(settings))


def error_outside_of_requests(_: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log what asyncio says of an error that nobody waits for, without the values that its own words would quote."""
    _log.error("an error of ours outside of any request", exc_info=context.get("exception"))


async def _serve(settings: Settings) -> None:
    asyncio.get_running_loop().set_exception_handler(error_outside_of_requests)
    metrics, audit = Metrics(), AuditLog.from_settings(settings.audit)
    metrics.watch_audit(audit)
    telemetry = Telemetry(metrics, audit)
    gateway = Gateway(settings, telemetry)
    metrics.watch_pool(gateway.pool)
    public = uvicorn.Server(_config(gateway, settings.listen.host, settings.listen.port, lifespan="on"))
    side = None
    if settings.metrics.port is not None:
        side = _SideServer(_config(MetricsApp(metrics), settings.metrics.host, settings.metrics.port, lifespan="off"))
    beside = asyncio.create_task(side.serve()) if side is not None else None
    # What is made at start stays: collections need not walk through it again and again.
    gc.collect()
    gc.freeze()
    told = {"public_base_url": settings.public_base_url, "upstream": settings.upstream.base_url}
    _log.info("serving", extra=told)
    try:
        await public.serve()
    finally:
        if side is not None and beside is not None:
            side.should_exit = True
            await beside
        telemetry.tell()
        audit.close()


def _config(app: Any, host: str, port: int, *, lifespan: Literal["on", "off"]) -> uvicorn.Config:
    """uvloop and httptools, no access log: the audit line is our record (performance.md rule 2).

    Proxy headers are not trusted: addresses come from the configuration alone (checklist G-8).
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
