"""Requests to the gateway in front of a real server, and the checks that every response must pass."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.proxy.leaked_marks import find_leaks, link_of, resources_in
from tests.proxy.running_gateway import RunningGateway
from tests.real_servers.servers_under_test import Upstream
from tests.real_servers.stored_resources import Condition, relative_url, stored_resources
from tests.servers.people import B_MARKER

MAX_PAGES = 400
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class TokenGrant:
    """The scopes and claims of a token, the gateway (`reach`) that it is sent to, and the `marks` of hidden data."""

    scope: str = "patient/*.rs"
    claims: dict[str, Any] = field(default_factory=dict)
    reach: str = "full"
    marks: tuple[str, ...] = (B_MARKER,)


A_APP = TokenGrant()
"""Patient A's app, with everything of the chart."""


@dataclass
class Gateways:
    """The gateways in front of one FHIR server, by their configuration of reach."""

    upstream: Upstream
    base_url: str
    by_reach: dict[str, RunningGateway]

    async def request(
        self, path: str, grant: TokenGrant = A_APP, *, method: str = "GET", **options: Any
    ) -> httpx2.Response:
        """Send a request. The response must have no mark, no server URL and no foreign link. `path` may be a URL."""
        gateway = self.by_reach[grant.reach]
        path = path.removeprefix(gateway.base_url)
        response = await gateway.request(path, grant.scope, method=method, claims=grant.claims, **options)
        assert find_leaks(response, grant.marks) == []
        assert self.base_url not in response.text
        assert not any(self.base_url in value for value in response.headers.values())
        assert not response.headers.keys() & {"set-cookie", "x-powered-by", "server-timing", "x-cache"}
        if response.status_code >= 400 and response.content:
            assert response.json()["resourceType"] == "OperationOutcome"
        if response.status_code == 200 and response.content and "json" in response.headers["content-type"]:
            _check_addresses(response.json(), gateway.base_url)
        return response

    async def follow_pages(self, path: str, grant: TokenGrant = A_APP, **options: Any) -> list[httpx2.Response]:
        """The response and all pages that follow it; only the response if its status is not 200."""
        responses = [await self.request(path, grant, **options)]
        while responses[-1].status_code == 200 and (following := link_of(responses[-1], "next")) is not None:
            assert len(responses) < MAX_PAGES, "the pages do not end"
            responses.append(await self.request(following, grant))
        return responses

    def expected_names(self, condition: Condition) -> set[str]:
        """`Type/id` of all resources on the server that it can find and that meet the condition."""
        return self._exclude_hard_to_find(
            relative_url(resource)
            for resource in stored_resources(absolute=self.upstream.absolute)
            if condition(resource)
        )

    def found_names(self, responses: Iterable[httpx2.Response], mode: str | None = None) -> set[str]:
        """`Type/id` of all resources in the responses, or of those with one search mode."""
        found = [relative_url(resource) for response in responses for resource in resources_in(response, mode)]
        assert len(found) == len(set(found)) or mode == "include", "a resource came twice"
        return self._exclude_hard_to_find(found)

    def narrowing_misses(self, grant: TokenGrant, responses: Iterable[httpx2.Response]) -> list[Mapping[str, int]]:
        """For each response, what narrowing should have kept out of it; without the responses where that is nothing."""
        records = {record.decision_id: record for record in self.by_reach[grant.reach].telemetry.records}
        own_records = [records[response.headers["x-decision-id"]] for response in responses]
        return [record.narrowing_misses for record in own_records if record.narrowing_misses]

    def _exclude_hard_to_find(self, names: Iterable[str]) -> set[str]:
        return {name for name in names if not name.endswith(self.upstream.hard_to_find)}

    async def upstream_put(self, resource: dict[str, Any]) -> str:
        """Write a resource directly to the server. Returns the version id."""
        response = await self._send_upstream("PUT", relative_url(resource), resource)
        assert response.status_code in {200, 201}, response.text
        version: str = (await self._send_upstream("GET", relative_url(resource))).json()["meta"]["versionId"]
        return version

    async def upstream_delete(self, name: str) -> None:
        """Delete a resource directly on the server."""
        assert (await self._send_upstream("DELETE", name)).status_code in {200, 202, 204}

    @contextlib.asynccontextmanager
    async def delete_afterwards(self, *names: str) -> AsyncIterator[None]:
        """Delete these resources at the end of a test, so that the next one does not find them."""
        try:
            yield
        finally:
            for name in names:
                await self._send_upstream("DELETE", name)

    async def _send_upstream(self, method: str, name: str, body: dict[str, Any] | None = None) -> httpx2.Response:
        client = next(iter(self.by_reach.values())).client
        headers = {"content-type": "application/fhir+json", "accept": "application/fhir+json"}
        return await client.request(method, f"{self.base_url}/{name}", json=body, headers=headers)


def _check_addresses(document: dict[str, Any], base_url: str) -> None:
    for link in document.get("link", []):
        assert link["url"].startswith(base_url), link
    if document["resourceType"] != "Bundle":
        return
    for entry in document.get("entry", []):
        if "fullUrl" in entry and "resource" in entry:
            assert entry["fullUrl"] == f"{base_url}/{relative_url(entry['resource'])}"
        assert entry.get("resource", {}).get("resourceType") != "OperationOutcome" or (
            entry["search"]["mode"] == "outcome"
        ), json.dumps(entry)
