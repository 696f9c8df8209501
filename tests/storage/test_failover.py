"""A failover that forgets a write: no value is used twice."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gateway.storage.backends.open_store import open_store, parse_servers
from gateway.storage.backends.redis_store import RedisStore
from gateway.storage.backends.store import Store, StoreUnavailableError
from tests.servers import valkey
from tests.servers.valkey import Node, RunningStore
from tests.storage.store_under_test import wait_until

pytestmark = pytest.mark.asyncio

# The braces put all keys on the same node of a Cluster.
TAKEN, DELETED, REPLACED, OTHER = "{k}taken", "{k}deleted", "{k}replaced", "{k}other"


async def _is_taken(store: Store) -> bool:
    return await store.take(TAKEN) is not None


# Each uses up the value of its key, so that a second success is a second use.
SINGLE_USES: dict[str, Callable[[Store], Awaitable[bool]]] = {
    TAKEN: _is_taken,
    DELETED: lambda store: store.delete(DELETED),
    REPLACED: lambda store: store.replace(REPLACED, b"first", b"second", 1000),
}

# With a second replica, so that the one that becomes the primary has another to confirm its writes.
STORES: dict[str, Callable[[], contextlib.AbstractContextManager[RunningStore]]] = {
    "Sentinel": lambda: valkey.under_sentinel(replicas=2),
    "Cluster": lambda: valkey.cluster(replicas=2),
}


@contextlib.asynccontextmanager
async def _open(stored: RunningStore, replicas: int) -> AsyncIterator[RedisStore]:
    store = RedisStore(parse_servers(stored.url), operation_timeout=1.0, replicas=replicas)
    try:
        yield store
    finally:
        await store.aclose()


def _replication(node: Node) -> Any:
    with contextlib.closing(node.client()) as client:
        return client.info("replication")


def _holds_keys(node: Node) -> bool:
    with contextlib.closing(node.client()) as client:
        return bool(client.info("keyspace"))


def _primary_and_replicas(stored: RunningStore) -> tuple[Node, list[Node]]:
    """The node that holds the keys, and its replicas."""
    nodes = [node for node in stored.nodes if not node.sentinel and _holds_keys(node)]
    primary = next(node for node in nodes if _replication(node)["role"] == "master")
    return primary, [node for node in nodes if node is not primary]


def _cut_off(primary: Node, replicas: list[Node]) -> None:
    """Cut the replicas off, together with what is on its way to them."""
    with contextlib.closing(primary.client()) as client:
        assert client.wait(len(replicas), 2000) == len(replicas)
        for replica in replicas:
            replica.freeze()
        client.execute_command("CLIENT KILL TYPE replica")  # type: ignore[no-untyped-call]


def _follow_the_new_primary(replicas: list[Node]) -> bool:
    """Whether all follow one primary. Sentinel sees to that too, but ten seconds after a replica was away."""
    primaries = [node for node in replicas if _replication(node)["role"] == "master"]
    for node in replicas:
        if primaries and node is not primaries[0]:
            with contextlib.closing(node.client()) as client:
                client.replicaof("127.0.0.1", primaries[0].port)
    return bool(primaries)


async def _count_uses(stored: RunningStore, store: Store) -> Counter[str]:
    """Use each value while the replicas are cut off, lose the primary, use them again, and count the successes."""
    uses: Counter[str] = Counter()

    async def use_all() -> bool:
        failed = False
        for name, use in SINGLE_USES.items():
            try:
                uses[name] += await use(store)
            except StoreUnavailableError:
                failed = True
        return not failed

    for name in SINGLE_USES:
        await store.put(name, b"first", None)
    primary, replicas = _primary_and_replicas(stored)
    _cut_off(primary, replicas)
    await use_all()
    primary.kill()
    for replica in replicas:
        replica.thaw()
    if not stored.url.startswith("redis+cluster"):

        async def is_promoted() -> bool:
            return await asyncio.to_thread(_follow_the_new_primary, replicas)

        await wait_until(is_promoted)
    await wait_until(use_all)
    return uses


@pytest.mark.requirement("A-14", "edge-46")
@pytest.mark.parametrize("start", STORES.values(), ids=STORES)
async def test_a_value_is_used_once_though_a_failover_forgets(
    start: Callable[[], contextlib.AbstractContextManager[RunningStore]],
) -> None:
    with start() as stored:
        async with _open(stored, replicas=1) as store:
            uses = await _count_uses(stored, store)
            assert max(uses.values()) <= 1, uses


async def test_without_confirmation_a_failover_gives_values_out_twice() -> None:
    """What the setting is there for; it fails on the day when Redis makes it needless."""
    with valkey.under_sentinel(replicas=2) as stored:
        async with _open(stored, replicas=0) as store:
            assert await _count_uses(stored, store) == dict.fromkeys(SINGLE_USES, 2)


async def test_a_store_without_the_replicas_it_needs_says_so() -> None:
    with valkey.standalone() as stored:
        store = open_store(stored.url, replicas=1)
        with pytest.raises(StoreUnavailableError, match="0 of 1 replicas confirmed a write"):
            await store.put_new(OTHER, b"value", None)
        await store.aclose()
