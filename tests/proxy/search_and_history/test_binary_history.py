"""The history of a Binary: the current version is judged, and then each version as a vread of it is (leak_15)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.leaked_marks import find_leaks, is_refused
from tests.proxy.reading.test_binary_versions import OWN, A, B, document, script_for, version
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, ScriptedServer, scripted_server
from tests.servers.people import Resource

HISTORY = "/Binary/x/_history"


async def ask_for_history(
    folder: Path, versions: list[Resource], found: list[Resource], scope: str = "patient/*.rs"
) -> tuple[Any, ScriptedServer]:
    """The response, and the server, which answers its history with these versions, the last of which is current."""
    others = script_for(versions, found)
    entries = [
        {"resource": resource, "request": {"method": "PUT", "url": "Binary/x"}, "response": {"status": "200"}}
        for resource in reversed(versions)
    ]

    def script(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        if path == "Binary/x/_history":
            return 200, {"resourceType": "Bundle", "type": "history", "entry": entries}, {}
        return others(path, query, headers)

    async with scripted_server(script) as server, running_gateway(server.base_url, folder) as gateway:
        return await gateway.request(HISTORY, scope), server


SHOWN: dict[str, tuple[list[Resource], list[Resource], list[str]]] = {
    "all versions name the patient": ([version(1, A), version(2, A)], [], ["2", "1"]),
    "an earlier one names another patient": ([version(1, B), version(2, A)], [], ["2"]),
    "a document names the Binary, which means the current one": ([version(1), version(2)], [OWN], ["2"]),
    "a document names an earlier version as well": (
        [version(1), version(2)],
        [document(A, "Binary/x", "Binary/x/_history/1")],
        ["2", "1"],
    ),
    "the document of another patient names an earlier version": (
        [version(1), version(2, A)],
        [document(B, "Binary/x/_history/1")],
        ["2"],
    ),
    "a version that does not say which one it is": ([version(None), version(2, A)], [OWN], ["2"]),
}


@pytest.mark.parametrize(("versions", "found", "shown"), SHOWN.values(), ids=SHOWN)
async def test_the_history_of_a_binary_shows(
    tmp_path: Path, versions: list[Resource], found: list[Resource], shown: list[str]
) -> None:
    response, _ = await ask_for_history(tmp_path, versions, found)
    assert response.status_code == 200
    assert [entry["resource"]["meta"]["versionId"] for entry in response.json()["entry"]] == shown
    assert find_leaks(response) == []


HIDDEN: dict[str, tuple[list[Resource], list[Resource]]] = {
    "the current version names another patient": ([version(1, A), version(2, B)], []),
    "no document is about the patient": ([version(1), version(2)], [document(B, "Binary/x")]),
    "a document names an earlier version alone": ([version(1), version(2)], [document(A, "Binary/x/_history/1")]),
}


@pytest.mark.parametrize(("versions", "found"), HIDDEN.values(), ids=HIDDEN)
async def test_the_history_looks_absent_where(tmp_path: Path, versions: list[Resource], found: list[Resource]) -> None:
    response, server = await ask_for_history(tmp_path, versions, found)
    assert is_refused(response, 404, "not_found")
    assert not any(path.startswith("Binary/x/_history") for path in server.requests)


async def test_a_page_of_it_is_short_because_each_version_is_looked_up(tmp_path: Path) -> None:
    _, server = await ask_for_history(tmp_path, [version(1, A)], [])
    assert "Binary/x/_history?_count=10" in server.requests


async def test_the_history_of_a_binary_that_is_not_there_is_absent(tmp_path: Path) -> None:
    async with (
        scripted_server(lambda *_: ABSENT) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        assert is_refused(await gateway.request(HISTORY), 404, "not_found")
