"""A FHIR server in memory that knows transactions, and does of each only as much as the test says."""

import contextlib
import copy
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.proxy.running_gateway import serve_on
from tests.proxy.writing.record_server import Answer, Habits, RecordServer
from tests.servers.people import Resource
from tests.servers.ports import free_port

HONEST = Habits()
_OUTCOME = {"resourceType": "OperationOutcome"}


@dataclass
class TransactionServer(RecordServer):
    """`change_answer` may change the entries of each answer."""

    change_answer: Callable[[list[Any]], list[Any]] | None = None
    transactions: list[Resource] = field(default_factory=list)

    def _respond(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
        if (method, path) != ("POST", ""):
            return super()._respond(method, path, query, headers, body)
        bundle = json.loads(body)
        self.transactions.append(bundle)
        before = copy.deepcopy(self.records)
        entries, names = [], dict[str, str]()
        # Two entries may be equal, so that each keeps its index.
        for index, entry in sorted(enumerate(bundle["entry"]), key=_processing_order):
            status, stored, more = self._carry_out(entry, names)
            if status >= 300:
                self.records.clear()
                self.records.update(before)
                return status, _OUTCOME, {}
            entries.append((index, status, stored, more))
        self._resolve(names)
        answers = [self._answer(*one) for one in sorted(entries, key=lambda one: one[0])]
        if self.change_answer is not None:
            answers = self.change_answer(answers)
        return 200, {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}, {}

    def _carry_out(self, entry: Resource, names: dict[str, str]) -> Answer:
        request = entry["request"]
        path, _, query = request["url"].partition("?")
        headers = {
            header: request[name]
            for name, header in (("ifMatch", "if-match"), ("ifNoneExist", "if-none-exist"))
            if name in request
        }
        body = json.dumps(entry.get("resource")).encode()
        status, stored, more = super()._respond(request["method"], path, query, headers, body)
        if "fullUrl" in entry and stored:
            names[entry["fullUrl"]] = f"{stored['resourceType']}/{stored['id']}"
        return status, stored, more

    def _resolve(self, names: dict[str, str]) -> None:
        for key, record in self.records.items():
            text = json.dumps(record)
            for name, reference in names.items():
                text = text.replace(f'"{name}"', f'"{reference}"')
            self.records[key] = json.loads(text)

    def _answer(self, _: int, status: int, stored: Any, more: dict[str, str]) -> Resource:
        response = {"status": f"{status} x", **({"location": more["location"]} if "location" in more else {})}
        current = self.records.get((stored["resourceType"], stored["id"])) if stored else None
        return {"response": response, **({"resource": current} if current else {})}


def _processing_order(indexed: tuple[int, Any]) -> int:
    """The order in which a transaction is carried out (R4 http.html 3.1.0.11.2)."""
    return ["DELETE", "POST", "PUT"].index(indexed[1]["request"]["method"])


@contextlib.asynccontextmanager
async def transaction_server(habits: Habits = HONEST) -> AsyncIterator[TransactionServer]:
    """A server in the running event loop."""
    port = free_port()
    server = TransactionServer(f"http://127.0.0.1:{port}/fhir", habits)
    async with serve_on(server, port):
        yield server
