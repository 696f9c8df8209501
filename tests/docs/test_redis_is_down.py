"""The commands of docs/redis-is-down.md, while a real Redis is away and when it is back with its data."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.docs.terminal import Shell, open_terminal, runnable_blocks
from tests.servers.valkey import RunningStore, standalone

pytestmark = pytest.mark.sekmet


@pytest.fixture
def store() -> Iterator[RunningStore]:
    with standalone("--appendonly", "yes") as store:
        yield store


@pytest.fixture
def shell(store: RunningStore) -> Iterator[Shell]:
    with contextlib.contextmanager(open_terminal)(store.url) as shell:
        yield shell


def test_the_page_says_what_the_gateway_says_while_the_store_is_away_and_after(
    store: RunningStore, shell: Shell
) -> None:
    (redis,) = store.nodes
    while_away, again = runnable_blocks("redis-is-down.md")
    redis.kill()
    shell.run_until(while_away, "alive", "not ready: store_away")
    redis.start().wait_until_ready()
    shell.run_until(again, "ready")
