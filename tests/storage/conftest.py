"""The kinds of store. Servers are started once for all tests; each test has a key prefix of its own.

The tests run on uvloop, as the product does; those of the model run on asyncio's own loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager

import pytest
import uvloop

from gateway.storage.backends.store import Store
from tests.servers import valkey
from tests.servers.process import NotAvailable
from tests.servers.valkey import RunningStore
from tests.storage.store_under_test import StoreUnderTest

KINDS: dict[str, Callable[[], AbstractContextManager[RunningStore]] | None] = {
    "the memory of one process": None,
    "a standalone server": valkey.standalone,
    "a standalone server with a user, over TLS": valkey.with_tls,
    "a primary that a Sentinel watches": valkey.under_sentinel,
    "a Cluster of three primaries": valkey.cluster,
    "a Cluster with replicas": valkey.replicated_cluster,
    "a primary that a Sentinel watches, over TLS": valkey.under_sentinel_with_tls,
    "a Cluster over TLS": valkey.cluster_with_tls,
    "Debian's redis-server with a password": valkey.debian_redis,
}
SHARED_KINDS = [kind for kind, start in KINDS.items() if start is not None]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def started() -> Iterator[Callable[[str], RunningStore | None]]:
    """A function that returns the servers of a kind, which it starts on the first call."""
    with contextlib.ExitStack() as stack:
        running: dict[str, RunningStore | None] = {}

        def start(kind: str) -> RunningStore | None:
            if kind not in running:
                start_server = KINDS[kind]
                try:
                    running[kind] = None if start_server is None else stack.enter_context(start_server())
                except NotAvailable as error:
                    pytest.skip(str(error))
            return running[kind]

        yield start


@pytest.fixture(params=KINDS)
async def subject(
    request: pytest.FixtureRequest, started: Callable[[str], RunningStore | None]
) -> AsyncIterator[StoreUnderTest]:
    """An empty store of each kind. Tests that need servers name the kinds themselves."""
    store_under_test = StoreUnderTest(started(request.param))
    yield store_under_test
    await store_under_test.close()


@pytest.fixture
def store(subject: StoreUnderTest) -> Store:
    """The store of the subject."""
    return subject.open()
