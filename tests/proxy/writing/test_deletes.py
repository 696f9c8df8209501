"""Deletes: what they ask the FHIR server for, which is as little as proves what they delete."""

from pathlib import Path

import pytest

from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.writing.conftest import fill
from tests.proxy.writing.record_server import Habits, RecordServer, record_server
from tests.proxy.writing.writes import observation, reason_of, write

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, RecordServer]
PROVEN = [
    "GET Observation?_id=o-a&patient=Patient/pat-a",
    "DELETE Observation?_id=o-a&patient=Patient/pat-a",
    "GET Observation/o-a",
]


def requests_to(server: RecordServer) -> list[str]:
    """What the server was asked for since the last call, without the percent-encoding."""
    requests = [request.replace("%2F", "/") for request in server.requests]
    server.requests.clear()
    return requests


async def test_the_search_that_proves_a_delete_shows_what_is_deleted(honest: Pair) -> None:
    gateway, server = honest
    assert (await write(gateway, "DELETE", "/Observation/o-a")).status_code == 204
    assert requests_to(server) == PROVEN
    assert ("Observation", "o-a") not in server.records


async def test_a_delete_that_nothing_can_change_needs_no_proof(honest: Pair) -> None:
    gateway, server = honest
    assert (await write(gateway, "DELETE", "/Observation/o-a", None, "system/*.cruds")).status_code == 204
    assert requests_to(server) == ["GET Observation/o-a", "DELETE Observation/o-a"]


@pytest.mark.parametrize("record", ["o-b", "none"])
async def test_a_record_out_of_reach_and_none_at_all_ask_for_the_same(honest: Pair, record: str) -> None:
    gateway, server = honest
    response = await write(gateway, "DELETE", f"/Observation/{record}")
    assert response.status_code == 404
    assert requests_to(server) == [
        f"GET Observation?_id={record}&patient=Patient/pat-a",
        f"GET Observation/{record}",
    ]


async def test_a_version_that_the_client_names_is_that_of_the_search(honest: Pair) -> None:
    gateway, server = honest
    refused = await write(gateway, "DELETE", "/Observation/o-a", if_match='W/"7"')
    assert (refused.status_code, reason_of(refused)) == (412, "precondition_failed")
    assert requests_to(server) == PROVEN[:1]
    assert (await write(gateway, "DELETE", "/Observation/o-a", if_match='W/"1"')).status_code == 204


async def test_a_search_that_finds_more_proves_nothing(tmp_path: Path) -> None:
    async with (
        record_server(Habits(criteria=False)) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        fill(server)
        server.put(observation("pat-a", "another"))
        assert (await gateway.request("/metadata", None)).status_code == 200
        response = await write(gateway, "DELETE", "/Observation/o-a")
        assert (response.status_code, reason_of(response)) == (403, "race_not_excluded")
        assert server.take_writes() == []
