"""The operations of `Store`, for every kind of store."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.storage.backends.store import Store, StoreUnavailableError
from tests.storage.store_under_test import StoreUnderTest

SHORT = 0.05
LONG = 1000.0

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))  # lone surrogates too
FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def test_there_is_no_value_at_first(store: Store) -> None:
    assert await store.get("k") is None
    assert await store.take("k") is None
    assert not await store.delete("k")
    assert not await store.replace("k", b"", b"new", None)
    assert await store.get("k") is None
    assert await store.members("k") == frozenset()


async def test_put_sets_the_value_whatever_was_there(store: Store) -> None:
    await store.put("k", b"one", None)
    await store.put("k", b"two", LONG)
    assert await store.get("k") == b"two"


async def test_put_sets_the_life_anew(subject: StoreUnderTest, store: Store) -> None:
    await store.put("k", b"one", LONG)
    assert _is_about(await subject.remaining_lifetime("value", "k"), LONG)
    await store.put("k", b"two", LONG / 2)
    assert _is_about(await subject.remaining_lifetime("value", "k"), LONG / 2)
    await store.put("k", b"three", None)
    assert await subject.remaining_lifetime("value", "k") is None


async def test_a_value_is_gone_when_its_life_is_over(subject: StoreUnderTest, store: Store) -> None:
    await store.put("k", b"value", SHORT)

    async def gone() -> bool:
        return await store.get("k") is None

    await subject.wait_until_expired(SHORT, gone)
    assert await store.take("k") is None
    assert not await store.delete("k")
    assert not await store.replace("k", b"value", b"new", None)
    assert await store.put_new("k", b"new", None)


@pytest.mark.parametrize("lifetime", [0.0, -5.0, 1e-9], ids=["none", "less than none", "next to none"])
async def test_a_life_that_is_over_at_once_ends_within_a_millisecond(
    subject: StoreUnderTest, store: Store, lifetime: float
) -> None:
    await store.put("k", b"value", lifetime)

    async def gone() -> bool:
        return await store.get("k") is None

    await subject.wait_until_expired(0.001, gone)


@pytest.mark.parametrize("lifetime", [1e12, 1e300, float("inf")])
async def test_a_life_of_any_length_is_taken(store: Store, lifetime: float) -> None:
    await store.put("k", b"value", lifetime)
    await store.add_member("s", "member", lifetime)
    assert await store.increment("n", lifetime) == 1
    assert await store.get("k") == b"value"


async def test_put_new_sets_the_value_if_there_is_none_and_says_whether(subject: StoreUnderTest, store: Store) -> None:
    assert await store.put_new("k", b"one", LONG)
    assert not await store.put_new("k", b"two", None)
    assert await store.get("k") == b"one"
    assert _is_about(await subject.remaining_lifetime("value", "k"), LONG)


async def test_an_empty_value_is_a_value(store: Store) -> None:
    assert await store.put_new("k", b"", None)
    assert not await store.put_new("k", b"two", None)
    assert await store.replace("k", b"", b"three", None)
    assert not await store.replace("k", b"", b"four", None)
    await store.put("k", b"", None)
    assert await store.take("k") == b""


async def test_take_gets_the_value_and_removes_it(store: Store) -> None:
    await store.put("k", b"value", None)
    assert await store.take("k") == b"value"
    assert await store.get("k") is None


async def test_replace_sets_the_value_only_if_it_is_still_the_expected(subject: StoreUnderTest, store: Store) -> None:
    await store.put("k", b"one", None)
    assert not await store.replace("k", b"other", b"two", LONG)
    assert await store.get("k") == b"one"
    assert await subject.remaining_lifetime("value", "k") is None
    assert await store.replace("k", b"one", b"two", LONG)
    assert await store.get("k") == b"two"
    assert _is_about(await subject.remaining_lifetime("value", "k"), LONG)
    assert await store.replace("k", b"two", b"two", None)
    assert await subject.remaining_lifetime("value", "k") is None


async def test_delete_removes_the_value_and_says_whether_there_was_one(store: Store) -> None:
    await store.put("k", b"value", None)
    assert await store.delete("k")
    assert not await store.delete("k")
    assert await store.get("k") is None


async def test_count_adds_one_and_returns_how_many_that_makes(store: Store) -> None:
    assert [await store.increment("k", LONG) for _ in range(12)] == list(range(1, 13))
    assert await store.increment("other", LONG) == 1


async def test_a_count_can_grow_by_more_than_one(store: Store) -> None:
    assert [await store.increment("k", LONG, amount) for amount in (1000, 1, 24)] == [1000, 1001, 1025]


async def test_the_life_of_a_count_begins_with_the_first_and_is_not_prolonged(
    subject: StoreUnderTest, store: Store
) -> None:
    assert await store.increment("k", LONG) == 1
    assert await store.increment("k", 10 * LONG) == 2
    assert _is_about(await subject.remaining_lifetime("value", "k"), LONG)


async def test_a_count_begins_anew_when_its_life_is_over(subject: StoreUnderTest, store: Store) -> None:
    await store.increment("k", SHORT)

    async def gone() -> bool:
        return await store.get("k") is None

    await subject.wait_until_expired(SHORT, gone)
    assert await store.increment("k", LONG) == 1


async def test_a_count_can_be_deleted(store: Store) -> None:
    await store.increment("k", LONG)
    assert await store.delete("k")
    assert await store.increment("k", LONG) == 1


@pytest.mark.parametrize("value", [b"", b"ten", b"07", b"+1", b" 1", b"-0", b"1.5", b"9" * 30])
async def test_a_value_that_is_no_count_is_not_counted(store: Store, value: bytes) -> None:
    await store.put("k", value, None)
    with pytest.raises(StoreUnavailableError):
        await store.increment("k", LONG)
    assert await store.get("k") == value


async def test_a_set_has_the_members_added_and_not_removed(store: Store) -> None:
    for member in ("a", "b", "a", ""):
        await store.add_member("k", member, None)
    assert await store.members("k") == {"a", "b", ""}
    await store.remove_member("k", "a")
    await store.remove_member("k", "stranger")
    assert await store.members("k") == {"b", ""}
    await store.remove_member("k", "b")
    await store.remove_member("k", "")
    await store.remove_member("k", "")
    assert await store.members("k") == frozenset()


async def test_the_whole_set_lives_at_least_as_long_as_any_member_was_promised(
    subject: StoreUnderTest, store: Store
) -> None:
    await store.add_member("k", "a", LONG)
    await store.add_member("k", "b", LONG / 2)
    assert _is_about(await subject.remaining_lifetime("members", "k"), LONG)
    await store.add_member("k", "a", 2 * LONG)
    assert _is_about(await subject.remaining_lifetime("members", "k"), 2 * LONG)
    await store.add_member("k", "a", None)
    assert await subject.remaining_lifetime("members", "k") is None
    await store.add_member("k", "c", LONG / 2)
    assert await subject.remaining_lifetime("members", "k") is None
    assert await store.members("k") == {"a", "b", "c"}


async def test_a_set_is_gone_when_its_life_is_over(subject: StoreUnderTest, store: Store) -> None:
    await store.add_member("k", "a", SHORT)

    async def gone() -> bool:
        return await store.members("k") == frozenset()

    await subject.wait_until_expired(SHORT, gone)
    await store.add_member("k", "b", LONG)
    assert await store.members("k") == {"b"}
    assert _is_about(await subject.remaining_lifetime("members", "k"), LONG)


async def test_each_member_of_a_set_has_a_life_of_its_own(subject: StoreUnderTest, store: Store) -> None:
    await store.add_member("k", "short", SHORT)
    await store.add_member("k", "long", LONG)
    await store.add_member("k", "prolonged", SHORT)
    await store.add_member("k", "prolonged", LONG)
    await store.add_member("k", "never shortened", LONG)
    await store.add_member("k", "never shortened", SHORT)

    async def gone() -> bool:
        return "short" not in await store.members("k")

    await subject.wait_until_expired(SHORT, gone)
    assert await store.members("k") == {"long", "prolonged", "never shortened"}


async def test_a_set_that_lost_its_last_member_begins_a_new_life(subject: StoreUnderTest, store: Store) -> None:
    await store.add_member("k", "a", None)
    await store.remove_member("k", "a")
    await store.add_member("k", "b", LONG)
    assert _is_about(await subject.remaining_lifetime("members", "k"), LONG)


async def test_a_value_and_a_set_of_one_key_do_not_know_each_other(store: Store) -> None:
    await store.put("k", b"value", None)
    await store.add_member("k", "member", None)
    assert await store.delete("k")
    assert await store.members("k") == {"member"}
    assert await store.increment("k", LONG) == 1


async def test_what_one_worker_writes_another_reads(subject: StoreUnderTest, store: Store) -> None:
    await store.put("k", b"value", None)
    await store.add_member("k", "member", None)
    other = subject.open()
    assert await other.take("k") == b"value"
    assert await other.members("k") == {"member"}
    assert await store.get("k") is None


@FEW
@given(key=ANY_TEXT, other=ANY_TEXT, value=st.binary())
async def test_a_key_may_be_any_text_and_a_value_any_bytes(store: Store, key: str, other: str, value: bytes) -> None:
    await store.put(key, value, LONG)
    assert await store.get(key) == value
    if other != key:
        assert await store.get(other) is None
    assert await store.replace(key, value, value + b"\0\r\n", LONG)
    assert await store.take(key) == value + b"\0\r\n"


@FEW
@given(key=ANY_TEXT, members=st.frozensets(ANY_TEXT, min_size=1))
async def test_a_member_may_be_any_text(store: Store, key: str, members: frozenset[str]) -> None:
    for member in members:
        await store.add_member(key, member, LONG)
    assert await store.members(key) == members
    for member in members:
        await store.remove_member(key, member)
    assert await store.members(key) == frozenset()


async def test_a_value_may_have_a_megabyte(store: Store) -> None:
    value = bytes(range(256)) * 4096
    await store.put("k", value, LONG)
    assert await store.replace("k", value, value[::-1], LONG)
    assert await store.get("k") == value[::-1]
    assert await store.take("k") == value[::-1]


async def test_ping_returns(store: Store) -> None:
    await store.ping()


async def test_a_closed_store_is_away_and_closes_again(store: Store) -> None:
    await store.put("k", b"value", None)
    await store.aclose()
    await store.aclose()
    with pytest.raises(StoreUnavailableError):
        await store.get("k")
    with pytest.raises(StoreUnavailableError):
        await store.ping()
    with pytest.raises(StoreUnavailableError):
        await anext(store.listen("c"))


def _is_about(remaining: float | None, lifetime: float) -> bool:
    """Whether it is that lifetime, less the duration of the test."""
    return remaining is not None and lifetime - 60 < remaining <= lifetime


async def test_how_long_a_value_lives_is_said(store: Store) -> None:
    assert await store.lifetime_left("k") == 0
    await store.put("k", b"value", LONG)
    assert _is_about(await store.lifetime_left("k"), LONG)
    await store.put("k", b"value", None)
    assert await store.lifetime_left("k") is None
    await store.increment("n", LONG)
    assert _is_about(await store.lifetime_left("n"), LONG)
