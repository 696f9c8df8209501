"""A FHIR server whose bulk export a test writes down: the answers of its job, and the files."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from gateway.asgi.types import Receive, Scope, Send
from tests.proxy.running_gateway import RunningGateway, serve_on
from tests.servers.ports import free_port

NDJSON = "application/fhir+ndjson"
INSTANT = "2026-02-03T04:05:06.789Z"
_DEFINITION = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"
OPERATION = {"name": "export", "definition": _DEFINITION}
STATEMENT = {
    "resourceType": "CapabilityStatement",
    "rest": [
        {
            "mode": "server",
            "operation": [OPERATION, {"name": "import", "definition": f"{_DEFINITION}-not"}],
            "resource": [{"type": "Group", "operation": [OPERATION]}],
        }
    ],
}
KICKOFF_HEADERS = {"prefer": "respond-async", "accept": "application/fhir+json"}


@dataclass
class Answer:
    """One response. With `broken_off`, the connection ends before the body does."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    broken_off: bool = False

    def chunks(self) -> Iterable[bytes]:
        """The body in pieces. A function makes them anew for each response."""
        if callable(self.body):
            pieces: Iterable[bytes] = self.body()
            return pieces
        if isinstance(self.body, bytes):
            return [self.body]
        return [json.dumps(self.body).encode()] if isinstance(self.body, dict) else self.body


@dataclass
class ExportingServer:
    """`answers` are by method and path; `requests` are method, target, headers and body of each, in order."""

    base_url: str
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def kickoff(self) -> tuple[str, str, dict[str, str], bytes]:
        """The first request for an export."""
        return next(request for request in self.requests if "$export" in request[1])

    def complete(self, manifest: Mapping[str, Any]) -> None:
        """Let the job be complete, with these members of its manifest."""
        members = {"transactionTime": INSTANT, "request": f"{self.base_url}/$export", "requiresAccessToken": False}
        body = {**members, "output": [], "error": [], **manifest}
        self.answers["GET", "jobs/1"] = Answer(200, body, {"content-type": "application/json"})

    def file(self, name: str, lines: Any, **headers: str) -> str:
        """Put a file there, and return its URL."""
        body = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
        self.answers["GET", f"files/{name}"] = Answer(200, body, {"content-type": NDJSON, **headers})
        return f"{self.base_url}/files/{name}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        path, query = scope["path"].removeprefix("/fhir").strip("/"), scope["query_string"].decode("ascii")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((scope["method"], f"{path}?{query}" if query else path, headers, await _read(receive)))
        if path == "metadata":
            answer = Answer(200, STATEMENT)
        elif path.endswith("$export") and (scope["method"], path) not in self.answers:
            answer = Answer(202, b"", {"content-location": f"{self.base_url}/jobs/1"})
        else:
            answer = self.answers.get((scope["method"], path), Answer(404, {"resourceType": "OperationOutcome"}))
        fields = {"content-type": "application/fhir+json", **answer.headers}
        encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        for chunk in answer.chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if answer.broken_off:
            raise ConnectionAbortedError("as the test wants it")
        await send({"type": "http.response.body", "body": b""})


async def _read(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


@contextlib.asynccontextmanager
async def exporting_server() -> AsyncIterator[ExportingServer]:
    """A server in the running event loop."""
    port = free_port()
    server = ExportingServer(f"http://127.0.0.1:{port}/fhir")
    async with serve_on(server, port):
        yield server


async def kick_off(
    gateway: RunningGateway, path: str = "/$export", scope: str = "system/*.rs", **options: Any
) -> httpx2.Response:
    """The response to a kick-off."""
    return await gateway.request(path, scope, headers={**KICKOFF_HEADERS, **options.pop("headers", {})}, **options)


async def follow(gateway: RunningGateway, url: str, scope: str = "system/*.rs", **options: Any) -> httpx2.Response:
    """The response to a link of the gateway."""
    assert url.startswith(gateway.base_url), url
    return await gateway.request(url.removeprefix(gateway.base_url), scope, **options)


async def export(gateway: RunningGateway, path: str = "/$export", scope: str = "system/*.rs") -> dict[str, Any]:
    """The manifest of a complete export."""
    started = await kick_off(gateway, path, scope)
    assert started.status_code == 202, started.text
    status = await follow(gateway, started.headers["content-location"], scope)
    assert status.status_code == 200, status.text
    manifest: dict[str, Any] = status.json()
    return manifest


async def lines_of(gateway: RunningGateway, file: Mapping[str, Any], scope: str = "system/*.rs") -> list[Any]:
    """The lines of a file."""
    response = await follow(gateway, file["url"], scope)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == NDJSON
    return [json.loads(line) for line in response.text.splitlines()]
