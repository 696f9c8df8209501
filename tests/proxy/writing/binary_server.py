"""A FHIR server in memory that has Binaries as FHIR JSON alone, knows transactions, and dates its versions."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.proxy.bundles.transaction_server import HONEST, TransactionServer
from tests.proxy.running_gateway import serve_on
from tests.proxy.writing.record_server import Habits, Key
from tests.proxy.writing.writes import observation
from tests.servers.people import Resource
from tests.servers.ports import free_port

EMPTY_PDF = "JVBERi0="


@dataclass
class BinaryServer(TransactionServer):
    """`dates` counts the versions, so that no two have the same time. `stores_as` changes what is stored."""

    dates: list[Key] = field(default_factory=list)
    stores_as: Resource = field(default_factory=dict)

    def _store(self, resource: Resource, key: Key) -> Resource:
        stored = super()._store({**resource, **self.stores_as}, key)
        self.dates.append(key)
        stored["meta"]["lastUpdated"] = f"2026-01-01T00:00:{len(self.dates) // 1000:02}.{len(self.dates) % 1000:03}Z"
        return stored

    def _find(self, resource_type: str, query: str) -> list[Resource]:
        found = super()._find(resource_type, query)
        if not self.habits.criteria:
            return found
        wanted = [pair.partition("=")[2] for pair in query.split("&") if pair.startswith("_lastUpdated=")]
        texts = [value.replace("%3A", ":") for value in wanted]
        return [one for one in found if all(one["meta"]["lastUpdated"] == text for text in texts)]

    def _statement(self) -> Resource:
        statement = super()._statement()
        listed = statement["rest"][0]["resource"]
        listed += [{**listed[0], "type": name} for name in ("Binary", "Media", "DiagnosticReport")]
        return statement


def binary(owner: str | None = "Patient/pat-a", resource_id: str | None = None, /, **elements: object) -> Resource:
    """A Binary that belongs to `owner`."""
    own_id = {} if resource_id is None else {"id": resource_id}
    context = {} if owner is None else {"securityContext": {"reference": owner}}
    return {
        "resourceType": "Binary",
        **own_id,
        "contentType": "application/pdf",
        **context,
        "data": EMPTY_PDF,
    } | elements


def document(url: str, patient: str = "pat-a", /, **elements: object) -> Resource:
    """A DocumentReference about a patient that points at a Binary."""
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": f"Patient/{patient}"},
        "content": [{"attachment": {"url": url}}],
        **elements,
    }


def fill_with_binaries(server: BinaryServer) -> None:
    """Store records and Binaries of two patients, and one Binary that is nobody's and has a document of each."""
    server.records.clear()
    for patient in ("pat-a", "pat-b"):
        letter = patient[-1]
        server.put({"resourceType": "Patient", "id": patient, "name": [{"family": letter}]})
        server.put(observation(patient, f"o-{letter}"))
        server.put({"resourceType": "Encounter", "id": f"e-{letter}", "subject": {"reference": f"Patient/{patient}"}})
        server.put(binary(f"Patient/{patient}", f"of-{letter}"))
        server.put(binary(f"Encounter/e-{letter}", f"of-visit-{letter}"))
        server.put({**document("Binary/shared", patient), "id": f"d-{letter}"})
    server.put({"resourceType": "Organization", "id": "org", "name": "clinic"})
    server.put(binary(None, "shared"))
    for seen in (server.requests, server.bodies, server.transactions):
        seen.clear()


@contextlib.asynccontextmanager
async def binary_server(habits: Habits = HONEST) -> AsyncIterator[BinaryServer]:
    """A server in the running event loop."""
    port = free_port()
    server = BinaryServer(f"http://127.0.0.1:{port}/fhir", habits)
    async with serve_on(server, port):
        yield server
