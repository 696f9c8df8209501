"""A real gateway for tests: the whole application under uvicorn on a free port, in the test's own event loop."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from gateway.app import Gateway
from gateway.keys.development import development_key, mint, public_jwks
from gateway.settings.model import Settings
from gateway.web.witness import Record
from tests.servers.process import free_port

ISSUER = "https://issuer.example"


@dataclass
class Seen:
    """A witness that keeps what it is told."""

    records: list[Record] = field(default_factory=list)
    faults: list[Record] = field(default_factory=list)

    def see(self, record: Record) -> None:
        """Keep the record."""
        self.records.append(record)

    def fault(self, record: Record) -> None:
        """Keep it apart: no test may cause one unseen."""
        self.faults.append(record)


@dataclass
class Running:
    """A gateway, a client that speaks to it, and what its witness saw."""

    base_url: str
    client: httpx2.AsyncClient
    seen: Seen
    key_file: Path

    def token(self, scope: str, **claims: Any) -> str:
        """An access token for patient A unless `patient` says otherwise; claims of None are left out."""
        given = {
            "iss": ISSUER,
            "aud": self.base_url,
            "sub": "someone",
            "client_id": "app",
            "scope": scope,
            "patient": "pat-a",
            "exp": int(time.time()) + 600,
            **claims,
        }
        return mint(development_key(self.key_file), given)

    async def ask(
        self, path: str, scope: str | None = "patient/*.rs", *, method: str = "GET", claims: Any = None, **options: Any
    ) -> httpx2.Response:
        """One request below the base, with a token of these scopes unless `scope` is None."""
        headers = dict(options.pop("headers", {}))
        if scope is not None:
            headers.setdefault("authorization", f"Bearer {self.token(scope, **(claims or {}))}")
        return await self.client.request(method, self.base_url + path, headers=headers, **options)


@contextlib.asynccontextmanager
async def running_gateway(upstream: str, folder: Path, **settings: Any) -> AsyncIterator[Running]:
    """A gateway in front of `upstream` until the block ends. `settings` are laid over the least configuration."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}/fhir"
    key_file, jwks_file = folder / "key.json", folder / "jwks.json"
    jwks_file.write_text(json.dumps(public_jwks(development_key(key_file))), encoding="ascii")
    given = {
        "public_base_url": base_url,
        "development": True,
        "upstream": {"base_url": upstream, **settings.pop("upstream", {})},
        "issuers": [{"issuer": ISSUER, "audiences": [base_url], "jwks_file": str(jwks_file)}],
        **settings,
    }
    seen = Seen()
    gateway = Gateway(Settings.model_validate(given), seen)
    server = uvicorn.Server(
        uvicorn.Config(
            gateway, port=port, log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=2
        )
    )
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
            if serving.done():
                serving.result()
        async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
            yield Running(base_url, client, seen, key_file)
    finally:
        server.should_exit = True
        await serving
    assert not seen.faults, "the gateway answered with an error of its own"
