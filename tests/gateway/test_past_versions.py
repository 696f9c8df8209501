"""A history of a type or the system shows a version only where the resource, as it stands now, is found (leak_15)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.policy.decision import MAX_VERSIONS
from tests.gateway.marks import leaks, resources_in
from tests.gateway.running import running_gateway
from tests.gateway.scripted import ABSENT, Answered, bundle, record, scripted
from tests.servers.people import B_MARKER, Resource

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
PATHS = ["/Observation/_history", "/_history", "/_history?_type=Observation"]


def version(number: int, subject: Any, name: str = "o", **members: Any) -> Resource:
    meta = {"versionId": str(number), "tag": [{"code": B_MARKER}] if subject is B else []}
    return {**record("Observation", name, meta=meta, status="final", subject=subject), **members}


class Past:
    """A server with a history of the type, the same for the system, and answers to reads, by address."""

    def __init__(self, *versions: Resource, **answers: Answered) -> None:
        self.versions = versions
        self.answers = answers
        self.reads: list[str] = []

    def __call__(self, path: str, query: str, _: Mapping[str, str]) -> Answered:
        """Answer one request; what is read is the first of its versions unless `answers` says otherwise."""
        if path.endswith("_history"):
            return 200, bundle(*self.versions, kind="history"), {}
        self.reads.append(path)
        name = path.partition("/")[2]
        now = next((one for one in self.versions if one["id"] == name), None)
        return self.answers.get(name, ABSENT if now is None else (200, now, {}))


async def shown(tmp_path: Path, past: Past, path: str = PATHS[0], scope: str = "patient/*.rs") -> list[str]:
    """`id/version` of what the history shows, none of it B's."""
    settings: Any = {"upstream": {"max_verified_body_bytes": 100_000}}
    async with scripted(past) as server, running_gateway(server.base_url, tmp_path, **settings) as gateway:
        answer = await gateway.ask(path, scope, claims={"fhirUser": "Practitioner/p"})
        assert (answer.status_code, leaks(answer)) == (200, []), answer.text
        return [f"{one['id']}/{one['meta']['versionId']}" for one in resources_in(answer)]


@pytest.mark.parametrize("path", PATHS)
async def test_what_was_put_right_is_not_shown_as_it_was_wrong(tmp_path: Path, path: str) -> None:
    marked = {**version(1, A), "meta": {"versionId": "1", "tag": [{"code": B_MARKER}]}}
    past = Past(version(2, B), marked, version(2, A, "own"), version(1, A, "own"))
    assert await shown(tmp_path, past, path) == ["own/2", "own/1"]


@pytest.mark.parametrize("path", PATHS)
async def test_each_resource_is_looked_up_once_and_what_is_hidden_anyway_never(tmp_path: Path, path: str) -> None:
    past = Past(version(3, A), version(2, A), version(1, B), version(1, B, "other"), version(1, A, "own"))
    assert await shown(tmp_path, past, path) == ["o/3", "o/2", "own/1"]
    assert past.reads == ["Observation/o", "Observation/own"]


GONE: dict[str, Answered] = {
    "has been deleted": (410, ABSENT[1], {}),
    "is too large to judge": (200, version(2, A, note=[{"text": "x" * 200_000}]), {}),
    "is no JSON": (200, b"<x/>", {"content-type": "application/fhir+xml"}),
    "is two things at once": (200, b'{"resourceType":"Observation","id":"o","id":"o"}', {}),
    "is guarded by the server": (403, ABSENT[1], {}),
    "is answered by another": (200, version(2, A, "p"), {}),
}


@pytest.mark.parametrize("answer", GONE.values(), ids=GONE)
async def test_a_version_is_hidden_where_the_resource_now(tmp_path: Path, answer: Answered) -> None:
    assert await shown(tmp_path, Past(version(1, A), version(1, A, "own"), o=answer)) == ["own/1"]


async def test_a_version_is_judged_by_the_letter_that_a_history_needs(tmp_path: Path) -> None:
    assert await shown(tmp_path, Past(version(1, A)), scope="patient/Observation.s") == ["o/1"]
    amended = Past(version(1, A, status="amended"), version(1, A, "own", status="amended"), o=(200, version(2, A), {}))
    assert await shown(tmp_path, amended, scope="patient/Observation.rs?status=amended") == ["own/1"]


async def test_where_the_type_is_open_nothing_is_looked_up(tmp_path: Path) -> None:
    for path, scope in (("/Observation/_history", "system/Observation.rs"), ("/_history", "user/*.s user/*.r")):
        past = Past(record("Observation", "o", meta={"versionId": "1"}, subject=B))
        assert await shown(tmp_path, past, path, scope) == ["o/1"]
        assert past.reads == []


async def test_no_page_makes_the_gateway_read_without_end(tmp_path: Path) -> None:
    past = Past(*[version(1, A, f"o{number}") for number in range(MAX_VERSIONS + 5)])
    assert len(await shown(tmp_path, past)) == len(past.reads) == MAX_VERSIONS
