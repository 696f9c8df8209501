"""What the door says of messages, for every kind of store."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.storage.memory_store import MemoryStore
from gateway.storage.store import Store, StoreAwayError
from tests.storage.subject import DEADLINE_SECONDS, Subject
from tests.storage.test_store import ANY_TEXT

BEGIN = "begin"


async def _hearing(store: Store, channel: str, publisher: Store | None = None) -> AsyncIterator[str]:
    """A listener whose subscription is in force: `BEGIN` was told until it was heard, and is passed over from here."""
    messages = store.listen(channel)
    first = asyncio.ensure_future(anext(messages))
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not first.done():
            await (publisher or store).publish(channel, BEGIN)
            await asyncio.wait([first], timeout=0.005)
    assert first.result() == BEGIN
    return messages


async def _next(messages: AsyncIterator[str]) -> str:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (message := await anext(messages)) == BEGIN:
            pass
    return message


async def _left(messages: AsyncIterator[str]) -> None:
    assert isinstance(messages, AsyncGenerator)
    await messages.aclose()


async def test_every_worker_that_listens_is_told_this_one_too(subject: Subject, store: Store) -> None:
    other = subject.open()
    mine, theirs = await _hearing(store, "c"), await _hearing(other, "c")
    for message in ("one", "two", "three"):
        await store.publish("c", message)
    assert [await _next(mine) for _ in range(3)] == ["one", "two", "three"]
    assert [await _next(theirs) for _ in range(3)] == ["one", "two", "three"]
    await _left(mine)
    await _left(theirs)


async def test_messages_of_other_channels_and_earlier_ones_are_not_heard(store: Store) -> None:
    await store.publish("c", "too early")
    messages = await _hearing(store, "c")
    await store.publish("other", "elsewhere")
    await store.publish("c", "now")
    assert await _next(messages) == "now"
    await _left(messages)


async def test_one_who_has_left_is_told_no_more_and_can_listen_again(store: Store) -> None:
    messages = await _hearing(store, "c")
    await _left(messages)
    await store.publish("c", "in between")
    again = await _hearing(store, "c")
    await store.publish("c", "again")
    assert await _next(again) == "again"
    await _left(again)


async def test_a_listener_that_is_cancelled_leaves_the_store_whole(store: Store) -> None:
    listening = asyncio.ensure_future(_next(await _hearing(store, "c")))
    await asyncio.sleep(0)
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening
    await store.ping()


async def test_who_listens_when_the_store_is_closed_hears_that_the_connection_is_lost(store: Store) -> None:
    listening = asyncio.ensure_future(_next(await _hearing(store, "c")))
    await asyncio.sleep(0)
    await store.aclose()
    with pytest.raises(StoreAwayError):
        await asyncio.wait_for(listening, DEADLINE_SECONDS)


async def test_nobody_needs_to_listen(store: Store) -> None:
    await store.publish("c", "unheard")


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(channel=ANY_TEXT, messages=st.lists(ANY_TEXT.filter(lambda text: text != BEGIN), min_size=1, max_size=5))
async def test_a_message_and_its_channel_may_be_any_text(store: Store, channel: str, messages: list[str]) -> None:
    heard = await _hearing(store, channel)
    for message in messages:
        await store.publish(channel, message)
    assert [await _next(heard) for _ in messages] == messages
    await _left(heard)


async def test_memory_keeps_so_many_unread_messages_and_then_breaks_off() -> None:
    store = MemoryStore(waiting_messages=3)
    messages = await _hearing(store, "c")
    for number in range(5):
        await store.publish("c", str(number))
    with pytest.raises(StoreAwayError):
        await _next(messages)
    assert not store._listeners


async def test_memory_forgets_a_channel_that_nobody_listens_to() -> None:
    store = MemoryStore()
    await _left(await _hearing(store, "c"))
    assert not store._listeners
