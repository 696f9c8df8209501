"""When and how often the keys of an issuer are loaded, and which keys are used while they cannot be."""

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest
from joserfc.jwk import Key

from gateway.credentials.issuer_keys import (
    DEFAULT_LIFETIME_SECONDS,
    MAX_ISSUER_KEYS_LIFETIME_SECONDS,
    MIN_ISSUER_KEYS_LIFETIME_SECONDS,
    REFETCH_INTERVAL_SECONDS,
    RETRY_DELAY_SECONDS,
    STALE_LIFETIME_SECONDS,
    IssuerKeys,
    cache_lifetime,
)
from gateway.credentials.token_refused import TokenRefused
from gateway.policy.reasons import Reason
from tests.credentials.signed_tokens import (
    JWKS_URL,
    NOW,
    StubDocument,
    StubPublisher,
    jwks_document,
    private_key,
    published_jwk,
)

OLD, NEW = private_key("ES256", 1), private_key("ES256", 2)
OLD_SET = jwks_document(published_jwk(OLD, "old"))
BOTH_SET = jwks_document(published_jwk(OLD, "old"), published_jwk(NEW, "new"))
NEW_SET = jwks_document(published_jwk(NEW, "new"))


async def get_key_or_reason(source: IssuerKeys, kid: str | None, now: float) -> Key | Reason:
    try:
        return await source.get_key(kid, "ES256", now)
    except TokenRefused as refused:
        return refused.reason


def is_key(result: Key | Reason) -> bool:
    return not isinstance(result, Reason)


LIFETIMES = [
    ({}, DEFAULT_LIFETIME_SECONDS),
    ({"cache-control": ""}, DEFAULT_LIFETIME_SECONDS),
    ({"cache-control": "public"}, DEFAULT_LIFETIME_SECONDS),
    ({"cache-control": "max-age=60"}, 60.0),
    ({"cache-control": "public, Max-Age=60, must-revalidate"}, 60.0),
    ({"cache-control": 'max-age="60"'}, 60.0),
    ({"cache-control": "max-age=60", "age": "20"}, 40.0),
    ({"cache-control": "max-age=60", "age": "-5"}, 60.0),
    ({"cache-control": "max-age=60", "age": "soon"}, 60.0),
    ({"cache-control": "max-age=60", "age": "500"}, MIN_ISSUER_KEYS_LIFETIME_SECONDS),
    ({"cache-control": "max-age=0"}, MIN_ISSUER_KEYS_LIFETIME_SECONDS),
    ({"cache-control": "max-age=-1"}, DEFAULT_LIFETIME_SECONDS),
    ({"cache-control": "max-age=" + "9" * 400}, MAX_ISSUER_KEYS_LIFETIME_SECONDS),
    ({"cache-control": "s-maxage=60"}, DEFAULT_LIFETIME_SECONDS),
    ({"cache-control": "x-max-age=60"}, DEFAULT_LIFETIME_SECONDS),
    ({"cache-control": "max-age=60, no-store"}, MIN_ISSUER_KEYS_LIFETIME_SECONDS),
    ({"cache-control": "no-cache"}, MIN_ISSUER_KEYS_LIFETIME_SECONDS),
]


@pytest.mark.parametrize(("headers", "seconds"), LIFETIMES, ids=lambda value: str(value)[:60])
def test_how_long_a_set_is_kept(headers: dict[str, str], seconds: float) -> None:
    assert cache_lifetime(headers) == seconds


async def test_a_set_is_fetched_once_and_again_when_its_life_is_over() -> None:
    publisher = StubPublisher(StubDocument(OLD_SET, headers={"cache-control": "max-age=60"}))
    source = publisher.issuer_keys()
    loaded = [source.loaded_at]
    assert is_key(await get_key_or_reason(source, "old", NOW))
    assert is_key(await get_key_or_reason(source, "old", NOW + 59.9))
    assert publisher.requested_urls == [JWKS_URL]
    loaded.append(source.loaded_at)
    assert is_key(await get_key_or_reason(source, "old", NOW + 60))
    assert len(publisher.requested_urls) == 2
    assert [*loaded, source.loaded_at] == [None, NOW, NOW + 60]


async def test_a_key_that_was_taken_back_stops_when_the_life_of_the_set_is_over() -> None:
    # Edge case 76: removed at 30, used at 61.
    publisher = StubPublisher(StubDocument(BOTH_SET, headers={"cache-control": "max-age=60"}))
    source = publisher.issuer_keys()
    await get_key_or_reason(source, "old", NOW)
    publisher.document = StubDocument(NEW_SET)
    assert is_key(await get_key_or_reason(source, "old", NOW + 30))
    assert await get_key_or_reason(source, "old", NOW + 61) is Reason.TOKEN_KEY_UNKNOWN


async def test_an_unknown_key_is_worth_one_fetch_in_a_while() -> None:
    publisher = StubPublisher(StubDocument(OLD_SET))
    source = publisher.issuer_keys()
    await get_key_or_reason(source, "old", NOW)
    for number in range(20):
        assert await get_key_or_reason(source, f"made-up-{number}", NOW + 1 + number) is Reason.TOKEN_KEY_UNKNOWN
    assert len(publisher.requested_urls) == 2
    assert await get_key_or_reason(source, "made-up", NOW + 1 + REFETCH_INTERVAL_SECONDS) is Reason.TOKEN_KEY_UNKNOWN
    assert len(publisher.requested_urls) == 3


async def test_a_set_that_was_fetched_just_now_is_not_fetched_again() -> None:
    publisher = StubPublisher(StubDocument(OLD_SET))
    assert await get_key_or_reason(publisher.issuer_keys(), "made-up", NOW) is Reason.TOKEN_KEY_UNKNOWN
    assert len(publisher.requested_urls) == 1


async def test_a_new_key_is_found_before_the_life_of_the_set_is_over() -> None:
    publisher = StubPublisher(StubDocument(OLD_SET))
    source = publisher.issuer_keys()
    await get_key_or_reason(source, "old", NOW)
    publisher.document = StubDocument(BOTH_SET)
    assert is_key(await get_key_or_reason(source, "new", NOW + 1))
    assert is_key(await get_key_or_reason(source, "old", NOW + 2))
    assert len(publisher.requested_urls) == 2


async def get_keys_at_once(source: IssuerKeys, kids: Iterable[str], now: float) -> list[Key | Reason]:
    return list(await asyncio.gather(*(get_key_or_reason(source, kid, now) for kid in kids)))


async def test_all_who_come_first_wait_for_one_fetch() -> None:
    publisher = StubPublisher(StubDocument(BOTH_SET))
    answers = await get_keys_at_once(publisher.issuer_keys(), ["old", "new"] * 20, NOW)
    assert all(map(is_key, answers))
    assert len(publisher.requested_urls) == 1


async def test_all_who_bring_a_new_key_wait_for_one_fetch_and_all_find_it() -> None:
    publisher = StubPublisher(StubDocument(OLD_SET))
    source = publisher.issuer_keys()
    await get_key_or_reason(source, "old", NOW)
    publisher.document = StubDocument(BOTH_SET)
    assert all(map(is_key, await get_keys_at_once(source, ["new"] * 30, NOW + 1)))
    assert len(publisher.requested_urls) == 2


async def test_one_who_goes_away_does_not_take_the_fetch_along() -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def fetch(url: str) -> StubDocument:
        begun.set()
        await goes_on.wait()
        return StubDocument(OLD_SET)

    source = IssuerKeys(url=JWKS_URL, file=None, fetch=fetch)
    first = asyncio.create_task(source.get_key("old", "ES256", NOW))
    await begun.wait()
    second = asyncio.create_task(source.get_key("old", "ES256", NOW))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    goes_on.set()
    assert (await second).thumbprint() == OLD.thumbprint()


BROKEN = {
    "no answer": ConnectionError("refused"),
    "an error status": StubDocument(OLD_SET, status=500),
    "a redirect": StubDocument(b"", status=302, headers={"location": "https://elsewhere.example"}),
    "no JSON": StubDocument(b"<html>sorry</html>"),
    "no key set": StubDocument(b"{}"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
async def test_without_any_keys_the_check_is_not_available_and_nobody_hammers_the_issuer(
    broken: StubDocument | Exception,
) -> None:
    publisher = StubPublisher(broken)
    source = publisher.issuer_keys()
    assert set(await get_keys_at_once(source, ["old"] * 20, NOW)) == {Reason.TOKEN_CHECK_UNAVAILABLE}
    assert await get_key_or_reason(source, "old", NOW + RETRY_DELAY_SECONDS - 0.1) is Reason.TOKEN_CHECK_UNAVAILABLE
    assert len(publisher.requested_urls) == 1
    publisher.document = StubDocument(OLD_SET)
    assert is_key(await get_key_or_reason(source, "old", NOW + RETRY_DELAY_SECONDS))


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
async def test_old_keys_serve_for_a_bounded_time_while_the_issuer_is_down(broken: StubDocument | Exception) -> None:
    publisher = StubPublisher(StubDocument(OLD_SET, headers={"cache-control": "max-age=60"}))
    source = publisher.issuer_keys()
    await get_key_or_reason(source, "old", NOW)
    publisher.document = broken
    assert is_key(await get_key_or_reason(source, "old", NOW + 61))
    assert is_key(await get_key_or_reason(source, "old", NOW + 60 + STALE_LIFETIME_SECONDS - 1))
    assert await get_key_or_reason(source, "old", NOW + 60 + STALE_LIFETIME_SECONDS) is Reason.TOKEN_CHECK_UNAVAILABLE


async def test_while_the_issuer_is_down_nobody_can_tell_whether_a_key_is_new() -> None:
    publisher = StubPublisher(StubDocument(OLD_SET))
    source = publisher.issuer_keys()
    await get_key_or_reason(source, "old", NOW)
    publisher.document = ConnectionError("refused")
    assert await get_key_or_reason(source, "new", NOW + 1) is Reason.TOKEN_CHECK_UNAVAILABLE
    assert await get_key_or_reason(source, "new", NOW + 2) is Reason.TOKEN_CHECK_UNAVAILABLE
    assert len(publisher.requested_urls) == 2
    assert is_key(await get_key_or_reason(source, "old", NOW + 3))
    publisher.document = StubDocument(BOTH_SET)
    assert is_key(await get_key_or_reason(source, "new", NOW + 1 + REFETCH_INTERVAL_SECONDS))


async def test_an_issuer_that_is_down_is_one_line_of_the_log_and_so_is_its_return(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    publisher = StubPublisher(StubDocument(OLD_SET))
    source = publisher.issuer_keys()
    now = NOW
    for document in (ConnectionError("no route"), StubDocument(OLD_SET)):
        publisher.document = document
        for _ in range(3):
            now += STALE_LIFETIME_SECONDS + DEFAULT_LIFETIME_SECONDS + RETRY_DELAY_SECONDS
            await get_key_or_reason(source, "old", now)
    assert [(record.message, record.__dict__["source"]) for record in caplog.records] == [
        ("the keys of an issuer cannot be loaded", JWKS_URL),
        ("the keys of an issuer can be loaded again", JWKS_URL),
    ]


async def test_the_log_learns_why_the_keys_cannot_be_had() -> None:
    with pytest.raises(TokenRefused) as caught:
        await StubPublisher(StubDocument(b"", status=503)).issuer_keys().get_key("old", "ES256", NOW)
    assert "status 503" in caught.value.detail


async def no_fetch(url: str) -> StubDocument:
    raise AssertionError(url)


async def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(OLD_SET)
    source = IssuerKeys(url=None, file=str(file), fetch=no_fetch)
    assert is_key(await get_key_or_reason(source, "old", NOW))
    file.write_bytes(NEW_SET)
    assert is_key(await get_key_or_reason(source, "old", NOW + MIN_ISSUER_KEYS_LIFETIME_SECONDS - 0.1))
    assert is_key(await get_key_or_reason(source, "new", NOW + MIN_ISSUER_KEYS_LIFETIME_SECONDS))
    assert await get_key_or_reason(source, "old", NOW + MIN_ISSUER_KEYS_LIFETIME_SECONDS) is Reason.TOKEN_KEY_UNKNOWN


async def test_a_file_is_read_again_at_once_for_a_new_key(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(OLD_SET)
    source = IssuerKeys(url=None, file=str(file), fetch=no_fetch)
    await get_key_or_reason(source, "old", NOW)
    file.write_bytes(BOTH_SET)
    assert is_key(await get_key_or_reason(source, "new", NOW + 1))


async def test_a_file_that_is_gone_or_half_written_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(OLD_SET)
    source = IssuerKeys(url=None, file=str(file), fetch=no_fetch)
    await get_key_or_reason(source, "old", NOW)
    file.write_bytes(OLD_SET[:40])
    assert is_key(await get_key_or_reason(source, "old", NOW + 20))
    file.unlink()
    assert is_key(await get_key_or_reason(source, "old", NOW + 40))
    assert await get_key_or_reason(source, "old", NOW + 40 + STALE_LIFETIME_SECONDS) is Reason.TOKEN_CHECK_UNAVAILABLE


async def test_a_set_that_has_not_changed_is_not_read_anew() -> None:
    publisher = StubPublisher(StubDocument(OLD_SET, headers={"cache-control": "no-store"}))
    source = publisher.issuer_keys()
    first = await get_key_or_reason(source, "old", NOW)
    assert await get_key_or_reason(source, "old", NOW + MIN_ISSUER_KEYS_LIFETIME_SECONDS) is first
    assert len(publisher.requested_urls) == 2
