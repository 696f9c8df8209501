"""A FHIR server and a SMART server for the clients, and the programs of this machine that run them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.clients.chromium import find_chromium
from tests.clients.node import Node, find_node_with_packages
from tests.clients.running_server import Ports, register_clients
from tests.servers.process import NotAvailable
from tests.servers.sekmet import start_sekmet
from tests.smart_server.running_server import RunningServer, run_smart_server


@pytest.fixture(scope="session")
def fhir_server() -> Iterator[str]:
    """The base URL of a sekmet-fhir with synthetic patients."""
    server = start_sekmet()
    yield server.base_url
    server.stop()


@pytest.fixture(scope="module")
def ports() -> Ports:
    """The ports of the apps."""
    return Ports.free()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(fhir_server: str, ports: Ports) -> AsyncIterator[RunningServer]:
    """A SMART server with the clients registered."""

    def change(settings: dict[str, Any]) -> None:
        register_clients(settings, ports)

    async with run_smart_server(fhir_server, change=change) as running:
        yield running


@pytest.fixture(scope="session", name="node")
def node_of_this_machine() -> Node:
    """Node with the clients' packages."""
    try:
        return find_node_with_packages()
    except NotAvailable as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session", name="chromium")
def chromium_of_this_machine() -> str:
    """The browser's command."""
    try:
        return find_chromium()
    except NotAvailable as why:
        pytest.skip(str(why))
