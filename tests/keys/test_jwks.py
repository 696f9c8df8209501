"""When an issuer's keys are loaded, how often, and what serves while they cannot be."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest
from joserfc.jwk import Key

from gateway.keys.jwks import (
    DEFAULT_LIFETIME,
    LONGEST_LIFETIME,
    PAUSE,
    REFETCH_INTERVAL,
    SHORTEST_LIFETIME,
    STALE_LIFETIME,
    JwksSource,
    lifetime_of,
)
from gateway.keys.refused import TokenRefused
from gateway.policy.reasons import Reason
from tests.keys.issuing import JWKS_URL, NOW, Page, Publisher, key_set, private_key, published

OLD, NEW = private_key("ES256", 1), private_key("ES256", 2)
OLD_SET = key_set(published(OLD, "old"))
BOTH = key_set(published(OLD, "old"), published(NEW, "new"))
NEW_SET = key_set(published(NEW, "new"))


async def ask(source: JwksSource, kid: str | None, now: float) -> Key | Reason:
    try:
        return await source.key(kid, "ES256", now)
    except TokenRefused as refused:
        return refused.reason


def is_key(answer: Key | Reason) -> bool:
    return not isinstance(answer, Reason)


LIFETIMES = [
    ({}, DEFAULT_LIFETIME),
    ({"cache-control": ""}, DEFAULT_LIFETIME),
    ({"cache-control": "public"}, DEFAULT_LIFETIME),
    ({"cache-control": "max-age=60"}, 60.0),
    ({"cache-control": "public, Max-Age=60, must-revalidate"}, 60.0),
    ({"cache-control": 'max-age="60"'}, 60.0),
    ({"cache-control": "max-age=60", "age": "20"}, 40.0),
    ({"cache-control": "max-age=60", "age": "-5"}, 60.0),
    ({"cache-control": "max-age=60", "age": "soon"}, 60.0),
    ({"cache-control": "max-age=60", "age": "500"}, SHORTEST_LIFETIME),
    ({"cache-control": "max-age=0"}, SHORTEST_LIFETIME),
    ({"cache-control": "max-age=-1"}, DEFAULT_LIFETIME),
    ({"cache-control": "max-age=" + "9" * 400}, LONGEST_LIFETIME),
    ({"cache-control": "s-maxage=60"}, DEFAULT_LIFETIME),
    ({"cache-control": "x-max-age=60"}, DEFAULT_LIFETIME),
    ({"cache-control": "max-age=60, no-store"}, SHORTEST_LIFETIME),
    ({"cache-control": "no-cache"}, SHORTEST_LIFETIME),
]


@pytest.mark.parametrize(("headers", "seconds"), LIFETIMES, ids=lambda value: str(value)[:60])
def test_how_long_a_set_is_kept(headers: dict[str, str], seconds: float) -> None:
    assert lifetime_of(headers) == seconds


async def test_a_set_is_fetched_once_and_again_when_its_life_is_over() -> None:
    publisher = Publisher(Page(OLD_SET, headers={"cache-control": "max-age=60"}))
    source = publisher.source()
    assert is_key(await ask(source, "old", NOW))
    assert is_key(await ask(source, "old", NOW + 59.9))
    assert publisher.asked == [JWKS_URL]
    assert is_key(await ask(source, "old", NOW + 60))
    assert len(publisher.asked) == 2


async def test_a_key_that_was_taken_back_stops_when_the_life_of_the_set_is_over() -> None:
    # Edge case 76: removed at 30, asked at 61.
    publisher = Publisher(Page(BOTH, headers={"cache-control": "max-age=60"}))
    source = publisher.source()
    await ask(source, "old", NOW)
    publisher.page = Page(NEW_SET)
    assert is_key(await ask(source, "old", NOW + 30))
    assert await ask(source, "old", NOW + 61) is Reason.TOKEN_KEY_UNKNOWN


async def test_an_unknown_key_is_worth_one_fetch_in_a_while() -> None:
    publisher = Publisher(Page(OLD_SET))
    source = publisher.source()
    await ask(source, "old", NOW)
    for number in range(20):
        assert await ask(source, f"made-up-{number}", NOW + 1 + number) is Reason.TOKEN_KEY_UNKNOWN
    assert len(publisher.asked) == 2
    assert await ask(source, "made-up", NOW + 1 + REFETCH_INTERVAL) is Reason.TOKEN_KEY_UNKNOWN
    assert len(publisher.asked) == 3


async def test_a_set_that_was_fetched_just_now_is_not_fetched_again() -> None:
    publisher = Publisher(Page(OLD_SET))
    assert await ask(publisher.source(), "made-up", NOW) is Reason.TOKEN_KEY_UNKNOWN
    assert len(publisher.asked) == 1


async def test_a_new_key_is_found_before_the_life_of_the_set_is_over() -> None:
    publisher = Publisher(Page(OLD_SET))
    source = publisher.source()
    await ask(source, "old", NOW)
    publisher.page = Page(BOTH)
    assert is_key(await ask(source, "new", NOW + 1))
    assert is_key(await ask(source, "old", NOW + 2))
    assert len(publisher.asked) == 2


async def together(source: JwksSource, kids: Iterable[str], now: float) -> list[Key | Reason]:
    return list(await asyncio.gather(*(ask(source, kid, now) for kid in kids)))


async def test_all_who_come_first_wait_for_one_fetch() -> None:
    publisher = Publisher(Page(BOTH))
    answers = await together(publisher.source(), ["old", "new"] * 20, NOW)
    assert all(map(is_key, answers))
    assert len(publisher.asked) == 1


async def test_all_who_bring_a_new_key_wait_for_one_fetch_and_all_find_it() -> None:
    publisher = Publisher(Page(OLD_SET))
    source = publisher.source()
    await ask(source, "old", NOW)
    publisher.page = Page(BOTH)
    assert all(map(is_key, await together(source, ["new"] * 30, NOW + 1)))
    assert len(publisher.asked) == 2


async def test_one_who_goes_away_does_not_take_the_fetch_along() -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def fetch(url: str) -> Page:
        begun.set()
        await goes_on.wait()
        return Page(OLD_SET)

    source = JwksSource(url=JWKS_URL, file=None, fetch=fetch)
    first = asyncio.create_task(source.key("old", "ES256", NOW))
    await begun.wait()
    second = asyncio.create_task(source.key("old", "ES256", NOW))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    goes_on.set()
    assert (await second).thumbprint() == OLD.thumbprint()


BROKEN = {
    "no answer": ConnectionError("refused"),
    "an error status": Page(OLD_SET, status=500),
    "a redirect": Page(b"", status=302, headers={"location": "https://elsewhere.example"}),
    "no JSON": Page(b"<html>sorry</html>"),
    "no key set": Page(b"{}"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
async def test_without_any_keys_the_check_is_not_available_and_nobody_hammers_the_issuer(
    broken: Page | Exception,
) -> None:
    publisher = Publisher(broken)
    source = publisher.source()
    assert set(await together(source, ["old"] * 20, NOW)) == {Reason.TOKEN_CHECK_UNAVAILABLE}
    assert await ask(source, "old", NOW + PAUSE - 0.1) is Reason.TOKEN_CHECK_UNAVAILABLE
    assert len(publisher.asked) == 1
    publisher.page = Page(OLD_SET)
    assert is_key(await ask(source, "old", NOW + PAUSE))


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
async def test_old_keys_serve_for_a_bounded_time_while_the_issuer_is_down(broken: Page | Exception) -> None:
    publisher = Publisher(Page(OLD_SET, headers={"cache-control": "max-age=60"}))
    source = publisher.source()
    await ask(source, "old", NOW)
    publisher.page = broken
    assert is_key(await ask(source, "old", NOW + 61))
    assert is_key(await ask(source, "old", NOW + 60 + STALE_LIFETIME - 1))
    assert await ask(source, "old", NOW + 60 + STALE_LIFETIME) is Reason.TOKEN_CHECK_UNAVAILABLE


async def test_while_the_issuer_is_down_nobody_can_tell_whether_a_key_is_new() -> None:
    publisher = Publisher(Page(OLD_SET))
    source = publisher.source()
    await ask(source, "old", NOW)
    publisher.page = ConnectionError("refused")
    assert await ask(source, "new", NOW + 1) is Reason.TOKEN_CHECK_UNAVAILABLE
    assert await ask(source, "new", NOW + 2) is Reason.TOKEN_CHECK_UNAVAILABLE
    assert len(publisher.asked) == 2
    assert is_key(await ask(source, "old", NOW + 3))
    publisher.page = Page(BOTH)
    assert is_key(await ask(source, "new", NOW + 1 + REFETCH_INTERVAL))


async def test_the_log_learns_why_the_keys_cannot_be_had() -> None:
    with pytest.raises(TokenRefused) as caught:
        await Publisher(Page(b"", status=503)).source().key("old", "ES256", NOW)
    assert "status 503" in caught.value.detail


async def no_fetch(url: str) -> Page:
    raise AssertionError(url)


async def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(OLD_SET)
    source = JwksSource(url=None, file=str(file), fetch=no_fetch)
    assert is_key(await ask(source, "old", NOW))
    file.write_bytes(NEW_SET)
    assert is_key(await ask(source, "old", NOW + SHORTEST_LIFETIME - 0.1))
    assert is_key(await ask(source, "new", NOW + SHORTEST_LIFETIME))
    assert await ask(source, "old", NOW + SHORTEST_LIFETIME) is Reason.TOKEN_KEY_UNKNOWN


async def test_a_file_is_read_again_at_once_for_a_new_key(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(OLD_SET)
    source = JwksSource(url=None, file=str(file), fetch=no_fetch)
    await ask(source, "old", NOW)
    file.write_bytes(BOTH)
    assert is_key(await ask(source, "new", NOW + 1))


async def test_a_file_that_is_gone_or_half_written_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(OLD_SET)
    source = JwksSource(url=None, file=str(file), fetch=no_fetch)
    await ask(source, "old", NOW)
    file.write_bytes(OLD_SET[:40])
    assert is_key(await ask(source, "old", NOW + 20))
    file.unlink()
    assert is_key(await ask(source, "old", NOW + 40))
    assert await ask(source, "old", NOW + 40 + STALE_LIFETIME) is Reason.TOKEN_CHECK_UNAVAILABLE


async def test_a_set_that_has_not_changed_is_not_read_anew() -> None:
    publisher = Publisher(Page(OLD_SET, headers={"cache-control": "no-store"}))
    source = publisher.source()
    first = await ask(source, "old", NOW)
    assert await ask(source, "old", NOW + SHORTEST_LIFETIME) is first
    assert len(publisher.asked) == 2
