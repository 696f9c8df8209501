"""Several workers of one SMART server: real processes, one store, one public address, a port of their own each."""

import contextlib
import dataclasses
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2

from tests.servers.process import free_port, launch, leashed
from tests.smart.app import App
from tests.smart.house import House, smart_settings


@contextlib.asynccontextmanager
async def workers(upstream: str, store: str, count: int = 2) -> AsyncIterator[tuple[House, list[str]]]:
    """A house whose public address is that of the first worker, and the roots of all. `store` is a URL."""
    ports = [free_port() for _ in range(count)]
    root = f"http://127.0.0.1:{ports[0]}"
    with contextlib.ExitStack() as running:
        for port in ports:
            running.enter_context(_worker(_settings(root, port, upstream, store)))
        async with httpx2.AsyncClient(timeout=60, trust_env=False, limits=httpx2.Limits(max_connections=64)) as http:
            house = House(root, f"{root}/fhir", f"{root}/auth", http)
            yield house, [f"http://127.0.0.1:{port}" for port in ports]
            for person in house.people:
                await person.aclose()


def at(app: App, root: str) -> App:
    """The same app, which reaches another worker; what it signs still names the public address."""
    return dataclasses.replace(app, reached_at=root)


def _settings(root: str, port: int, upstream: str, store: str) -> dict[str, Any]:
    return {
        "public_base_url": f"{root}/fhir",
        "development": True,
        "listen": {"port": port},
        "metrics": {"port": None},
        "upstream": {"base_url": upstream},
        "smart_server": {**smart_settings(), "store": store},
    }


@contextlib.contextmanager
def _worker(settings: dict[str, Any]) -> Iterator[None]:
    folder = Path(tempfile.mkdtemp(prefix="worker-"))
    config = folder / "gateway.yaml"
    config.write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(config)]
    root = f"http://127.0.0.1:{settings['listen']['port']}"
    server = launch("worker", leashed(command), root, ready_path="/readyz", folder=folder)
    try:
        yield
    finally:
        server.stop()
