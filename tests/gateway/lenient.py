"""A server that leaves every parameter unread: it answers with all it holds, page by page, whatever was asked."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from gateway.web.answer import Receive, Scope, Send
from tests.gateway.running import served
from tests.servers.people import Resource
from tests.servers.process import free_port


@dataclass
class Lenient:
    """What it holds, and what it was asked: `METHOD path?query`, each once it came."""

    base_url: str
    resources: Sequence[Resource] = field(default=(), repr=False)
    search_parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    page_size: int = 50
    read_answer: Resource | None = None
    asked: list[str] = field(default_factory=list, repr=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        query = scope["query_string"].decode("ascii")
        path = scope["path"].removeprefix("/fhir").strip("/")
        self.asked.append(f"{scope['method']} /{path}{'?' + query if query else ''}")
        answer = self._answer(path, query)
        status = 404 if answer is None else 200
        headers = [(b"content-type", b"application/fhir+json"), (b"etag", b'W/"1"')]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer or {}).encode()})

    def _answer(self, path: str, query: str) -> Any:
        if path == "metadata":
            return self._statement()
        names = path.split("/")
        if len(names) < 2 or names[1] in {"_history", "_search"} or names[2:] == ["_history"]:
            return self._page(path, int(parse_qs(query).get("page", ["0"])[0]))
        if self.read_answer is not None:
            return self.read_answer
        return next((one for one in self.resources if [one["resourceType"], one["id"]] == names[:2]), None)

    def _page(self, path: str, number: int) -> Resource:
        first = number * self.page_size
        found = self.resources[first : first + self.page_size]
        entries = [{"fullUrl": "urn:x", "resource": one, "search": {"mode": "match"}} for one in found]
        link = [{"relation": "self", "url": f"{self.base_url}/{path}"}]
        if first + self.page_size < len(self.resources):
            link.append({"relation": "next", "url": f"{self.base_url}?page={number + 1}"})
        total = len(self.resources)
        return {"resourceType": "Bundle", "type": "searchset", "total": total, "link": link, "entry": entries}

    def _statement(self) -> Resource:
        resource = [
            {"type": name, "searchParam": [{"name": one, "type": "string"} for one in names]}
            for name, names in self.search_parameters.items()
        ]
        return {"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "resource": resource}]}


@contextlib.asynccontextmanager
async def lenient_server(*resources: Resource, **search_parameters: tuple[str, ...]) -> AsyncIterator[Lenient]:
    """One in the running event loop. `search_parameters` are what its CapabilityStatement declares, by type."""
    port = free_port()
    lenient = Lenient(f"http://127.0.0.1:{port}/fhir", resources, search_parameters)
    async with served(lenient, port):
        yield lenient
