"""A FHIR server over real HTTP that holds its answers until the test lets them go."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from gateway.asgi.types import Receive, Scope, Send
from tests.proxy.running_gateway import serve_on
from tests.proxy.scripted_server import STATEMENT
from tests.servers.ports import free_port


class HeldAnswers:
    """Answers everything with one Observation of patient A, which has the id that was asked for."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.arrived: asyncio.Queue[str] = asyncio.Queue()
        self._open = asyncio.Semaphore(0)
        self.in_progress = 0
        self.most_in_progress = 0
        # The CapabilityStatement as well, from when a test says so.
        self.holds_statement = False

    def let_go(self, count: int) -> None:
        """Let so many answers go, those that came first before the others."""
        for _ in range(count):
            self._open.release()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"].removeprefix("/fhir").strip("/")
        body: Any = STATEMENT[1]
        if path != "metadata" or self.holds_statement:
            self.in_progress += 1
            self.most_in_progress = max(self.in_progress, self.most_in_progress)
            self.arrived.put_nowait(path)
            await self._open.acquire()
            self.in_progress -= 1
        if path != "metadata":
            body = {
                "resourceType": "Observation",
                "id": path.rpartition("/")[2],
                "status": "final",
                "code": {"text": "weight"},
                "subject": {"reference": "Patient/pat-a"},
            }
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/fhir+json")]}
        )
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})


@contextlib.asynccontextmanager
async def held_answers() -> AsyncIterator[HeldAnswers]:
    """A server in the running event loop. At the end it lets everything go."""
    port = free_port()
    server = HeldAnswers(f"http://127.0.0.1:{port}/fhir")
    async with serve_on(server, port):
        try:
            yield server
        finally:
            server.let_go(10_000)
