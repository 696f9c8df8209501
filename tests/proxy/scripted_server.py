"""A FHIR server over real HTTP whose responses come from a function of the test, and which records its requests."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.asgi.types import Receive, Scope, Send
from tests.proxy.running_gateway import serve_on
from tests.servers.people import Resource
from tests.servers.ports import free_port

# A status, a body (a value that is encoded as JSON, or bytes), and headers that override the default ones.
ScriptedResponse = tuple[int, Any, Mapping[str, str]]
# Takes the path below the base, the query and the headers of a request.
Script = Callable[[str, str, Mapping[str, str]], ScriptedResponse]

STATEMENT: ScriptedResponse = (200, {"resourceType": "CapabilityStatement", "rest": []}, {})
ABSENT: ScriptedResponse = (404, {"resourceType": "OperationOutcome"}, {})


@dataclass
class ScriptedServer:
    """`requests` are the paths with their queries, in order. The response to `/metadata` is `STATEMENT`."""

    base_url: str
    script: Script
    requests: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        path, query = scope["path"].removeprefix("/fhir").strip("/"), scope["query_string"].decode("ascii")
        self.requests.append(f"{path}?{query}" if query else path)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status, body, more = STATEMENT if path == "metadata" else self.script(path, query, headers)
        fields = {"content-type": "application/fhir+json", **more}
        encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send(
            {"type": "http.response.body", "body": body if isinstance(body, bytes) else json.dumps(body).encode()}
        )


@contextlib.asynccontextmanager
async def scripted_server(script: Script) -> AsyncIterator[ScriptedServer]:
    """A server in the running event loop."""
    port = free_port()
    server = ScriptedServer(f"http://127.0.0.1:{port}/fhir", script)
    async with serve_on(server, port):
        yield server


def make_resource(resource_type: str, resource_id: str, /, **members: Any) -> Resource:
    """A resource."""
    return {"resourceType": resource_type, "id": resource_id, **members}


def bundle(*resources: Any, links: Mapping[str, str] | None = None, kind: str = "searchset") -> Resource:
    """A Bundle of matches; `links` by relation."""
    return {
        "resourceType": "Bundle",
        "type": kind,
        "link": [{"relation": relation, "url": url} for relation, url in (links or {}).items()],
        "entry": [{"resource": resource, "search": {"mode": "match"}} for resource in resources],
    }
