"""Several workers of one SMART server: processes with one store and one public URL, each with its own port."""

import contextlib
import dataclasses
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2

from tests.servers.ports import free_port
from tests.servers.process import start_process, with_leash
from tests.smart_server.running_server import RunningServer, smart_settings
from tests.smart_server.smart_app import App


@contextlib.asynccontextmanager
async def run_workers(
    upstream: str, store: str, count: int = 2, *, change: Callable[[dict[str, Any]], None] | None = None
) -> AsyncIterator[tuple[RunningServer, list[str]]]:
    """A server with the public URL of the first worker, and the root URLs of all.

    `store` is a URL. `change` may change the settings of each worker.
    """
    ports = [free_port() for _ in range(count)]
    root = f"http://127.0.0.1:{ports[0]}"
    with contextlib.ExitStack() as running:
        for port in ports:
            settings = _settings(root, port, upstream, store)
            if change is not None:
                change(settings)
            running.enter_context(_run_worker(settings))
        async with httpx2.AsyncClient(timeout=60, trust_env=False, limits=httpx2.Limits(max_connections=64)) as http:
            server = RunningServer(root, f"{root}/fhir", f"{root}/auth", http)
            yield server, [f"http://127.0.0.1:{port}" for port in ports]
            for person in server.people:
                await person.aclose()


def app_at(app: App, root: str) -> App:
    """The app with requests to another worker. Its assertions still name the public URL."""
    return dataclasses.replace(app, worker_url=root)


def _settings(root: str, port: int, upstream: str, store: str) -> dict[str, Any]:
    return {
        "public_base_url": f"{root}/fhir",
        "development": True,
        "listen": {"port": port, "trusted_proxies": ["127.0.0.1"]},
        "metrics": {"port": None},
        "upstream": {"base_url": upstream},
        "smart_server": {**smart_settings(), "store": store},
    }


@contextlib.contextmanager
def _run_worker(settings: dict[str, Any]) -> Iterator[None]:
    folder = Path(tempfile.mkdtemp(prefix="worker-"))
    config = folder / "gateway.yaml"
    config.write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(config)]
    root = f"http://127.0.0.1:{settings['listen']['port']}"
    server = start_process("worker", with_leash(command), root, ready_path="/readyz", folder=folder)
    try:
        yield
    finally:
        server.stop()
