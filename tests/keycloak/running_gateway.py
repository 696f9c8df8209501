"""A running gateway with the configuration of docs/keycloak.md."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2

from tests.keycloak.keycloak_document import load_documented_settings
from tests.proxy.running_gateway import RunningGateway, running_gateway


class DocumentedGateway:
    """Sends requests with tokens of Keycloak to the running gateway."""

    def __init__(self, running: RunningGateway) -> None:
        """`running` has the configuration of the page."""
        self._running = running

    async def request(self, path: str, token: str) -> httpx2.Response:
        """A GET below the FHIR base."""
        return await self._running.request(path, None, headers={"authorization": f"Bearer {token}"})

    async def observations(self, token: str) -> set[str]:
        """The ids of all Observations that this token may search."""
        answer = await self.request("/Observation", token)
        assert answer.status_code == 200, answer.text
        response = [entry["resource"] for entry in answer.json().get("entry", ())]
        return {entry["id"] for entry in response if entry["resourceType"] == "Observation"}


@contextlib.asynccontextmanager
async def run_documented_gateway(
    name: str, upstream: str, folder: Path, *, issuer: str, secret: str = "", **changes: Any
) -> AsyncIterator[DocumentedGateway]:
    """Run a gateway with the YAML block `name`. `changes` override its settings."""
    settings = load_documented_settings(name, folder, issuer=issuer, secret=secret)
    documented = {name: getattr(settings, name) for name in ("issuers", "token_cache", "authorization_server")}
    async with running_gateway(upstream, folder, **{**documented, **changes}) as running:
        yield DocumentedGateway(running)
