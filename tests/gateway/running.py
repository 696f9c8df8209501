"""A real gateway for tests: the whole application under uvicorn on a free port, in the test's own event loop."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import uvicorn

from gateway.app import Gateway
from gateway.commands.http import BoundedHttpProtocol
from gateway.keys.development import development_key, mint, public_jwks
from gateway.settings.model import Settings
from gateway.telemetry.event import Event
from gateway.web.answer import Message, Receive, Scope, Send
from gateway.web.witness import Record
from tests.servers.process import free_port

ISSUER = "https://issuer.example"

ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass
class Seen:
    """A witness that keeps what it is told."""

    records: list[Record] = field(default_factory=list, repr=False)
    faults: list[Record] = field(default_factory=list, repr=False)
    events: list[Event] = field(default_factory=list, repr=False)

    def see(self, record: Record) -> None:
        """Keep the record."""
        self.records.append(record)

    def note(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)

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

    async def raw(self, target: str, token: str | None = None, *lines: str) -> httpx2.Response:
        """A GET whose request target and header lines leave byte for byte as given: no client cleans them up."""
        parts = urlsplit(self.base_url)
        own = [] if any(line.lower().startswith("host:") for line in lines) else [f"Host: {parts.netloc}"]
        proof = [f"Authorization: Bearer {token}"] if token is not None else []
        head = [f"GET {target} HTTP/1.1", *own, *proof, *lines, "Connection: close", "", ""]
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write("\r\n".join(head).encode("latin-1"))
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return _read_answer(answer)


def _read_answer(answer: bytes) -> httpx2.Response:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    kept = [(name, value) for name, value in headers if name.lower() not in {"connection", "transfer-encoding"}]
    return httpx2.Response(int(status.split(" ")[1]), headers=kept, content=body)


@contextlib.asynccontextmanager
async def running_gateway(upstream: str, folder: Path, /, **settings: Any) -> AsyncIterator[Running]:
    """A gateway in front of `upstream` until the block ends. `settings` are laid over the least configuration."""
    async with running_gateways({"": upstream}, folder, **settings) as gateways:
        yield gateways[""]


@contextlib.asynccontextmanager
async def running_gateways(
    upstreams: Mapping[str, str], folder: Path, **settings: Any
) -> AsyncIterator[dict[str, Running]]:
    """A gateway in front of each upstream, all on one port: each has the upstream's name in front of its path."""
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    key_file, jwks_file = folder / "key.json", folder / "jwks.json"
    jwks_file.write_text(json.dumps(public_jwks(development_key(key_file))), encoding="ascii")
    async with contextlib.AsyncExitStack() as until_the_end:
        client = await until_the_end.enter_async_context(httpx2.AsyncClient(timeout=30, trust_env=False))
        front, running = _Front(), {}
        for name, upstream in upstreams.items():
            base_url = f"{root}/{name}/fhir" if name else f"{root}/fhir"
            running[name] = one = Running(base_url, client, Seen(), key_file)
            gateway = Gateway(_settings(base_url, upstream, jwks_file, settings), one.seen)
            front.gateways[name.encode() or b"fhir"] = gateway
            await until_the_end.enter_async_context(alive(gateway))
        await until_the_end.enter_async_context(served(front, port))
        yield running
    for name, one in running.items():
        assert not one.seen.faults, f"the gateway {name} answered with an error of its own"


def _settings(base_url: str, upstream: str, jwks_file: Path, settings: Mapping[str, Any]) -> Settings:
    return Settings.model_validate(
        {
            "public_base_url": base_url,
            "development": True,
            "issuers": [{"issuer": ISSUER, "audiences": [base_url], "jwks_file": str(jwks_file)}],
            **settings,
            "upstream": {"base_url": upstream, **settings.get("upstream", {})},
        }
    )


class _Front:
    """Hands each request to the gateway that the first name in its path belongs to."""

    def __init__(self) -> None:
        self.gateways: dict[bytes, Gateway] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = scope["raw_path"].lstrip(b"/").partition(b"/")[0]
        gateway = self.gateways.get(first) or next(iter(self.gateways.values()))
        await gateway(scope, receive, send)


@contextlib.asynccontextmanager
async def alive(gateway: Gateway) -> AsyncIterator[None]:
    """The gateway between its start and its end, by the ASGI lifespan protocol."""
    told: asyncio.Queue[Message] = asyncio.Queue()
    answers: asyncio.Queue[Message] = asyncio.Queue()
    living = asyncio.create_task(gateway({"type": "lifespan", "state": {}}, told.get, answers.put))
    try:
        for word in ("startup", "shutdown"):
            await told.put({"type": f"lifespan.{word}"})
            answer = await answers.get()
            assert answer["type"] == f"lifespan.{word}.complete", answer
            if word == "startup":
                yield
    except BaseException:
        living.cancel()
        await asyncio.wait([living])
        raise
    await living


@contextlib.asynccontextmanager
async def served(application: ASGIApplication, port: int) -> AsyncIterator[None]:
    """The application on a port of the loopback interface, until the block ends."""
    config = uvicorn.Config(
        application,
        port=port,
        http=BoundedHttpProtocol,
        interface="asgi3",
        log_level="warning",
        access_log=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
            if serving.done():
                serving.result()
        yield
    finally:
        server.should_exit = True
        await serving
