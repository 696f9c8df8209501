"""Fixtures: an admin port beside a gateway where apps may register themselves, and people at it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.admin.running_admin import AUDITOR, RunningAdmin, run_admin
from tests.clients.chromium import find_chromium
from tests.clients.node import Node, find_node_with_packages
from tests.servers.process import NotAvailable
from tests.smart_server.person_in_browser import Person


def let_apps_register(settings: dict[str, Any]) -> None:
    """Apps may register themselves."""
    settings["smart_server"]["registration"] = True


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(fhir_server: str) -> AsyncIterator[RunningAdmin]:
    """The admin port."""
    async with run_admin(fhir_server, change=let_apps_register) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(admin: RunningAdmin) -> Person:
    """An operator in a browser."""
    return await admin.sign_in()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def auditor(admin: RunningAdmin) -> Person:
    """An auditor in a browser."""
    return await admin.sign_in(AUDITOR)


@pytest.fixture(scope="session", name="node")
def node_of_this_machine() -> Node:
    """Node with the packages of `tests/clients`."""
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
