"""A FHIR server in memory with versions, histories and operations, beside all that one of Binaries has."""

import asyncio
import contextlib
import copy
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from gateway.asgi.types import Receive, Scope, Send
from tests.proxy.bundles.transaction_server import HONEST
from tests.proxy.running_gateway import serve_on
from tests.proxy.writing.binary_server import BinaryServer
from tests.proxy.writing.record_server import Answer, Habits, Key
from tests.servers.people import Resource
from tests.servers.ports import free_port

_OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "information", "code": "informational"}]}


@dataclass
class VersionedServer(BinaryServer):
    """`versions` are all versions of each resource, None for a deletion. `pauses` are turns of the event loop."""

    versions: dict[Key, list[Resource | None]] = field(default_factory=dict)
    pauses: list[int] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request, after the pause that is next."""
        for _ in range(self.pauses.pop(0) if self.pauses else 0):
            await asyncio.sleep(0)
        await super().__call__(scope, receive, send)

    def clear(self) -> None:
        """Forget everything."""
        self.records.clear()
        self.versions.clear()
        self.requests.clear()
        self.bodies.clear()
        self.transactions.clear()
        self.dates.clear()

    def _respond(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = path.split("/")
        if parts[-1] == "_history":
            return 200, self._history(parts), {}
        if len(parts) == 4 and parts[2] == "_history":
            return self._version((parts[0], parts[1]), parts[3])
        if parts[-1] == "$everything":
            return 200, self._everything(parts[1]), {}
        if parts[-1] == "$validate":
            return 200, _OUTCOME, {}
        before, versions = dict(self.records), copy.deepcopy(self.versions) if path == "" else {}
        status, answer, more = super()._respond(method, path, query, headers, body)
        if path == "" and status >= 300:
            self.versions = versions
        for key in before.keys() - self.records.keys():
            self.versions[key].append(None)
        return status, answer, more

    def _store(self, resource: Resource, key: Key) -> Resource:
        known = self.versions.setdefault(key, [])
        stored = super()._store(resource, key)
        stored["meta"]["versionId"] = str(len(known) + 1)
        known.append(stored)
        return stored

    def _version(self, key: Key, version_id: str) -> Answer:
        known = self.versions.get(key, [])
        found = known[int(version_id) - 1] if 0 < int(version_id) <= len(known) else None
        return (404, _OUTCOME, {}) if found is None else (200, found, {})

    def _history(self, parts: list[str]) -> Resource:
        keys = [key for key in self.versions if key[0] == parts[0] and (len(parts) == 2 or key[1] == parts[1])]
        entries = [_history_entry(key, version) for key in keys for version in reversed(self.versions[key])]
        return {"resourceType": "Bundle", "type": "history", "entry": entries}

    def _everything(self, patient: str) -> Resource:
        names = f'"Patient/{patient}"'
        found = [record for record in self.records.values() if names in json.dumps(record) or not self.habits.criteria]
        entries: list[Any] = [{"resource": record, "search": {"mode": "match"}} for record in found]
        return {"resourceType": "Bundle", "type": "searchset", "entry": entries}

    def _statement(self) -> Resource:
        statement = super()._statement()
        for resource in statement["rest"][0]["resource"]:
            resource["interaction"] += [{"code": "vread"}, {"code": "history-instance"}, {"code": "history-type"}]
        return statement


def _history_entry(key: Key, version: Resource | None) -> Resource:
    url = f"{key[0]}/{key[1]}"
    if version is None:
        return {"fullUrl": url, "request": {"method": "DELETE", "url": url}, "response": {"status": "204"}}
    return {"resource": version, "request": {"method": "PUT", "url": url}, "response": {"status": "200"}}


@contextlib.asynccontextmanager
async def versioned_server(habits: Habits = HONEST) -> AsyncIterator[VersionedServer]:
    """A server in the running event loop."""
    port = free_port()
    server = VersionedServer(f"http://127.0.0.1:{port}/fhir", habits)
    async with serve_on(server, port):
        yield server
