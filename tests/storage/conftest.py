"""The kinds of store, each started once for all tests, and a fresh corner of one for each test.

The tests run on uvloop, as the product does; those of the model run on asyncio's own loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager

import pytest
import uvloop

from gateway.storage.store import Store
from tests.servers import valkey
from tests.servers.process import NotAvailable
from tests.servers.valkey import Stored
from tests.storage.subject import Subject

KINDS: dict[str, Callable[[], AbstractContextManager[Stored]] | None] = {
    "the memory of one process": None,
    "a standalone server": valkey.standalone,
    "a standalone server with a user, over TLS": valkey.with_tls,
    "a primary that a Sentinel watches": valkey.under_sentinel,
    "a Cluster of three primaries": valkey.cluster,
    "Debian's redis-server with a password": valkey.debian_redis,
}
SHARED = [kind for kind, start in KINDS.items() if start is not None]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[[str], Stored | None]]:
    """The servers of a kind, started when first asked for."""
    with contextlib.ExitStack() as stack:
        running: dict[str, Stored | None] = {}

        def start(kind: str) -> Stored | None:
            if kind not in running:
                begin = KINDS[kind]
                try:
                    running[kind] = None if begin is None else stack.enter_context(begin())
                except NotAvailable as why:
                    pytest.skip(str(why))
            return running[kind]

        yield start


@pytest.fixture(params=KINDS)
async def subject(request: pytest.FixtureRequest, started: Callable[[str], Stored | None]) -> AsyncIterator[Subject]:
    """A store of every kind in turn, empty; tests that need servers name the kinds themselves."""
    one = Subject(started(request.param))
    yield one
    await one.close()


@pytest.fixture
def store(subject: Subject) -> Store:
    """The store itself."""
    return subject.open()
