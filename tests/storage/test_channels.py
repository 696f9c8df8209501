"""Channels and their messages, for every kind of store."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import Store, StoreUnavailableError
from tests.storage.store_under_test import DEADLINE_SECONDS, StoreUnderTest
from tests.storage.test_store import ANY_TEXT


async def _listen(store: Store, channel: str) -> AsyncIterator[str | None]:
    """A listener whose subscription is active."""
    messages = store.listen(channel)
    assert await _receive(messages) is None, "nothing is known of what was published before"
    return messages


async def _receive(messages: AsyncIterator[str | None]) -> str | None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await anext(messages)


async def _stop(messages: AsyncIterator[str | None]) -> None:
    assert isinstance(messages, AsyncGenerator)
    await messages.aclose()


async def test_every_worker_that_listens_is_told_this_one_too(subject: StoreUnderTest, store: Store) -> None:
    other = subject.open()
    mine, theirs = await _listen(store, "c"), await _listen(other, "c")
    for message in ("one", "two", "three"):
        await store.publish("c", message)
    assert [await _receive(mine) for _ in range(3)] == ["one", "two", "three"]
    assert [await _receive(theirs) for _ in range(3)] == ["one", "two", "three"]
    await _stop(mine)
    await _stop(theirs)


async def test_messages_of_other_channels_and_earlier_ones_are_not_heard(store: Store) -> None:
    await store.publish("c", "too early")
    messages = await _listen(store, "c")
    await store.publish("other", "elsewhere")
    await store.publish("c", "now")
    assert await _receive(messages) == "now"
    await _stop(messages)


async def test_one_who_has_left_is_told_no_more_and_can_listen_again(store: Store) -> None:
    messages = await _listen(store, "c")
    await _stop(messages)
    await store.publish("c", "in between")
    second = await _listen(store, "c")
    await store.publish("c", "again")
    assert await _receive(second) == "again"
    await _stop(second)


async def test_a_listener_that_is_cancelled_leaves_the_store_whole(store: Store) -> None:
    listening = asyncio.ensure_future(_receive(await _listen(store, "c")))
    await asyncio.sleep(0)
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening
    await store.ping()


async def test_who_listens_when_the_store_is_closed_hears_that_the_connection_is_lost(store: Store) -> None:
    listening = asyncio.ensure_future(_receive(await _listen(store, "c")))
    await asyncio.sleep(0)
    await store.aclose()
    with pytest.raises(StoreUnavailableError):
        await asyncio.wait_for(listening, DEADLINE_SECONDS)


async def test_nobody_needs_to_listen(store: Store) -> None:
    await store.publish("c", "unheard")


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(channel=ANY_TEXT, messages=st.lists(ANY_TEXT, min_size=1, max_size=5))
async def test_a_message_and_its_channel_may_be_any_text(store: Store, channel: str, messages: list[str]) -> None:
    listener = await _listen(store, channel)
    for message in messages:
        await store.publish(channel, message)
    assert [await _receive(listener) for _ in messages] == messages
    await _stop(listener)


async def test_memory_keeps_so_many_unread_messages_and_then_breaks_off() -> None:
    store = MemoryStore(max_unread_messages=3)
    messages = await _listen(store, "c")
    for number in range(5):
        await store.publish("c", str(number))
    with pytest.raises(StoreUnavailableError):
        await _receive(messages)
    assert not store._listeners


async def test_memory_forgets_a_channel_that_nobody_listens_to() -> None:
    store = MemoryStore()
    await _stop(await _listen(store, "c"))
    assert not store._listeners
