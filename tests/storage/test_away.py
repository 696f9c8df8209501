"""Stores that go away: who asks is told so within a moment, and they are used again when they are back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.storage.open_store import servers_of
from gateway.storage.redis_store import RedisStore
from gateway.storage.store import Store, StoreAwayError
from tests.servers import valkey
from tests.servers.process import free_port
from tests.servers.valkey import Stored
from tests.storage.conftest import SHARED
from tests.storage.subject import until
from tests.storage.test_listen import _hearing, _left, _next

OPERATIONS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "get": lambda store: store.get("k"),
    "put": lambda store: store.put("k", b"value", 1000),
    "put_new": lambda store: store.put_new("k", b"value", None),
    "take": lambda store: store.take("k"),
    "replace": lambda store: store.replace("k", b"value", b"new", 1000),
    "delete": lambda store: store.delete("k"),
    "count": lambda store: store.count("k", 1000),
    "add": lambda store: store.add("k", "member", 1000),
    "remove": lambda store: store.remove("k", "member"),
    "members": lambda store: store.members("k"),
    "publish": lambda store: store.publish("c", "message"),
    "listen": lambda store: anext(store.listen("c")),
    "ping": lambda store: store.ping(),
}


@contextlib.asynccontextmanager
async def _opened(stored: Stored, seconds: float = 2.0, silence: float = 10.0) -> AsyncIterator[RedisStore]:
    store = RedisStore(
        servers_of(stored.url, stored.ca_file), connect_timeout=seconds, operation_timeout=seconds, silence=silence
    )
    before = _sockets()
    try:
        yield store
    finally:
        await store.aclose()

        async def are_closed() -> bool:
            return _sockets() <= before

        # The farewell of a TLS connection that the client gave up takes a moment; the loop must not end before it.
        await until(are_closed)


def _sockets() -> int:
    """How many sockets this process holds."""
    held = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            held += str(descriptor.readlink()).startswith("socket:")
    return held


async def _answers(store: Store) -> bool:
    try:
        await store.ping()
    except StoreAwayError:
        return False
    return True


async def _all_are_refused(store: Store, within: float) -> None:
    for name, operation in OPERATIONS.items():
        began = time.monotonic()
        with pytest.raises(StoreAwayError):
            await operation(store)
            pytest.fail(f"{name} was answered")
        assert time.monotonic() - began < within, name


async def test_a_server_that_was_killed_is_away_until_it_is_back() -> None:
    with valkey.standalone() as stored:
        async with _opened(stored) as store:
            await asyncio.gather(*(store.put(f"k{number}", b"value", None) for number in range(20)))
            stored.nodes[0].kill()
            await _all_are_refused(store, within=1.0)
            await asyncio.to_thread(stored.nodes[0].start)
            await until(lambda: _answers(store))
            assert await store.get("k1") is None
            assert await store.put_new("k1", b"value", None)


async def test_connections_that_died_unseen_are_not_used() -> None:
    with valkey.standalone() as stored:
        async with _opened(stored) as store:
            await asyncio.gather(*(store.get("k") for _ in range(20)))
            stored.nodes[0].kill()
            await asyncio.to_thread(lambda: stored.nodes[0].start().ready())
            assert await asyncio.gather(*(store.count("k", 1000) for _ in range(20)))


async def test_a_server_that_stands_still_is_away_after_the_timeouts() -> None:
    with valkey.standalone() as stored:
        async with _opened(stored, seconds=0.1, silence=0.1) as store:
            await store.put("k", b"value", None)
            messages = await _hearing(store, "c")
            stored.nodes[0].freeze()
            await _all_are_refused(store, within=1.0)
            with pytest.raises(StoreAwayError):
                await asyncio.wait_for(_next(messages), 2)
            stored.nodes[0].thaw()
            await until(lambda: _answers(store))
            assert await store.get("k") is not None


async def test_a_listener_with_nothing_to_hear_keeps_listening() -> None:
    with valkey.standalone() as stored:
        async with _opened(stored, silence=0.01) as store:
            messages = await _hearing(store, "c")
            heard = asyncio.ensure_future(_next(messages))
            await asyncio.wait([heard], timeout=0.2)
            await store.publish("c", "at last")
            assert await heard == "at last"
            await _left(messages)


async def test_a_listener_hears_that_its_server_was_killed_and_can_listen_again() -> None:
    with valkey.standalone() as stored:
        async with _opened(stored) as store:
            messages = await _hearing(store, "c")
            stored.nodes[0].kill()
            with pytest.raises(StoreAwayError):
                await asyncio.wait_for(_next(messages), 5)
            await asyncio.to_thread(lambda: stored.nodes[0].start().ready())
            await _left(await _hearing(store, "c"))


@pytest.mark.parametrize("scheme", ["redis", "redis+sentinel", "redis+cluster"])
async def test_where_nobody_listens_the_store_is_away(scheme: str) -> None:
    path = "/service" if scheme == "redis+sentinel" else ""
    async with _opened(Stored(f"{scheme}://127.0.0.1:{free_port()}{path}", ()), seconds=0.1) as store:
        for operation in OPERATIONS.values():
            with pytest.raises(StoreAwayError):
                await operation(store)


@pytest.mark.parametrize("kind", SHARED)
async def test_a_wrong_password_is_a_store_that_is_away(started: Callable[[str], Stored | None], kind: str) -> None:
    stored = started(kind)
    assert stored is not None
    if valkey.QUOTED_PASSWORD not in stored.url:
        pytest.skip("This server asks for no password.")
    wrong = Stored(stored.url.replace(valkey.QUOTED_PASSWORD, "wrong-one"), (), stored.ca_file)
    async with _opened(wrong, seconds=0.3) as store:
        with pytest.raises(StoreAwayError) as error:
            await store.get("k")
        assert "wrong-one" not in str(error.value)


async def test_a_certificate_that_is_not_trusted_is_a_store_that_is_away(
    started: Callable[[str], Stored | None],
) -> None:
    stored = started("a standalone server with a user, over TLS")
    assert stored is not None
    async with _opened(Stored(stored.url, ())) as store:
        with pytest.raises(StoreAwayError):
            await store.ping()
    async with _opened(Stored(stored.url.replace("@localhost", "@127.0.0.1"), (), stored.ca_file)) as store:
        with pytest.raises(StoreAwayError):
            await store.ping()


async def test_a_replica_answers_but_takes_no_writes_and_is_not_ready(
    started: Callable[[str], Stored | None],
) -> None:
    stored = started("a primary that a Sentinel watches")
    assert stored is not None
    replica = Stored(f"redis://:{valkey.QUOTED_PASSWORD}@127.0.0.1:{stored.nodes[1].port}/2", ())
    async with _opened(replica) as store:
        assert await store.get("nothing") is None
        for name in ("ping", "put", "put_new", "count", "add"):
            with pytest.raises(StoreAwayError):
                await OPERATIONS[name](store)


async def test_when_the_primary_is_killed_the_replica_is_found_with_all_it_knew() -> None:
    with valkey.under_sentinel(3) as stored:
        async with _opened(stored) as store:
            await store.put("k", b"value", None)
            messages = await _hearing(store, "c")
            with contextlib.closing(stored.nodes[0].client()) as client:
                assert client.wait(1, 2000) == 1
            stored.nodes[0].kill()
            with pytest.raises(StoreAwayError):
                await store.take("k")
            with pytest.raises(StoreAwayError):
                await asyncio.wait_for(_next(messages), 5)
            await until(lambda: _answers(store))
            assert await store.take("k") == b"value"
            assert await store.take("k") is None
            await _left(await _hearing(store, "c"))


async def test_when_a_primary_of_the_cluster_is_killed_its_keys_are_away_until_it_is_back() -> None:
    with valkey.cluster() as stored:
        async with _opened(stored) as store:
            keys = [f"k{number}" for number in range(20)]
            await asyncio.gather(*(store.put(key, b"value", None) for key in keys))
            stored.nodes[1].kill()
            answers = await asyncio.gather(*(store.take(key) for key in keys), return_exceptions=True)
            assert {type(answer) for answer in answers} <= {bytes, StoreAwayError}
            assert StoreAwayError in {type(answer) for answer in answers}
            await asyncio.to_thread(lambda: stored.nodes[1].start().ready())

            async def all_answer() -> bool:
                done = await asyncio.gather(*(store.put(key, b"new", None) for key in keys), return_exceptions=True)
                return all(one is None for one in done)

            await until(all_answer)
            assert [await store.take(key) for key in keys] == [b"new"] * len(keys)
