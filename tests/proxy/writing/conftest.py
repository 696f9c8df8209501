"""Gateways in front of servers that store what they are sent, each with other habits."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.writing.binary_server import BinaryServer, binary_server
from tests.proxy.writing.record_server import Habits, RecordServer, record_server
from tests.proxy.writing.writes import observation

Pair = tuple[RunningGateway, RecordServer]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def honest_pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    async with (
        record_server() as server,
        running_gateway(server.base_url, tmp_path_factory.mktemp("honest")) as gateway,
    ):
        assert (await gateway.request("/metadata", None)).status_code == 200
        yield gateway, server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ignorant_pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    habits = Habits(criteria=False, if_match=False)
    async with (
        record_server(habits) as server,
        running_gateway(server.base_url, tmp_path_factory.mktemp("ignorant")) as gateway,
    ):
        assert (await gateway.request("/metadata", None)).status_code == 200
        yield gateway, server


def fill(server: RecordServer) -> None:
    """Store records of two patients, and nothing else."""
    server.records.clear()
    for patient, value in (("pat-a", "1"), ("pat-b", "2")):
        letter = patient[-1]
        server.put({"resourceType": "Patient", "id": patient, "name": [{"family": letter}]})
        server.put(observation(patient, f"o-{letter}", identifier=[{"system": "urn:x", "value": value}]))
        server.put({"resourceType": "Encounter", "id": f"e-{letter}", "subject": {"reference": f"Patient/{patient}"}})
    server.put({"resourceType": "Organization", "id": "org", "name": "clinic"})
    server.requests.clear()
    server.bodies.clear()


@pytest_asyncio.fixture(loop_scope="module")
async def honest(honest_pair: Pair) -> Pair:
    """A gateway in front of a server that does as it is told, with records of two patients."""
    fill(honest_pair[1])
    return honest_pair


@pytest_asyncio.fixture(loop_scope="module")
async def ignorant(ignorant_pair: Pair) -> Pair:
    """A gateway in front of a server that ignores every criterion and every precondition."""
    fill(ignorant_pair[1])
    return ignorant_pair


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def binary_pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[RunningGateway, BinaryServer]]:
    """A gateway in front of a server that keeps Binaries; `fill_with_binaries` brings back those of two patients."""
    async with (
        binary_server() as server,
        running_gateway(server.base_url, tmp_path_factory.mktemp("binaries")) as gateway,
    ):
        assert (await gateway.request("/metadata", None)).status_code == 200
        yield gateway, server
