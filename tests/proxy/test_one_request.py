"""The shortest way through the whole gateway: a real token, a real server, one read and one narrowed search."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet

pytestmark = pytest.mark.sekmet

LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


@pytest.fixture(scope="module")
def sekmet() -> Iterator[Server]:
    with start_sekmet() as server:
        yield server


async def test_a_permitted_read_another_patients_record_and_a_narrowed_search(sekmet: Server, tmp_path: Path) -> None:
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        own = await gateway.request("/Patient/pat-a")
        assert own.status_code == 200
        assert own.json()["id"] == "pat-a"

        other, absent = await asyncio.gather(gateway.request("/Patient/pat-b"), gateway.request("/Patient/no-such"))
        assert (other.status_code, other.content) == (404, absent.content)

        found = (await gateway.request("/Observation?_count=50", f"patient/Observation.rs?category={LAB}")).json()
        assert found["total"] == len(found["entry"]) > 0
        assert {entry["resource"]["subject"]["reference"] for entry in found["entry"]} == {"Patient/pat-a"}

        await _pages(gateway)


async def _pages(gateway: RunningGateway) -> None:
    """Follow the sealed link of every page; another grant cannot open it."""
    ids: list[str] = []
    page = (await gateway.request("/Observation?_count=5")).json()
    total = page["total"]
    while True:
        ids += [entry["resource"]["id"] for entry in page["entry"]]
        following = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not following:
            break
        path = following[0].removeprefix(gateway.base_url)
        assert (await gateway.request(path, "patient/Observation.rs")).status_code == 404
        page = (await gateway.request(path)).json()
    assert len(ids) == len(set(ids)) == total
