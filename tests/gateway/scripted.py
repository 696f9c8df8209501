"""A FHIR server that says what a test wants it to say, over real HTTP, and remembers what it was asked."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.web.answer import Receive, Scope, Send
from tests.gateway.running import served
from tests.servers.people import Resource
from tests.servers.process import free_port

# A status, a body (a value to be written as JSON, or bytes as they are), and headers to lay over the usual ones.
Answered = tuple[int, Any, Mapping[str, str]]
# From the path below the base, the query and the headers of a request.
Script = Callable[[str, str, Mapping[str, str]], Answered]

STATEMENT: Answered = (200, {"resourceType": "CapabilityStatement", "rest": []}, {})
ABSENT: Answered = (404, {"resourceType": "OperationOutcome"}, {})


@dataclass
class Scripted:
    """`asked` are the paths with their queries, in order; `/metadata` is answered by an empty statement."""

    base_url: str
    script: Script
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path, query = scope["path"].removeprefix("/fhir").strip("/"), scope["query_string"].decode("ascii")
        self.asked.append(f"{path}?{query}" if query else path)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status, body, more = STATEMENT if path == "metadata" else self.script(path, query, headers)
        fields = {"content-type": "application/fhir+json", **more}
        encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send(
            {"type": "http.response.body", "body": body if isinstance(body, bytes) else json.dumps(body).encode()}
        )


@contextlib.asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[Scripted]:
    """One in the running event loop."""
    port = free_port()
    server = Scripted(f"http://127.0.0.1:{port}/fhir", script)
    async with served(server, port):
        yield server


def record(resource_type: str, resource_id: str, /, **members: Any) -> Resource:
    """A resource."""
    return {"resourceType": resource_type, "id": resource_id, **members}


def bundle(*resources: Any, links: Mapping[str, str] | None = None, kind: str = "searchset") -> Resource:
    """A Bundle of matches; `links` by relation."""
    return {
        "resourceType": "Bundle",
        "type": kind,
        "link": [{"relation": relation, "url": url} for relation, url in (links or {}).items()],
        "entry": [{"resource": one, "search": {"mode": "match"}} for one in resources],
    }
