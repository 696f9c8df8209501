"""A real server as the oracle sets it up and looks at it: each example has records of its own beside all others."""

from typing import Any

from tests.proxy.oracle.resources import SYSTEM, Names
from tests.real_servers.gateway_requests import Gateways
from tests.servers.people import Resource

_HEADERS = {"content-type": "application/fhir+json", "accept": "application/fhir+json", "cache-control": "no-cache"}


class RealStore:
    """What it makes stays until `clear`: other tests count the records of the same patients."""

    ignores_criteria = False

    def __init__(self, gateways: Gateways) -> None:
        self._client = gateways.by_reach["full"].client
        self._base_url = gateways.base_url
        self._examples: dict[str, Names] = {}

    async def load(self, resources: list[Resource]) -> None:
        """Hold these records, too. What others refer to comes first."""
        for resource in sorted(resources, key=lambda one: str(one["resourceType"])):
            path = f"{resource['resourceType']}/{resource['id']}"
            response = await self._client.put(f"{self._base_url}/{path}", json=resource, headers=_HEADERS)
            assert response.status_code in {200, 201}, response.text

    async def version_of(self, resource_type: str, resource_id: str) -> str | None:
        """The current version."""
        response = await self._client.get(f"{self._base_url}/{resource_type}/{resource_id}", headers=_HEADERS)
        return str(response.json()["meta"]["versionId"]) if response.status_code == 200 else None

    def pause(self, pauses: list[int]) -> None:
        """It takes the time that it takes."""

    async def list_records(self, names: Names) -> list[Resource]:
        """All Observations and Encounters of the example."""
        self._examples[names.prefix] = names
        system = f"{SYSTEM}{names.prefix}"
        found = list[Any]()
        for resource_type in ("Observation", "Encounter"):
            query = {"identifier": ",".join(f"{system}|{value}" for value in "123"), "_count": "50"}
            url = f"{self._base_url}/{resource_type}"
            page = (await self._client.get(url, params=query, headers=_HEADERS)).json()
            found += [entry["resource"] for entry in page.get("entry", [])]
        return found

    async def clear(self) -> None:
        """Delete the records of all examples. Observations refer to Encounters, and go first."""
        for names in tuple(self._examples.values()):
            for resource in await self.list_records(names):
                path = f"{resource['resourceType']}/{resource['id']}"
                response = await self._client.delete(f"{self._base_url}/{path}", headers=_HEADERS)
                assert response.status_code in {200, 204}, response.text
