"""The gateways in front of sekmet and the hostile server, shared by the tests of one module."""

import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.proxy.leaks.leak_gateways import LeakGateways
from tests.proxy.running_gateway import RunningGateway, running_gateways
from tests.servers.hostile import Mode, hostile_in_loop
from tests.servers.process import Server

PAGE_KEY = base64.b64encode(b"a key of thirty-two bytes, or so").decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways(sekmet: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LeakGateways]:
    async with hostile_in_loop() as hostile:
        upstreams = {"sekmet": sekmet.base_url, **{str(mode): hostile.base(mode) for mode in Mode}}
        folder = tmp_path_factory.mktemp("leaks")
        async with running_gateways(upstreams, folder, paging={"key": PAGE_KEY}) as gateways:
            for running in (gateways["sekmet"], gateways[str(Mode.HONEST)]):
                assert (await running.request("/metadata", None)).status_code == 200
            hostiles = {mode: gateways[str(mode)] for mode in Mode}
            yield LeakGateways(gateways["sekmet"], sekmet.base_url, hostile, hostiles)


@pytest.fixture
def gateway(gateways: LeakGateways) -> RunningGateway:
    """The gateway in front of a real server."""
    return gateways.sekmet
