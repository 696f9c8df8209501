"""The gateway that docs/keycloak.md configures, running in front of a FHIR server."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2

from tests.gateway.running import Running, running_gateway
from tests.keycloak.document import configured


class Front:
    """The running gateway, asked with tokens that Keycloak made."""

    def __init__(self, running: Running) -> None:
        """`running` was configured by the page."""
        self._running = running

    async def ask(self, path: str, token: str) -> httpx2.Response:
        """One GET below the base."""
        return await self._running.ask(path, None, headers={"authorization": f"Bearer {token}"})

    async def observations(self, token: str) -> set[str]:
        """The ids of the Observations that a search without any parameter shows this token."""
        answer = await self.ask("/Observation", token)
        assert answer.status_code == 200, answer.text
        found = [entry["resource"] for entry in answer.json().get("entry", ())]
        return {one["id"] for one in found if one["resourceType"] == "Observation"}


@contextlib.asynccontextmanager
async def fronting(
    name: str, upstream: str, folder: Path, *, issuer: str, secret: str = "", **changes: Any
) -> AsyncIterator[Front]:
    """The gateway of the YAML block `name`, until the block ends. `changes` are laid over its settings."""
    settings = configured(name, folder, issuer=issuer, secret=secret)
    told = {name: getattr(settings, name) for name in ("issuers", "token_cache", "authorization_server")}
    async with running_gateway(upstream, folder, **{**told, **changes}) as running:
        yield Front(running)
