"""A type or system history shows a version only if the current version of the resource can be found (leak_15)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.policy.decision_types import MAX_HISTORY_PAGE
from tests.proxy.leaked_marks import find_leaks, resources_in
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.people import B_MARKER, Resource

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
PATHS = ["/Observation/_history", "/_history", "/_history?_type=Observation"]


def version(number: int, subject: Any, name: str = "o", **members: Any) -> Resource:
    meta = {"versionId": str(number), "tag": [{"code": B_MARKER}] if subject is B else []}
    return {**make_resource("Observation", name, meta=meta, status="final", subject=subject), **members}


class HistoryServer:
    """A server with one history for the type and the system, and with responses to reads, by id."""

    def __init__(self, *versions: Resource, **responses: ScriptedResponse) -> None:
        self.versions = versions
        self.responses = responses
        self.reads: list[str] = []

    def __call__(self, path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        """Respond to one request; a read returns the first version, unless `responses` has another response."""
        if path.endswith("_history"):
            return 200, bundle(*self.versions, kind="history"), {}
        self.reads.append(path)
        name = path.partition("/")[2]
        current = next((version for version in self.versions if version["id"] == name), None)
        return self.responses.get(name, ABSENT if current is None else (200, current, {}))


async def get_shown_versions(
    tmp_path: Path, history_server: HistoryServer, path: str = PATHS[0], scope: str = "patient/*.rs"
) -> list[str]:
    """`id/version` of the entries of the history, of which none is B's."""
    settings: Any = {"upstream": {"max_verified_body_bytes": 100_000}}
    async with (
        scripted_server(history_server) as server,
        running_gateway(server.base_url, tmp_path, **settings) as gateway,
    ):
        response = await gateway.request(path, scope, claims={"fhirUser": "Practitioner/p"})
        assert (response.status_code, find_leaks(response)) == (200, []), response.text
        return [f"{version['id']}/{version['meta']['versionId']}" for version in resources_in(response)]


@pytest.mark.parametrize("path", PATHS)
async def test_what_was_put_right_is_not_shown_as_it_was_wrong(tmp_path: Path, path: str) -> None:
    marked = {**version(1, A), "meta": {"versionId": "1", "tag": [{"code": B_MARKER}]}}
    history_server = HistoryServer(version(2, B), marked, version(2, A, "own"), version(1, A, "own"))
    assert await get_shown_versions(tmp_path, history_server, path) == ["own/2", "own/1"]


@pytest.mark.parametrize("path", PATHS)
async def test_each_resource_is_looked_up_once_and_what_is_hidden_anyway_never(tmp_path: Path, path: str) -> None:
    history_server = HistoryServer(
        version(3, A), version(2, A), version(1, B), version(1, B, "other"), version(1, A, "own")
    )
    assert await get_shown_versions(tmp_path, history_server, path) == ["o/3", "o/2", "own/1"]
    assert history_server.reads == ["Observation/o", "Observation/own"]


GONE: dict[str, ScriptedResponse] = {
    "has been deleted": (410, ABSENT[1], {}),
    "is too large to judge": (200, version(2, A, note=[{"text": "x" * 200_000}]), {}),
    "is no JSON": (200, b"<x/>", {"content-type": "application/fhir+xml"}),
    "is two things at once": (200, b'{"resourceType":"Observation","id":"o","id":"o"}', {}),
    "is guarded by the server": (403, ABSENT[1], {}),
    "is answered by another": (200, version(2, A, "p"), {}),
}


@pytest.mark.parametrize("response", GONE.values(), ids=GONE)
async def test_a_version_is_hidden_where_the_resource_now(tmp_path: Path, response: ScriptedResponse) -> None:
    assert await get_shown_versions(tmp_path, HistoryServer(version(1, A), version(1, A, "own"), o=response)) == [
        "own/1"
    ]


async def test_a_version_is_judged_by_the_letter_that_a_history_needs(tmp_path: Path) -> None:
    assert await get_shown_versions(tmp_path, HistoryServer(version(1, A)), scope="patient/Observation.s") == ["o/1"]
    amended = HistoryServer(
        version(1, A, status="amended"), version(1, A, "own", status="amended"), o=(200, version(2, A), {})
    )
    assert await get_shown_versions(tmp_path, amended, scope="patient/Observation.rs?status=amended") == ["own/1"]


async def test_where_the_type_is_open_nothing_is_looked_up(tmp_path: Path) -> None:
    for path, scope in (("/Observation/_history", "system/Observation.rs"), ("/_history", "user/*.s user/*.r")):
        history_server = HistoryServer(make_resource("Observation", "o", meta={"versionId": "1"}, subject=B))
        assert await get_shown_versions(tmp_path, history_server, path, scope) == ["o/1"]
        assert history_server.reads == []


async def test_no_page_makes_the_gateway_read_without_end(tmp_path: Path) -> None:
    history_server = HistoryServer(*[version(1, A, f"o{number}") for number in range(MAX_HISTORY_PAGE + 5)])
    assert len(await get_shown_versions(tmp_path, history_server)) == len(history_server.reads) == MAX_HISTORY_PAGE
