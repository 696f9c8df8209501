"""The server in memory as the oracle sets it up and looks at it."""

from tests.proxy.oracle.resources import Names
from tests.proxy.oracle.versioned_server import VersionedServer
from tests.servers.people import Resource


class MemoryStore:
    """Each example has it for itself."""

    def __init__(self, server: VersionedServer) -> None:
        self._server = server
        self.ignores_criteria = not server.habits.criteria

    async def load(self, resources: list[Resource]) -> None:
        """Hold these records alone."""
        self._server.clear()
        for patient in ("pat-a", "pat-b"):
            self._server.put({"resourceType": "Patient", "id": patient, "name": [{"family": patient}]})
        for resource in resources:
            self._server.put(resource)

    async def version_of(self, resource_type: str, resource_id: str) -> str | None:
        """The current version."""
        stored = self._server.records.get((resource_type, resource_id))
        return None if stored is None else stored["meta"]["versionId"]

    def pause(self, pauses: list[int]) -> None:
        """Let others go on for so many turns of the event loop before each of the next requests is carried out."""
        self._server.pauses = [*pauses]

    async def list_records(self, names: Names) -> list[Resource]:
        """All records but the patients."""
        return [record for record in self._server.records.values() if record["resourceType"] != "Patient"]
