"""The leak corpus, versions: records that move from one patient to another.

The number in a test's name is the number of the line in the corpus.
"""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.proxy.leaked_marks import (
    is_refused,
    resources_in,
    shows_only_patient_a,
)
from tests.proxy.leaks.leak_gateways import (
    OF_A,
    OF_B,
    LeakGateways,
    make_observation,
)
from tests.servers.hostile import B_MARKER
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def sekmet() -> Iterator[Server]:
    """A server of its own, because these tests write to it."""
    with start_sekmet() as server:
        yield server


async def put_versions(upstream: str, resource_id: str, *owners: tuple[Any, str]) -> None:
    """Write one version of the resource per owner."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        for subject, marker in owners:
            url = f"{upstream}/Observation/{resource_id}"
            (await client.put(url, json=make_observation(resource_id, subject, marker))).raise_for_status()


async def test_leak_15_a_version_is_shown_where_it_and_the_present_one_are_as(gateways: LeakGateways) -> None:
    gateway = gateways.sekmet
    await put_versions(gateways.upstream, "came-to-a", (OF_B, B_MARKER), (OF_A, ""))
    await put_versions(gateways.upstream, "went-to-b", (OF_A, ""), (OF_B, B_MARKER))
    assert (await gateway.request("/Observation/came-to-a/_history/2")).json()["subject"] == OF_A
    history = await gateway.request("/Observation/came-to-a/_history")
    assert shows_only_patient_a(history)
    assert [version["meta"]["versionId"] for version in resources_in(history)] == ["2"]
    absent = await gateway.request("/Observation/never-was/_history/1")
    for path in ("came-to-a/_history/1", "went-to-b/_history/1", "went-to-b/_history/2", "went-to-b/_history"):
        response = await gateway.request(f"/Observation/{path}")
        assert is_refused(response, 404, "not_found")
        assert response.content == absent.content
    everywhere = await gateway.request("/Observation/_history?_count=50")
    assert shows_only_patient_a(everywhere)
