"""Asking the gateway in front of a real server, and what must hold for every answer whatever was asked."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.gateway.marks import leaks, link_of, resources_in
from tests.gateway.running import Running
from tests.servers.people import B_MARKER
from tests.upstreams.stored import Where, literal, stored
from tests.upstreams.upstream import Upstream

MOST_PAGES = 400
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Grant:
    """Scopes and claims of a token; `reach` names the gateway, `marks` are the words that this app may not see."""

    scope: str = "patient/*.rs"
    claims: dict[str, Any] = field(default_factory=dict)
    reach: str = "full"
    marks: tuple[str, ...] = (B_MARKER,)


A = Grant()
"""Patient A's app, with everything of the chart."""


@dataclass
class Front:
    """The gateways in front of one server."""

    upstream: Upstream
    base_url: str
    gateways: dict[str, Running]

    async def ask(self, path: str, grant: Grant = A, *, method: str = "GET", **options: Any) -> httpx2.Response:
        """One answer, which carries no mark, no address of the server, and no link but ours. `path` may be a URL."""
        gateway = self.gateways[grant.reach]
        path = path.removeprefix(gateway.base_url)
        answer = await gateway.ask(path, grant.scope, method=method, claims=grant.claims, **options)
        assert leaks(answer, grant.marks) == []
        assert self.base_url not in answer.text
        assert not any(self.base_url in value for value in answer.headers.values())
        assert not answer.headers.keys() & {"set-cookie", "x-powered-by", "server-timing", "x-cache"}
        if answer.status_code >= 400 and answer.content:
            assert answer.json()["resourceType"] == "OperationOutcome"
        if answer.status_code == 200 and answer.content and "json" in answer.headers["content-type"]:
            _own_addresses_only(answer.json(), gateway.base_url)
        return answer

    async def pages(self, path: str, grant: Grant = A, **options: Any) -> list[httpx2.Response]:
        """The answer and every page that can be reached from it. An answer other than 200 stands alone."""
        answers = [await self.ask(path, grant, **options)]
        while answers[-1].status_code == 200 and (following := link_of(answers[-1], "next")) is not None:
            assert len(answers) < MOST_PAGES, "the pages do not end"
            answers.append(await self.ask(following, grant))
        return answers

    def expected(self, where: Where) -> set[str]:
        """`Type/id` of all that lies on the server, can be found there, and meets the condition."""
        return self._findable(literal(one) for one in stored(absolute=self.upstream.absolute) if where(one))

    def found(self, answers: Iterable[httpx2.Response], mode: str | None = None) -> set[str]:
        """`Type/id` of all that a search found, or of its entries of one mode."""
        found = [literal(one) for answer in answers for one in resources_in(answer, mode)]
        assert len(found) == len(set(found)) or mode == "include", "a resource came twice"
        return self._findable(found)

    def misses(self, grant: Grant, answers: Iterable[httpx2.Response]) -> list[Mapping[str, int]]:
        """For each of the answers what narrowing should have kept away and did not, if anything."""
        decided = {record.decision_id: record.answer for record in self.gateways[grant.reach].seen.records}
        told = [decided[answer.headers["x-decision-id"]] for answer in answers]
        return [one.misses for one in told if one is not None and one.misses]

    def _findable(self, names: Iterable[str]) -> set[str]:
        return {name for name in names if not name.endswith(self.upstream.hard_to_find)}

    async def upstream_put(self, resource: dict[str, Any]) -> str:
        """Write past the gateway; gives the version id."""
        answer = await self._write("PUT", literal(resource), resource)
        assert answer.status_code in {200, 201}, answer.text
        version: str = (await self._write("GET", literal(resource))).json()["meta"]["versionId"]
        return version

    async def upstream_delete(self, name: str) -> None:
        """Delete past the gateway."""
        assert (await self._write("DELETE", name)).status_code in {200, 202, 204}

    @contextlib.asynccontextmanager
    async def gone_afterwards(self, *names: str) -> AsyncIterator[None]:
        """Whatever a test puts there under these names is deleted at its end, for the sake of the next."""
        try:
            yield
        finally:
            for name in names:
                await self._write("DELETE", name)

    async def _write(self, method: str, name: str, body: dict[str, Any] | None = None) -> httpx2.Response:
        client = next(iter(self.gateways.values())).client
        headers = {"content-type": "application/fhir+json", "accept": "application/fhir+json"}
        return await client.request(method, f"{self.base_url}/{name}", json=body, headers=headers)


def _own_addresses_only(document: dict[str, Any], base_url: str) -> None:
    for link in document.get("link", []):
        assert link["url"].startswith(base_url), link
    if document["resourceType"] != "Bundle":
        return
    for entry in document.get("entry", []):
        if "fullUrl" in entry and "resource" in entry:
            assert entry["fullUrl"] == f"{base_url}/{literal(entry['resource'])}"
        assert entry.get("resource", {}).get("resourceType") != "OperationOutcome" or (
            entry["search"]["mode"] == "outcome"
        ), json.dumps(entry)
