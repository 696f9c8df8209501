"""A real gateway for tests: the whole application under uvicorn on a free port, in the event loop of the test."""

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
from gateway.asgi.types import Message, Receive, Scope, Send
from gateway.commands.serving.http_protocol import BoundedHttpProtocol
from gateway.credentials.development_key import load_or_create_key, public_jwks, sign_access_token
from gateway.settings.model import Settings
from gateway.telemetry.audit_events.event_log import AuditEventLog
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.server_event import ServerEvent
from gateway.telemetry.telemetry import Telemetry
from tests.servers.ports import free_port

ISSUER = "https://issuer.example"

ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass
class CollectedTelemetry(Telemetry):
    """Telemetry that collects its records in lists."""

    records: list[RequestRecord] = field(default_factory=list, repr=False)
    faults: list[RequestRecord] = field(default_factory=list, repr=False)
    events: list[ServerEvent] = field(default_factory=list, repr=False)
    _audit_events: AuditEventLog | None = None

    def add_request(self, record: RequestRecord) -> None:
        """Collect the record."""
        self.records.append(record)

    def add_event(self, event: ServerEvent) -> None:
        """Collect the event."""
        self.events.append(event)

    def log_fault(self, record: RequestRecord) -> None:
        """Collect the fault, so that no test causes one unnoticed."""
        self.faults.append(record)


@dataclass
class RunningGateway:
    """A gateway, an HTTP client for it, and the telemetry that it collected."""

    base_url: str
    client: httpx2.AsyncClient
    telemetry: CollectedTelemetry
    key_file: Path
    local_gateway: Gateway | None = None

    @property
    def gateway(self) -> Gateway:
        """The gateway itself, which runs in this process."""
        assert self.local_gateway is not None
        return self.local_gateway

    def token(self, scope: str, **claims: Any) -> str:
        """An access token for patient A, unless `patient` is given; claims with the value None are omitted."""
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
        return sign_access_token(load_or_create_key(self.key_file), given)

    async def request(
        self, path: str, scope: str | None = "patient/*.rs", *, method: str = "GET", claims: Any = None, **options: Any
    ) -> httpx2.Response:
        """One request below the base, with a token of these scopes unless `scope` is None."""
        headers = dict(options.pop("headers", {}))
        if scope is not None:
            headers.setdefault("authorization", f"Bearer {self.token(scope, **(claims or {}))}")
        return await self.client.request(method, self.base_url + path, headers=headers, **options)

    async def send_raw(self, target: str, token: str | None = None, *lines: str) -> httpx2.Response:
        """A GET whose request target and header lines are sent byte for byte as given, without an HTTP client."""
        parts = urlsplit(self.base_url)
        host = [] if any(line.lower().startswith("host:") for line in lines) else [f"Host: {parts.netloc}"]
        authorization = [f"Authorization: Bearer {token}"] if token is not None else []
        head = [f"GET {target} HTTP/1.1", *host, *authorization, *lines, "Connection: close", "", ""]
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write("\r\n".join(head).encode("latin-1"))
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        return _parse_response(received)


def _parse_response(received: bytes) -> httpx2.Response:
    head, _, body = received.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    end_to_end = [(name, value) for name, value in headers if name.lower() not in {"connection", "transfer-encoding"}]
    return httpx2.Response(int(status.split(" ")[1]), headers=end_to_end, content=body)


@contextlib.asynccontextmanager
async def running_gateway(
    upstream: str, folder: Path, /, *, audit_events: AuditEventLog | None = None, **settings: Any
) -> AsyncIterator[RunningGateway]:
    """A gateway in front of `upstream` until the block ends. `settings` override the minimal configuration."""
    async with running_gateways({"": upstream}, folder, audit_events=audit_events, **settings) as gateways:
        yield gateways[""]


@contextlib.asynccontextmanager
async def running_gateways(
    upstreams: Mapping[str, str], folder: Path, *, audit_events: AuditEventLog | None = None, **settings: Any
) -> AsyncIterator[dict[str, RunningGateway]]:
    """A gateway in front of each upstream, all on one port; the path of each begins with the upstream's name."""
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    key_file, jwks_file = folder / "key.json", folder / "jwks.json"
    jwks_file.write_text(json.dumps(public_jwks(load_or_create_key(key_file))), encoding="ascii")
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx2.AsyncClient(timeout=30, trust_env=False))
        dispatcher, gateways = _Dispatcher(), {}
        for name, upstream in upstreams.items():
            base_url = f"{root}/{name}/fhir" if name else f"{root}/fhir"
            telemetry = CollectedTelemetry(_audit_events=audit_events)
            gateways[name] = RunningGateway(base_url, client, telemetry, key_file)
            gateway = Gateway(_settings(base_url, upstream, jwks_file, settings), gateways[name].telemetry)
            gateways[name].local_gateway = gateway
            dispatcher.gateways[name.encode() or b"fhir"] = gateway
            await stack.enter_async_context(run_lifespan(gateway))
        await stack.enter_async_context(serve_on(dispatcher, port))
        yield gateways
    for name, running in gateways.items():
        assert not running.telemetry.faults, f"the gateway {name} failed with an internal error"


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


class _Dispatcher:
    """Passes each request to the gateway that is named by the first segment of its path."""

    def __init__(self) -> None:
        self.gateways: dict[bytes, Gateway] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["raw_path"].lstrip(b"/").partition(b"/")[0]
        gateway = self.gateways.get(name) or next(iter(self.gateways.values()))
        await gateway(scope, receive, send)


@contextlib.asynccontextmanager
async def run_lifespan(gateway: Gateway) -> AsyncIterator[None]:
    """The gateway between its startup and its shutdown, by the ASGI lifespan protocol."""
    received: asyncio.Queue[Message] = asyncio.Queue()
    sent: asyncio.Queue[Message] = asyncio.Queue()
    lifespan = asyncio.create_task(gateway({"type": "lifespan", "state": {}}, received.get, sent.put))
    try:
        for event in ("startup", "shutdown"):
            await received.put({"type": f"lifespan.{event}"})
            message = await sent.get()
            assert message["type"] == f"lifespan.{event}.complete", message
            if event == "startup":
                yield
    except BaseException:
        lifespan.cancel()
        await asyncio.wait([lifespan])
        raise
    await lifespan


@contextlib.asynccontextmanager
async def serve_on(application: ASGIApplication, port: int) -> AsyncIterator[None]:
    """Serves the application on a port of the loopback interface until the block ends."""
    config = uvicorn.Config(
        application,
        port=port,
        http=BoundedHttpProtocol,
        interface="asgi3",
        # As `serve` has it. By default uvicorn believes proxy headers from this machine.
        proxy_headers=False,
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
