"""Gateways in front of two servers in memory: an honest one, and one that ignores criteria and preconditions."""

import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.proxy.oracle.budget import ASKED_FOR
from tests.proxy.oracle.memory_store import MemoryStore
from tests.proxy.oracle.play import Play
from tests.proxy.oracle.versioned_server import versioned_server
from tests.proxy.running_gateway import running_gateway
from tests.proxy.writing.record_server import Habits

HABITS = {"honest": Habits(), "ignorant": Habits(criteria=False, if_match=False)}

_started: list[Play] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many requests were compared, if somebody asked for so many."""
    if ASKED_FOR is not None:
        terminalreporter.write_line(f"The oracle compared {sum(play.requests for play in _started)} requests.")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plays(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Play]]:
    """A gateway in front of each server, by the name of its habits."""
    async with contextlib.AsyncExitStack() as stack:
        started = {}
        for name, habits in HABITS.items():
            server = await stack.enter_async_context(versioned_server(habits))
            starting = running_gateway(server.base_url, tmp_path_factory.mktemp(name))
            gateway = await stack.enter_async_context(starting)
            assert (await gateway.request("/metadata", None)).status_code == 200
            started[name] = Play(gateway, MemoryStore(server))
            _started.append(started[name])
        yield started
