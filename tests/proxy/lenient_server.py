"""A server that ignores all parameters: it responds to every search with all its resources, page by page."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from gateway.asgi.types import Receive, Scope, Send
from tests.proxy.running_gateway import serve_on
from tests.servers.people import Resource
from tests.servers.ports import free_port


@dataclass
class LenientServer:
    """Its `resources`, and the `requests` that it received, as `METHOD path?query`."""

    base_url: str
    resources: Sequence[Resource] = field(default=(), repr=False)
    search_parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    page_size: int = 50
    read_response: Resource | None = None
    requests: list[str] = field(default_factory=list, repr=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        query = scope["query_string"].decode("ascii")
        path = scope["path"].removeprefix("/fhir").strip("/")
        self.requests.append(f"{scope['method']} /{path}{'?' + query if query else ''}")
        response = self._find(path, query)
        status = 404 if response is None else 200
        headers = [(b"content-type", b"application/fhir+json"), (b"etag", b'W/"1"')]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(response or {}).encode()})

    def _find(self, path: str, query: str) -> Any:
        if path == "metadata":
            return self._statement()
        names = path.split("/")
        if len(names) < 2 or names[1] in {"_history", "_search"} or names[-1][0] in "$_":
            return self._page(path, int(parse_qs(query).get("page", ["0"])[0]))
        if self.read_response is not None:
            return self.read_response
        return next(
            (resource for resource in self.resources if [resource["resourceType"], resource["id"]] == names[:2]), None
        )

    def _page(self, path: str, number: int) -> Resource:
        first = number * self.page_size
        page = self.resources[first : first + self.page_size]
        entries = [{"fullUrl": "urn:x", "resource": resource, "search": {"mode": "match"}} for resource in page]
        link = [{"relation": "self", "url": f"{self.base_url}/{path}"}]
        if first + self.page_size < len(self.resources):
            link.append({"relation": "next", "url": f"{self.base_url}?page={number + 1}"})
        total = len(self.resources)
        return {"resourceType": "Bundle", "type": "searchset", "total": total, "link": link, "entry": entries}

    def _statement(self) -> Resource:
        resource = [
            {"type": name, "searchParam": [{"name": parameter, "type": "string"} for parameter in names]}
            for name, names in self.search_parameters.items()
        ]
        return {"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "resource": resource}]}


@contextlib.asynccontextmanager
async def lenient_server(*resources: Resource, **search_parameters: tuple[str, ...]) -> AsyncIterator[LenientServer]:
    """A server in the running event loop, whose CapabilityStatement declares `search_parameters` by type."""
    port = free_port()
    lenient = LenientServer(f"http://127.0.0.1:{port}/fhir", resources, search_parameters)
    async with serve_on(lenient, port):
        yield lenient
