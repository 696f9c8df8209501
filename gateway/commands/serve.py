"""Run the gateway: the public port and the metrics port in one event loop, until told to stop."""

import asyncio
import contextlib
from collections.abc import Generator

import uvicorn
import uvloop

from gateway.app import Gateway
from gateway.settings.model import Settings
from gateway.telemetry.metrics import MetricsApp


class _SideServer(uvicorn.Server):
    """A second server in the same loop: it leaves signals to the first and stops with it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Nothing is captured."""
        yield


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; then answer what is under way, and end."""
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    gateway = Gateway(settings)
    public = uvicorn.Server(_config(gateway, settings.listen.host, settings.listen.port))
    if settings.metrics.port is None:
        await public.serve()
        return
    side = _SideServer(
        _config(MetricsApp(gateway.metrics), settings.metrics.host, settings.metrics.port, lifespan="off")
    )
    beside = asyncio.create_task(side.serve())
    try:
        await public.serve()
    finally:
        side.should_exit = True
        await beside


def _config(app: object, host: str, port: int, lifespan: str = "on") -> uvicorn.Config:
    """uvloop and httptools, no access log: the audit line is our record (performance.md rule 2).

    Proxy headers are not trusted: addresses come from the configuration alone (checklist G-8).
    """
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan=lifespan,  # type: ignore[arg-type]
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )
