"""One real FHIR server and one SMART server in front of it for the whole module."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.servers.sekmet import start_sekmet
from tests.smart.house import House, smart_house


@pytest.fixture(scope="session")
def fhir_server() -> Iterator[str]:
    """The base URL of a sekmet-fhir with synthetic patients."""
    server = start_sekmet()
    yield server.base_url
    server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(fhir_server: str) -> AsyncIterator[House]:
    """A SMART server with the state in memory."""
    async with smart_house(fhir_server) as running:
        yield running
