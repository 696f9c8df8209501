"""Start the hostile server: in a process of its own, or inside a test's event loop."""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.servers.hostile.modes import Mode
from tests.servers.hostile.server import HostileServer
from tests.servers.ports import free_port
from tests.servers.process import Server, start_process


@dataclass(frozen=True, slots=True)
class RunningHostile:
    """A running hostile server: `base(mode)` is a FHIR base that misbehaves in that way."""

    root: str

    def base(self, mode: Mode) -> str:
        """The FHIR base URL of the mode."""
        return f"{self.root}/{mode}/fhir"

    def requests(self) -> list[dict[str, Any]]:
        """The requests since the start or `clear_requests`, oldest first: connection, method, target, headers, body."""
        recorded: list[dict[str, Any]] = httpx2.get(f"{self.root}/_requests", trust_env=False).json()
        return recorded

    def clear_requests(self) -> None:
        """Clear the recorded requests."""
        httpx2.delete(f"{self.root}/_requests", trust_env=False)


@dataclass(frozen=True, slots=True)
class HostileProcess(RunningHostile):
    """A hostile server in a process of its own; a context manager that stops it."""

    server: Server

    def stop(self) -> None:
        """End it."""
        self.server.stop()

    def __enter__(self) -> HostileProcess:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


@dataclass(frozen=True, slots=True)
class HostileInLoop(RunningHostile):
    """A hostile server in this process, whose requests are read directly, so that nothing blocks the event loop."""

    server: HostileServer

    def requests(self) -> list[dict[str, Any]]:
        """The requests since the start or `clear_requests`, oldest first."""
        return self.server.requests

    def clear_requests(self) -> None:
        """Clear the recorded requests."""
        self.server.clear_requests()


def start_hostile(port: int | None = None) -> HostileProcess:
    """Start it on a loopback port, a free one by default."""
    port = port or free_port()
    root = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tests.servers.hostile", "--port", str(port)]
    return HostileProcess(root, start_process("hostile", command, root, ready_path=f"/{Mode.HONEST}/fhir/metadata"))


@asynccontextmanager
async def hostile_in_loop() -> AsyncIterator[HostileInLoop]:
    """The same server inside the running event loop."""
    hostile = HostileServer()
    server = await asyncio.start_server(hostile.serve_connection, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield HostileInLoop(f"http://{host}:{port}", hostile)
    finally:
        server.close()
        await hostile.close()


def main() -> None:
    """Serve until standard input closes; the first line is the root URL."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.hostile", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(_serve(parser.parse_args().port))


async def _serve(port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_follow_standard_input, args=(loop, stop), daemon=True).start()
    server = await asyncio.start_server(HostileServer().serve_connection, "127.0.0.1", port)
    host, bound = server.sockets[0].getsockname()[:2]
    print(f"http://{host}:{bound}", flush=True)  # noqa: T201
    await stop.wait()


def _follow_standard_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(stop.set)
