"""The gateways in front of sekmet, of the hostile server and of nothing, shared by the tests of one module."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.proxy.responses.response_gateways import SETTINGS, ResponseGateways
from tests.proxy.running_gateway import RunningGateway, running_gateway, running_gateways
from tests.servers.hostile import Mode, hostile_in_loop
from tests.servers.ports import free_port
from tests.servers.process import Server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways(sekmet: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ResponseGateways]:
    async with hostile_in_loop() as hostile:
        upstreams = {mode.value: hostile.base(mode) for mode in Mode}
        upstreams["down"] = f"http://127.0.0.1:{free_port()}/fhir"
        limits = {name: value for name, value in SETTINGS.items() if name != "upstream"}
        folders = [tmp_path_factory.mktemp(name) for name in ("sekmet", "hostile")]
        async with (
            running_gateway(sekmet.base_url, folders[0], **limits) as gateway,
            running_gateways(upstreams, folders[1], **SETTINGS) as gateways,
        ):
            assert (await gateway.request("/metadata", None)).status_code == 200
            yield ResponseGateways(gateway, gateways, gateways["down"])


@pytest.fixture
def gateway(gateways: ResponseGateways) -> RunningGateway:
    """The gateway in front of a real server."""
    return gateways.gateway
