"""Apps that read without a pause while something happens to the gateway's pods."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2

from tests.servers.people import B_MARKER, PATIENT_A, PATIENT_B


@dataclass
class Traffic:
    """What happened to the requests: those that failed, and those that were allowed what they must not see."""

    base: str
    token: str
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    wrongly_allowed: list[str] = field(default_factory=list)
    longest_seconds: float = 0.0

    async def _send(self, client: httpx2.AsyncClient, path: str, wanted: int) -> None:
        headers = {"authorization": f"Bearer {self.token}", "accept": "application/fhir+json"}
        self.requests += 1
        started = time.monotonic()
        try:
            response = await client.get(f"{self.base}{path}", headers=headers)
        except httpx2.HTTPError as error:
            self.failures.append(f"GET {path}: {error!r}")
            return
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - started)
        if B_MARKER in response.text or (wanted != 200 and response.status_code == 200):
            self.wrongly_allowed.append(f"GET {path}: {response.status_code}")
        elif response.status_code != wanted:
            self.failures.append(f"GET {path}: {response.status_code} {response.text[:300]}")

    async def _app(self, keeps_connections: bool, stop: asyncio.Event) -> None:
        limits = httpx2.Limits(max_keepalive_connections=1 if keeps_connections else 0)
        async with httpx2.AsyncClient(timeout=30, trust_env=False, limits=limits) as client:
            while not stop.is_set():
                await self._send(client, f"/Patient/{PATIENT_A}", 200)
                await self._send(client, "/Observation?_count=5", 200)
                await self._send(client, f"/Patient/{PATIENT_B}", 404)
                # A client is busy with what it got, too; without a pause the apps would only measure the machine.
                await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def running(self, apps: int = 4) -> AsyncIterator[None]:
        """Half of the apps keep their connection, the others open one for each request."""
        stop = asyncio.Event()
        tasks = [asyncio.create_task(self._app(number % 2 == 0, stop)) for number in range(apps)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    def summary(self) -> str:
        """A line for the figures."""
        return (
            f"{self.requests} requests, {len(self.failures)} failed, {len(self.wrongly_allowed)} wrongly allowed, "
            f"the longest took {self.longest_seconds:.1f} s"
        )
