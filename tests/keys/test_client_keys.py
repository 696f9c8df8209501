"""When a client's keys are fetched, how long they serve, and that they never serve longer (CA-9..CA-15, edge 76-77)."""

import asyncio
import dataclasses
import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from joserfc.jwk import Key

from gateway.keys.client_keys import LONGEST_LIFETIME, PAUSE, ClientKeys, permitted_lifetime
from gateway.keys.jwks import DEFAULT_LIFETIME, REFETCH_INTERVAL
from gateway.oauth.assertion import AssertionRefused
from gateway.oauth.client import AuthenticationMethod, Client
from gateway.upstream.control import ControlClient
from tests.keys.issuing import NOW, Page, key_set, private_key, published
from tests.keys.publishing import publishing

OLD, NEW = private_key("ES384", 1), private_key("ES384", 2)
RSA = private_key("RS384", 1)
OLD_SET = key_set(published(OLD, "old"))
BOTH = key_set(published(OLD, "old"), published(NEW, "new"))
NEW_SET = key_set(published(NEW, "new"))
UNKNOWN = "the client has no single key of that kid that fits the alg"
CLIENT = Client("app", "App", AuthenticationMethod.PRIVATE_KEY_JWT)


def by_url(url: str) -> Client:
    return dataclasses.replace(CLIENT, jwks_uri=url)


def by_value(*members: dict[str, Any]) -> Client:
    return dataclasses.replace(CLIENT, jwks={"keys": list(members)})


async def ask(keys: ClientKeys, client: Client, kid: str, now: float, algorithm: str = "ES384") -> Key | str:
    """The key, or why there is none."""
    try:
        return await keys.key(client, kid, algorithm, now)
    except AssertionRefused as refused:
        return refused.detail


def is_key(answer: Key | str) -> bool:
    return not isinstance(answer, str)


LIFETIMES: dict[str, tuple[dict[str, str], float]] = {
    "nothing said": ({}, DEFAULT_LIFETIME),
    "an empty field": ({"cache-control": ""}, DEFAULT_LIFETIME),
    "nothing said of time": ({"cache-control": "public, must-revalidate"}, DEFAULT_LIFETIME),
    "a minute": ({"cache-control": "max-age=60"}, 60.0),
    "a minute in capitals among others": ({"cache-control": "public, Max-Age=60, must-revalidate"}, 60.0),
    "a minute in quotes": ({"cache-control": 'max-age="60"'}, 60.0),
    "a second": ({"cache-control": "max-age=1"}, 1.0),
    "a minute, of which a part was spent on the way": ({"cache-control": "max-age=60", "age": "20"}, 40.0),
    "a minute, all of it spent on the way": ({"cache-control": "max-age=60", "age": "500"}, 0.0),
    "a minute and an age that is none": ({"cache-control": "max-age=60", "age": "soon"}, 60.0),
    "two times, of which the shorter holds": ({"cache-control": "max-age=300, max-age=5"}, 5.0),
    "a shorter time for shared caches": ({"cache-control": "max-age=300, s-maxage=5"}, 5.0),
    "a year": ({"cache-control": "max-age=31536000"}, LONGEST_LIFETIME),
    "a time without end": ({"cache-control": "max-age=" + "9" * 400}, LONGEST_LIFETIME),
    "no time": ({"cache-control": "max-age=0"}, 0.0),
    "a negative time": ({"cache-control": "max-age=-1"}, 0.0),
    "a time that is none": ({"cache-control": "max-age=soon"}, 0.0),
    "a time left out": ({"cache-control": "max-age"}, 0.0),
    "not to be stored": ({"cache-control": "no-store"}, 0.0),
    "not to be stored, and a time": ({"cache-control": "max-age=60, No-Store"}, 0.0),
    "to be checked each time": ({"cache-control": "no-cache"}, 0.0),
    "a field to be checked each time": ({"cache-control": 'max-age=60, no-cache="set-cookie, max-age=9"'}, 0.0),
    "a word that only ends so": ({"cache-control": "x-max-age=5"}, DEFAULT_LIFETIME),
    "a time inside another's quotes": ({"cache-control": 'x="a, max-age=5", max-age=60'}, 60.0),
    "an older prohibition": ({"pragma": "no-cache"}, 0.0),
    "an older bound, which is not read": ({"expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
    "an older bound beside a time": ({"cache-control": "max-age=60", "expires": "0"}, 60.0),
}


@pytest.mark.requirement("CA-11", "CA-14")
@pytest.mark.parametrize(("headers", "seconds"), LIFETIMES.values(), ids=LIFETIMES.keys())
def test_how_long_a_set_may_be_kept(headers: dict[str, str], seconds: float) -> None:
    assert permitted_lifetime(headers) == seconds


INLINE: dict[str, tuple[list[dict[str, Any]], str, str, Key | str]] = {
    "the key of that kid": ([published(OLD, "old"), published(NEW, "new")], "new", "ES384", NEW),
    "no key of that kid": ([published(OLD, "old")], "new", "ES384", UNKNOWN),
    "two keys of that kid": ([published(OLD, "same"), published(NEW, "same")], "same", "ES384", UNKNOWN),
    "two keys of that kid and of two types": (
        [published(OLD, "same"), published(RSA, "same")],
        "same",
        "ES384",
        UNKNOWN,
    ),
    "one key listed twice, which is one key": ([published(OLD, "old")] * 2, "old", "ES384", OLD),
    "an EC key for an RSA algorithm": ([published(OLD, "old")], "old", "RS384", UNKNOWN),
    "an RSA key for an EC algorithm": ([published(RSA, "rsa")], "rsa", "ES384", UNKNOWN),
    "an EC key of another curve": ([published(OLD, "old")], "old", "ES256", UNKNOWN),
    "an RSA key": ([published(RSA, "rsa")], "rsa", "RS384", RSA),
    "a key that says it is for another algorithm": ([published(RSA, "rsa", alg="RS256")], "rsa", "RS384", UNKNOWN),
    "a key for encryption": ([published(RSA, "rsa", use="enc")], "rsa", "RS384", UNKNOWN),
    "a key without kid": ([published(RSA, None)], "rsa", "RS384", UNKNOWN),
    "a key whose point is on no curve": ([published(OLD, "old", y=published(NEW)["y"])], "old", "ES384", UNKNOWN),
}


@pytest.mark.requirement("CA-9")
@pytest.mark.parametrize(("members", "kid", "algorithm", "expected"), INLINE.values(), ids=INLINE.keys())
async def test_which_key_of_a_set_is_taken(
    members: list[dict[str, Any]], kid: str, algorithm: str, expected: Key | str
) -> None:
    async with publishing(key_set(*members)) as there:
        for client in (by_value(*members), by_url(there.url)):
            found = await ask(there.keys, client, kid, NOW, algorithm)
            assert found == expected if isinstance(found, str) else found.thumbprint() == thumbprint(expected)


def thumbprint(key: Key | str) -> str:
    assert not isinstance(key, str)
    return key.thumbprint()


async def no_fetch(url: str) -> Page:
    raise AssertionError(url)


async def test_a_set_that_was_made_unchangeable_is_read_too() -> None:
    frozen = MappingProxyType({"keys": (MappingProxyType(published(OLD, "old")),)})
    assert is_key(await ask(ClientKeys(no_fetch), dataclasses.replace(CLIENT, jwks=frozen), "old", NOW))


async def test_a_set_given_by_value_is_read_once_and_anew_when_the_client_has_another() -> None:
    keys = ClientKeys(no_fetch)
    first = await ask(keys, by_value(published(OLD, "old")), "old", NOW)
    assert await ask(keys, by_value(published(OLD, "old")), "old", NOW + 9999) is first
    assert await ask(keys, by_value(published(NEW, "new")), "old", NOW + 9999) == UNKNOWN


@pytest.mark.parametrize("jwks", [None, {}, {"keys": {1, 2}}], ids=["no keys at all", "no set", "no JSON"])
async def test_a_client_without_readable_keys_is_refused(jwks: dict[str, Any] | None) -> None:
    answer = await ask(ClientKeys(no_fetch), dataclasses.replace(CLIENT, jwks=jwks), "old", NOW)
    assert isinstance(answer, str)
    assert answer.startswith("the client's keys cannot be read")


@pytest.mark.requirement("CA-10")
async def test_keys_are_asked_for_by_get_as_json() -> None:
    async with publishing(OLD_SET) as there:
        assert is_key(await ask(there.keys, by_url(there.url), "old", NOW))
        assert there.server.requests[0].startswith(b"GET /fhir HTTP/1.1\r\n")
        assert re.search(rb"\r\naccept: application/json\r\n", there.server.requests[0], re.IGNORECASE)


async def test_a_set_is_fetched_once_and_again_when_its_life_is_over() -> None:
    async with publishing(OLD_SET, "cache-control: max-age=60\r\n") as there:
        client = by_url(there.url)
        assert is_key(await ask(there.keys, client, "old", NOW))
        assert is_key(await ask(there.keys, client, "old", NOW + 59.9))
        assert there.fetches == 1
        assert is_key(await ask(there.keys, client, "old", NOW + 60))
        assert there.fetches == 2


async def test_a_key_that_was_taken_back_stops_when_the_life_of_the_set_is_over() -> None:
    # Edge case 76: removed at 30, asked at 61.
    async with publishing(BOTH, "cache-control: max-age=60\r\n") as there:
        client = by_url(there.url)
        await ask(there.keys, client, "old", NOW)
        there.body = NEW_SET
        assert is_key(await ask(there.keys, client, "old", NOW + 30))
        assert await ask(there.keys, client, "old", NOW + 61) == UNKNOWN
        assert there.fetches == 2


@pytest.mark.requirement("CA-11", "CA-14")
@pytest.mark.parametrize("control", ["no-store", "no-cache", "max-age=0"])
async def test_a_set_that_must_not_be_kept_is_fetched_every_time(control: str) -> None:
    async with publishing(BOTH, f"cache-control: {control}\r\n") as there:
        client = by_url(there.url)
        for count in (1, 2, 3):
            assert is_key(await ask(there.keys, client, "old", NOW))
            assert there.fetches == count
        there.body = NEW_SET
        assert await ask(there.keys, client, "old", NOW) == UNKNOWN
        assert there.fetches == 4


async def test_those_who_come_during_a_fetch_share_it_even_where_nothing_may_be_kept() -> None:
    async with publishing(BOTH, "cache-control: no-store\r\n") as there:
        there.open.clear()
        waiting = [asyncio.create_task(ask(there.keys, by_url(there.url), kid, NOW)) for kid in ["old", "new"] * 10]
        await there.begun.wait()
        there.open.set()
        assert all(map(is_key, await asyncio.gather(*waiting)))
        assert there.fetches == 1


async def test_one_who_goes_away_does_not_take_the_fetch_along() -> None:
    async with publishing(OLD_SET) as there:
        there.open.clear()
        first, second = (asyncio.create_task(ask(there.keys, by_url(there.url), "old", NOW)) for _ in range(2))
        await there.begun.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        there.open.set()
        assert is_key(await second)
        assert there.fetches == 1


async def test_a_new_key_is_found_before_the_life_of_the_set_is_over() -> None:
    async with publishing(OLD_SET) as there:
        client = by_url(there.url)
        await ask(there.keys, client, "old", NOW)
        there.body = BOTH
        assert is_key(await ask(there.keys, client, "new", NOW + 1))
        assert is_key(await ask(there.keys, client, "old", NOW + 2))
        assert there.fetches == 2


async def test_all_who_bring_a_new_key_wait_for_one_fetch_and_find_it() -> None:
    async with publishing(OLD_SET) as there:
        client = by_url(there.url)
        await ask(there.keys, client, "old", NOW)
        there.body = BOTH
        assert all(map(is_key, await asyncio.gather(*(ask(there.keys, client, "new", NOW + 1) for _ in range(20)))))
        assert there.fetches == 2


@pytest.mark.requirement("CA-14")
async def test_made_up_key_ids_are_worth_one_fetch_in_a_while() -> None:
    async with publishing(OLD_SET) as there:
        client = by_url(there.url)
        await ask(there.keys, client, "old", NOW)
        for number in range(20):
            assert await ask(there.keys, client, f"made-up-{number}", NOW + 1 + number) == UNKNOWN
        assert there.fetches == 2
        assert await ask(there.keys, client, "made-up", NOW + 1 + REFETCH_INTERVAL) == UNKNOWN
        assert there.fetches == 3


async def test_a_made_up_key_id_is_not_worth_two_fetches_at_once() -> None:
    async with publishing(OLD_SET) as there:
        assert await ask(there.keys, by_url(there.url), "made-up", NOW) == UNKNOWN
        assert there.fetches == 1


async def test_made_up_key_ids_of_one_client_do_not_keep_another_from_its_new_key() -> None:
    async with publishing(OLD_SET) as there:
        client, other = by_url(there.url), by_url(there.url + "/other")
        for one in (client, other):
            await ask(there.keys, one, "old", NOW)
        await ask(there.keys, other, "made-up", NOW + 1)
        there.body = BOTH
        assert is_key(await ask(there.keys, client, "new", NOW + 2))


BROKEN: dict[str, tuple[int, bytes, str]] = {
    "an error status": (500, OLD_SET, "ValueError: status 500"),
    "a redirect": (302, OLD_SET, "ValueError: status 302"),
    "no JSON": (200, b"<html>sorry</html>", "JSONDecodeError"),
    "no key set": (200, b"{}", "ValueError: the document is not a JWKS"),
    "too many keys": (200, key_set(*[published(OLD, str(one)) for one in range(201)]), "ValueError: the JWKS has more"),
}


@pytest.mark.parametrize(("status", "body", "problem"), BROKEN.values(), ids=BROKEN.keys())
async def test_old_keys_do_not_serve_while_new_ones_cannot_be_had(status: int, body: bytes, problem: str) -> None:
    async with publishing(OLD_SET, "cache-control: max-age=60\r\n") as there:
        client = by_url(there.url)
        assert is_key(await ask(there.keys, client, "old", NOW))
        there.status, there.body = status, body
        answer = await ask(there.keys, client, "old", NOW + 60)
        assert isinstance(answer, str)
        assert answer.startswith(f"the client's keys cannot be had: {problem}")
        there.status, there.body = 200, OLD_SET
        assert await ask(there.keys, client, "old", NOW + 60 + PAUSE - 0.1) == answer
        assert there.fetches == 2
        assert is_key(await ask(there.keys, client, "old", NOW + 60 + PAUSE))


async def test_a_fetch_for_a_new_key_that_fails_leaves_the_others_for_their_life() -> None:
    async with publishing(OLD_SET, "cache-control: max-age=60\r\n") as there:
        client = by_url(there.url)
        await ask(there.keys, client, "old", NOW)
        there.status = 503
        assert not is_key(await ask(there.keys, client, "new", NOW + 1))
        assert is_key(await ask(there.keys, client, "old", NOW + 2))
        assert not is_key(await ask(there.keys, client, "old", NOW + 60))


async def test_a_server_that_is_gone_is_a_refusal() -> None:
    async with publishing(OLD_SET) as there:
        url = there.url
    async with publishing(OLD_SET) as there:
        assert isinstance(answer := await ask(there.keys, by_url(url), "old", NOW), str)
        assert answer.startswith("the client's keys cannot be had: ControlError: 127.0.0.1 could not be asked")


@pytest.mark.parametrize("secure", [lambda url: url, lambda url: url.replace("http:", "https:")], ids=["http", "https"])
async def test_an_address_inside_our_network_is_never_asked(secure: Callable[[str], str]) -> None:
    async with publishing(OLD_SET) as there:
        control = ControlClient(guarded=True)
        answer = await ask(ClientKeys(control.get_document), by_url(secure(there.url)), "old", NOW)
        await control.aclose()
        assert isinstance(answer, str)
        assert answer.startswith("the client's keys cannot be had: ControlError: ")
        assert there.server.connections == 0


async def test_only_so_many_clients_are_remembered() -> None:
    async with publishing(OLD_SET, remembered=2) as there:
        one, two, three = (by_url(f"{there.url}/{name}") for name in ("one", "two", "three"))
        for client in (one, two, one, three):
            assert is_key(await ask(there.keys, client, "old", NOW))
        assert there.fetches == 3
        # The second was unused for longest, so it had to go.
        await ask(there.keys, one, "old", NOW)
        assert there.fetches == 3
        await ask(there.keys, two, "old", NOW)
        assert there.fetches == 4


async def test_a_client_that_moved_its_keys_is_asked_at_its_new_address() -> None:
    async with publishing(OLD_SET) as there:
        await ask(there.keys, by_url(there.url), "old", NOW)
        await ask(there.keys, by_url(there.url + "/new"), "old", NOW)
        assert there.server.requests[1].startswith(b"GET /fhir/new HTTP/1.1\r\n")
