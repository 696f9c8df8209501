"""Gateways in front of a server that knows transactions, beside those of the tests of writes."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.proxy.bundles.transaction_server import TransactionServer, transaction_server
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.writing.conftest import binary_pair, fill, honest, honest_pair

__all__ = ["binary_pair", "honest", "honest_pair"]

Pair = tuple[RunningGateway, TransactionServer]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def transaction_pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    async with (
        transaction_server() as server,
        running_gateway(server.base_url, tmp_path_factory.mktemp("transactions")) as gateway,
    ):
        assert (await gateway.request("/metadata", None)).status_code == 200
        yield gateway, server


@pytest_asyncio.fixture(loop_scope="module")
async def pair(transaction_pair: Pair) -> Pair:
    """A gateway in front of a server that knows transactions, with records of two patients."""
    fill(transaction_pair[1])
    transaction_pair[1].transactions.clear()
    transaction_pair[1].change_answer = None
    return transaction_pair
