"""One server at a time for the whole run, and in front of it a gateway for each way of configuring reach."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.gateway.running import Running, running_gateways
from tests.servers.load import load
from tests.servers.process import NotAvailable
from tests.upstreams.asking import Front
from tests.upstreams.stored import additions
from tests.upstreams.upstream import HAPI, HAPI_STRICT, UPSTREAMS, Upstream

# The ways that an operator can draw the reach (enforcement.md 2), and the one way to use the server's own compartments.
REACHES: dict[str, dict[str, Any]] = {
    "full": {},
    "subject": {"compartments": {"membership": "subject"}},
    "practice": {"compartments": {"practitioner_reach": "compartment"}},
    "panel": {
        "compartments": {
            "practitioner_reach": "panel",
            "panel": [{"resource_type": "CareTeam", "parameter": "participant", "patient_element": "subject"}],
        }
    },
    "compartment": {"upstream": {"compartment_search": True}},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests of HAPI's quirks in front of other servers."""
    items[:] = [item for item in items if not _is_foreign(item)]


def _is_foreign(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    if item.path.name != "test_hapi_quirks.py" or callspec is None:
        return False
    return callspec.params["running"] not in (HAPI, HAPI_STRICT)


@pytest.fixture(scope="session", params=UPSTREAMS)
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Upstream, str]]:
    """A server and its base URL. pytest goes through the servers one after the other, so that one runs at a time."""
    upstream: Upstream = request.param
    try:
        server = upstream.start()
    except NotAvailable as missing:
        pytest.skip(str(missing))
    with server:
        load(server.base_url, [additions()])
        yield upstream, server.base_url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(running: tuple[Upstream, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    """The gateways in front of the server; each has read its CapabilityStatement."""
    upstream, base_url = running
    async with contextlib.AsyncExitStack() as until_the_end:
        gateways: dict[str, Running] = {}
        for reach, settings in REACHES.items():
            starting = running_gateways({reach: base_url}, tmp_path_factory.mktemp(reach), **settings)
            gateways |= await until_the_end.enter_async_context(starting)
            assert (await gateways[reach].ask("/metadata", None)).status_code == 200
        yield Front(upstream, base_url, gateways)
