"""Fixtures: a real FHIR server for the session, and a SMART server in front of it for each module."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
import pytest_asyncio

from tests.servers.sekmet import start_sekmet
from tests.smart_server.app_states import StateApp, keep_app_state, state_app
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import (
    RunningServer,
    run_smart_server,
)


@pytest.fixture(scope="session")
def fhir_server() -> Iterator[str]:
    """The base URL of a sekmet-fhir with synthetic patients."""
    server = start_sekmet()
    yield server.base_url
    server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A SMART server with the state in memory."""
    async with run_smart_server(fhir_server) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visits(fhir_server: str) -> dict[str, str]:
    """One encounter of each of the two patients."""
    encounters = {}
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
        for patient in ("pat-a", "pat-b"):
            bundle = (await client.get(f"{fhir_server}/Encounter", params={"patient": f"Patient/{patient}"})).json()
            encounters[patient] = str(bundle["entry"][0]["resource"]["id"])
    return encounters


@pytest.fixture(scope="module")
def later(server: RunningServer) -> AdjustableClock:
    """The clock of this server. There must be only one: a second would reset it."""
    return AdjustableClock(server)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clocked(fhir_server: str) -> AsyncIterator[tuple[RunningServer, AdjustableClock]]:
    """A server with a clock that tests advance."""
    async with run_smart_server(fhir_server) as server:
        yield server, AdjustableClock(server)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keeping(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server that keeps app state."""
    async with run_smart_server(fhir_server, change=keep_app_state) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def app(keeping: RunningServer) -> AsyncIterator[StateApp]:
    """An app with patient A in context. What it has stored about the patient is deleted again."""
    running = await state_app(keeping)
    yield running
    for stored in await running.found():
        await running.delete(stored)
