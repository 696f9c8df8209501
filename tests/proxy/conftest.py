"""One sekmet server for all of these tests; no test changes its population."""

from collections.abc import Iterator

import pytest

from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet


@pytest.fixture(scope="session")
def sekmet() -> Iterator[Server]:
    with start_sekmet() as server:
        yield server
