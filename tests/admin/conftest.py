"""Fixtures: a gateway with an admin port in front of a real FHIR server."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.admin.running_admin import RunningAdmin, run_admin
from tests.servers.sekmet import start_sekmet


@pytest.fixture(scope="session")
def fhir_server() -> Iterator[str]:
    """The base URL of a sekmet-fhir with synthetic patients."""
    server = start_sekmet()
    yield server.base_url
    server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(fhir_server: str) -> AsyncIterator[RunningAdmin]:
    """A gateway with an admin port, with the state in memory."""
    async with run_admin(fhir_server) as running:
        yield running
