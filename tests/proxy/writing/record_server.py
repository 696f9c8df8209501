"""A FHIR server in memory that stores what it is sent, and honours of each request only as much as the test says."""

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from gateway.asgi.types import Receive, Scope, Send
from tests.proxy.running_gateway import serve_on
from tests.servers.people import Resource
from tests.servers.ports import free_port

Key = tuple[str, str]
Answer = tuple[int, Any, dict[str, str]]

_OUTCOME = {"resourceType": "OperationOutcome"}
_PARAMETERS = ("patient", "subject", "identifier", "category", "actor")
_DECLARED = ("Observation", "Patient", "Encounter", "Appointment", "DocumentReference", "Organization")


@dataclass(frozen=True)
class Habits:
    """What the server honours. Without any of it, each request does what its method and path say."""

    criteria: bool = True
    if_match: bool = True
    versions: bool = True
    declares_conditional_delete: bool = True
    answers_with_body: bool = True
    page_size: int | None = None


@dataclass
class RecordServer:
    """`records` are the current resources. `before_write` runs between a check of the gateway and its write.

    `before_search` runs before each search, with its query.
    """

    base_url: str
    habits: Habits
    records: dict[Key, Resource] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    before_write: Callable[[], None] | None = None
    before_search: Callable[[str], None] | None = None
    _ids: Any = field(default_factory=itertools.count)

    def put(self, resource: Resource) -> None:
        """Store a resource, as another client would."""
        self._store(resource, (resource["resourceType"], resource["id"]))

    def take_writes(self) -> list[str]:
        """The writes since the last call, as `METHOD path?query`."""
        writes = [request for request in self.requests if not request.startswith("GET")]
        self.requests.clear()
        return writes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        method, query = scope["method"], scope["query_string"].decode("ascii")
        path = scope["path"].removeprefix("/fhir").strip("/")
        self.requests.append(f"{method} {path}{'?' + query if query else ''}")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if query and method == "GET" and self.before_search is not None:
            self.before_search(query)
        if method != "GET":
            self.bodies.append(body)
            if self.before_write is not None:
                hook, self.before_write = self.before_write, None
                hook()
        status, answer, more = self._respond(method, path, query, headers, body)
        if not self.habits.answers_with_body and method != "GET":
            answer = None
        fields = {"content-type": "application/fhir+json", **more}
        encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if answer is None else json.dumps(answer).encode()})

    def _respond(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
        resource_type, _, resource_id = path.partition("/")
        key = (resource_type, resource_id)
        if path == "metadata":
            return 200, self._statement(), {}
        if method == "GET" and resource_id:
            return (200, self.records[key], {}) if key in self.records else (404, _OUTCOME, {})
        if method == "GET":
            found = self._find(resource_type, query)
            return 200, self._page(found), {}
        if method == "POST":
            return self._create(resource_type, headers, json.loads(body))
        if method == "DELETE":
            for deleted in [key] if resource_id else self._find(resource_type, query):
                self.records.pop(deleted if isinstance(deleted, tuple) else _key(deleted), None)
            return 204, None, {}
        if not self._meets(key, headers):
            return 412, _OUTCOME, {}
        is_new = key not in self.records
        return 201 if is_new else 200, self._store(json.loads(body), key), {}

    def _create(
        self, resource_type: str, headers: dict[str, str], resource: Resource
    ) -> tuple[int, Any, dict[str, str]]:
        criteria = headers.get("if-none-exist")
        found = self._find(resource_type, criteria) if criteria and self.habits.criteria else []
        if found:
            return 200, found[0], {}
        key = (resource_type, f"new-{next(self._ids)}")
        stored = self._store({**resource, "id": key[1]}, key)
        return 201, stored, {"location": f"{self.base_url}/{'/'.join(key)}/_history/1"}

    def _meets(self, key: Key, headers: dict[str, str]) -> bool:
        wanted = headers.get("if-match")
        if wanted is None or not self.habits.if_match:
            return True
        stored = self.records.get(key)
        return stored is not None and wanted == f'W/"{stored["meta"]["versionId"]}"'

    def _store(self, resource: Resource, key: Key) -> Resource:
        version = int(self.records.get(key, {}).get("meta", {}).get("versionId", 0)) + 1
        meta = {**resource.get("meta", {}), "versionId": str(version)} if self.habits.versions else {}
        self.records[key] = {**resource, "meta": meta}
        return self.records[key]

    def _find(self, resource_type: str, query: str) -> list[Resource]:
        of_type = [record for (name, _), record in self.records.items() if name == resource_type]
        if not self.habits.criteria:
            return of_type
        pairs = [(name, value) for name, value in parse_qsl(query) if name != "_count"]
        return [record for record in of_type if all(_matches(record, name, value) for name, value in pairs)]

    def _page(self, found: list[Resource]) -> Resource:
        bundle = _bundle(found[: self.habits.page_size])
        if len(bundle["entry"]) < len(found):
            bundle["link"] = [{"relation": "next", "url": f"{self.base_url}?page=2"}]
        return bundle

    def _statement(self) -> Resource:
        delete = {"conditionalDelete": "single"} if self.habits.declares_conditional_delete else {}
        parameters = [
            {"name": name, "type": "token"} for name in ("patient", "subject", "identifier", "category", "actor")
        ]
        interactions = [{"code": code} for code in ("read", "search-type", "create", "update", "delete")]
        resources = [
            {"type": name, "interaction": interactions, "searchParam": parameters, **delete} for name in _DECLARED
        ]
        rest = [{"mode": "server", "resource": resources}]
        return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": rest}


def _bundle(resources: list[Resource]) -> Resource:
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


def _key(resource: Resource) -> Key:
    return resource["resourceType"], resource["id"]


def _matches(record: Resource, name: str, value: str) -> bool:
    match name:
        case "_id":
            return bool(record["id"] in value.split(","))
        case "patient" | "subject":
            return bool(record.get("subject", {}).get("reference") in value.split(","))
        case "identifier":
            return any(f"{item['system']}|{item['value']}" == value for item in record.get("identifier", []))
        case "category":
            codings = [coding for item in record.get("category", []) for coding in item.get("coding", [])]
            return any(coding["code"] in value.split(",") for coding in codings)
        case _:
            return True


@contextlib.asynccontextmanager
async def record_server(habits: Habits = Habits()) -> AsyncIterator[RecordServer]:
    """A server in the running event loop."""
    port = free_port()
    server = RecordServer(f"http://127.0.0.1:{port}/fhir", habits)
    async with serve_on(server, port):
        yield server
