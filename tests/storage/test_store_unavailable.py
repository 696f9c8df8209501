"""Stores that become unavailable: operations fail quickly, and work again when the store is available again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.storage.backends.open_store import parse_servers
from gateway.storage.backends.redis_store import RedisStore
from gateway.storage.backends.store import Store, StoreUnavailableError
from tests.servers import valkey
from tests.servers.ports import free_port
from tests.servers.valkey import RunningStore
from tests.storage.conftest import SHARED_KINDS
from tests.storage.store_under_test import wait_until
from tests.storage.test_channels import _listen, _receive, _stop

OPERATIONS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "get": lambda store: store.get("k"),
    "put": lambda store: store.put("k", b"value", 1000),
    "put_new": lambda store: store.put_new("k", b"value", None),
    "take": lambda store: store.take("k"),
    "replace": lambda store: store.replace("k", b"value", b"new", 1000),
    "delete": lambda store: store.delete("k"),
    "count": lambda store: store.increment("k", 1000),
    "lifetime": lambda store: store.lifetime_left("k"),
    "add": lambda store: store.add_member("k", "member", 1000),
    "remove": lambda store: store.remove_member("k", "member"),
    "members": lambda store: store.members("k"),
    "publish": lambda store: store.publish("c", "message"),
    "listen": lambda store: anext(store.listen("c")),
    "ping": lambda store: store.ping(),
}


@contextlib.asynccontextmanager
async def _open(
    server: RunningStore, seconds: float = 2.0, listener_timeout: float = 10.0
) -> AsyncIterator[RedisStore]:
    store = RedisStore(
        parse_servers(server.url, server.ca_file),
        connect_timeout=seconds,
        operation_timeout=seconds,
        listener_timeout=listener_timeout,
    )
    before = _count_sockets()
    try:
        yield store
    finally:
        await store.aclose()

        async def are_closed() -> bool:
            return _count_sockets() <= before

        # Closing a TLS connection takes a moment, and the loop must not end before that.
        await wait_until(are_closed)


def _count_sockets() -> int:
    """The number of sockets of this process."""
    held = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            held += str(descriptor.readlink()).startswith("socket:")
    return held


async def _responds(store: Store) -> bool:
    try:
        await store.ping()
    except StoreUnavailableError:
        return False
    return True


async def _assert_all_refused(store: Store, within: float) -> None:
    for name, operation in OPERATIONS.items():
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            await operation(store)
            pytest.fail(f"{name} was answered")
        assert time.monotonic() - began < within, name


async def test_a_server_that_was_killed_is_away_until_it_is_back() -> None:
    with valkey.standalone() as stored:
        async with _open(stored) as store:
            await asyncio.gather(*(store.put(f"k{number}", b"value", None) for number in range(20)))
            stored.nodes[0].kill()
            await _assert_all_refused(store, within=1.0)
            await asyncio.to_thread(stored.nodes[0].start)
            await wait_until(lambda: _responds(store))
            assert await store.get("k1") is None
            assert await store.put_new("k1", b"value", None)


async def test_connections_that_died_unseen_are_not_used() -> None:
    with valkey.standalone() as stored:
        async with _open(stored) as store:
            await asyncio.gather(*(store.get("k") for _ in range(20)))
            stored.nodes[0].kill()
            await asyncio.to_thread(lambda: stored.nodes[0].start().wait_until_ready())
            assert await asyncio.gather(*(store.increment("k", 1000) for _ in range(20)))


async def test_a_server_that_stands_still_is_away_after_the_timeouts() -> None:
    with valkey.standalone() as stored:
        async with _open(stored, seconds=0.1, listener_timeout=0.1) as store:
            await store.put("k", b"value", None)
            messages = await _listen(store, "c")
            stored.nodes[0].freeze()
            await _assert_all_refused(store, within=1.0)
            with pytest.raises(StoreUnavailableError):
                await asyncio.wait_for(_receive(messages), 2)
            stored.nodes[0].thaw()
            await wait_until(lambda: _responds(store))
            assert await store.get("k") is not None


async def test_a_listener_with_nothing_to_hear_keeps_listening() -> None:
    with valkey.standalone() as stored:
        async with _open(stored, listener_timeout=0.1) as store:
            messages = await _listen(store, "c")
            heard = asyncio.ensure_future(_receive(messages))
            await asyncio.wait([heard], timeout=0.3)
            await store.publish("c", "at last")
            assert await heard == "at last"
            await _stop(messages)


async def test_a_listener_hears_that_its_server_was_killed_and_can_listen_again() -> None:
    with valkey.standalone() as stored:
        async with _open(stored) as store:
            messages = await _listen(store, "c")
            stored.nodes[0].kill()
            with pytest.raises(StoreUnavailableError):
                await asyncio.wait_for(_receive(messages), 5)
            await asyncio.to_thread(lambda: stored.nodes[0].start().wait_until_ready())
            await _stop(await _listen(store, "c"))


@pytest.mark.parametrize("scheme", ["redis", "redis+sentinel", "redis+cluster"])
async def test_where_nobody_listens_the_store_is_away(scheme: str) -> None:
    path = "/service" if scheme == "redis+sentinel" else ""
    async with _open(RunningStore(f"{scheme}://127.0.0.1:{free_port()}{path}", ()), seconds=0.1) as store:
        for operation in OPERATIONS.values():
            with pytest.raises(StoreUnavailableError):
                await operation(store)


@pytest.mark.parametrize("kind", SHARED_KINDS)
async def test_a_wrong_password_is_a_store_that_is_away(
    started: Callable[[str], RunningStore | None], kind: str
) -> None:
    stored = started(kind)
    assert stored is not None
    if valkey.QUOTED_PASSWORD not in stored.url:
        pytest.skip("This server asks for no password.")
    wrong = RunningStore(stored.url.replace(valkey.QUOTED_PASSWORD, "wrong-one"), (), stored.ca_file)
    async with _open(wrong, seconds=0.3) as store:
        with pytest.raises(StoreUnavailableError) as error:
            await store.get("k")
        assert "wrong-one" not in str(error.value)


async def test_a_certificate_that_is_not_trusted_is_a_store_that_is_away(
    started: Callable[[str], RunningStore | None],
) -> None:
    stored = started("a standalone server with a user, over TLS")
    assert stored is not None
    async with _open(RunningStore(stored.url, ())) as store:
        with pytest.raises(StoreUnavailableError):
            await store.ping()
    async with _open(RunningStore(stored.url.replace("@localhost", "@127.0.0.1"), (), stored.ca_file)) as store:
        with pytest.raises(StoreUnavailableError):
            await store.ping()


async def test_a_replica_answers_but_takes_no_writes_and_is_not_ready(
    started: Callable[[str], RunningStore | None],
) -> None:
    stored = started("a primary that a Sentinel watches")
    assert stored is not None
    replica = RunningStore(f"redis://:{valkey.QUOTED_PASSWORD}@127.0.0.1:{stored.nodes[1].port}/2", ())
    async with _open(replica) as store:
        assert await store.get("nothing") is None
        for name in ("ping", "put", "put_new", "count", "add"):
            with pytest.raises(StoreUnavailableError):
                await OPERATIONS[name](store)


async def test_when_the_primary_is_killed_the_replica_is_found_with_all_it_knew() -> None:
    with valkey.under_sentinel(3) as stored:
        async with _open(stored) as store:
            await store.put("k", b"value", None)
            messages = await _listen(store, "c")
            with contextlib.closing(stored.nodes[0].client()) as client:
                assert client.wait(1, 2000) == 1
            stored.nodes[0].kill()
            with pytest.raises(StoreUnavailableError):
                await store.take("k")
            with pytest.raises(StoreUnavailableError):
                await asyncio.wait_for(_receive(messages), 5)
            await wait_until(lambda: _responds(store))
            assert await store.take("k") == b"value"
            assert await store.take("k") is None
            await _stop(await _listen(store, "c"))


async def test_when_a_primary_of_the_cluster_is_killed_its_keys_are_away_until_it_is_back() -> None:
    with valkey.cluster() as stored:
        async with _open(stored) as store:
            keys = [f"k{number}" for number in range(20)]
            await asyncio.gather(*(store.put(key, b"value", None) for key in keys))
            stored.nodes[1].kill()
            answers = await asyncio.gather(*(store.take(key) for key in keys), return_exceptions=True)
            assert {type(answer) for answer in answers} <= {bytes, StoreUnavailableError}
            assert StoreUnavailableError in {type(answer) for answer in answers}
            await asyncio.to_thread(lambda: stored.nodes[1].start().wait_until_ready())

            async def all_answer() -> bool:
                results = await asyncio.gather(*(store.put(key, b"new", None) for key in keys), return_exceptions=True)
                return all(result is None for result in results)

            await wait_until(all_answer)
            assert [await store.take(key) for key in keys] == [b"new"] * len(keys)
