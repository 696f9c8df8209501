"""One gateway for all tests of the self-test: each leaves it as it was."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.commands.selftesting.tested_gateway import TestedGateway, tested_gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[TestedGateway]:
    async with tested_gateway() as gateway:
        yield gateway
