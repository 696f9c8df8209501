"""One FHIR server and one SMART server for the clients of a module, and what this machine has to run them with."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.clients.chromium import chromium
from tests.clients.house import Ports, with_clients
from tests.clients.node import Node, node
from tests.servers.process import NotAvailable
from tests.servers.sekmet import start_sekmet
from tests.smart.house import House, smart_house


@pytest.fixture(scope="session")
def fhir_server() -> Iterator[str]:
    """The base URL of a sekmet-fhir with synthetic patients."""
    server = start_sekmet()
    yield server.base_url
    server.stop()


@pytest.fixture(scope="module")
def ports() -> Ports:
    """Where apps listen."""
    return Ports.free()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(fhir_server: str, ports: Ports) -> AsyncIterator[House]:
    """A SMART server that knows the clients."""

    def change(settings: dict[str, Any]) -> None:
        with_clients(settings, ports)

    async with smart_house(fhir_server, change=change) as running:
        yield running


@pytest.fixture(scope="session", name="node")
def node_of_this_machine() -> Node:
    """Node with the clients' packages."""
    try:
        return node()
    except NotAvailable as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session", name="chromium")
def chromium_of_this_machine() -> str:
    """The browser's command."""
    try:
        return chromium()
    except NotAvailable as why:
        pytest.skip(str(why))
