"""What happens to the stores of an installation: they are emptied, stand still, or are killed and come back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

import redis

from tests.servers import valkey
from tests.servers.valkey import Node, RunningStore

TOPOLOGIES: dict[str, Callable[[], AbstractContextManager[RunningStore]]] = {
    "standalone": valkey.standalone,
    "Sentinel": lambda: valkey.under_sentinel(sentinels=3, replicas=2),
    "Cluster": lambda: valkey.cluster(replicas=2),
}

# As long as a machine swaps, or a virtual machine moves.
_FREEZE_SECONDS = 1.0


def _primaries(stored: RunningStore) -> list[Node]:
    """The servers that take writes at present."""
    found: list[Node] = []
    for node in stored.nodes:
        if not node.sentinel:
            with contextlib.closing(node.client()) as client, contextlib.suppress(redis.RedisError):
                replication: Any = client.info("replication")
                if replication["role"] == "master":
                    found.append(node)
    return found


def _command(node: Node, command: str) -> None:
    with contextlib.closing(node.client()) as client:
        client.execute_command(command)  # type: ignore[no-untyped-call]


@contextlib.asynccontextmanager
async def _flushed(stored: RunningStore) -> AsyncIterator[None]:
    """All primaries lose everything at once."""
    for node in _primaries(stored):
        _command(node, "FLUSHALL")
    yield


@contextlib.asynccontextmanager
async def _frozen(stored: RunningStore) -> AsyncIterator[None]:
    """A primary stands still. A single server continues after a second, others when a replica has taken over."""
    node = _primaries(stored)[0]
    node.freeze()
    if len(stored.nodes) == 1:
        await asyncio.sleep(_FREEZE_SECONDS)
        node.thaw()
        yield
        return
    yield
    node.thaw()
    await asyncio.to_thread(node.wait_until, valkey.is_in_step, "is a replica")


@contextlib.asynccontextmanager
async def _killed(stored: RunningStore) -> AsyncIterator[None]:
    """A primary is killed. A single server starts again without its data, others when a replica has taken over."""
    node = _primaries(stored)[0]
    node.kill()
    if len(stored.nodes) == 1:
        await asyncio.to_thread(lambda: node.start().wait_until_ready())
    yield


FAULTS: dict[str, Callable[[RunningStore], contextlib.AbstractAsyncContextManager[None]]] = {
    "emptied": _flushed,
    "frozen": _frozen,
    "killed": _killed,
}
