"""Which key of a client is used, and how long a key set may be cached (CA-9, CA-11, CA-14)."""

import dataclasses
from types import MappingProxyType
from typing import Any

import pytest
from joserfc.jwk import Key

from gateway.credentials.client_keys import MAX_CLIENT_KEYS_LIFETIME_SECONDS, ClientKeys, permitted_lifetime
from gateway.credentials.issuer_keys import DEFAULT_LIFETIME_SECONDS
from tests.credentials.client_key_sets import (
    CLIENT,
    NEW,
    OLD,
    RSA,
    UNKNOWN,
    client_with_keys,
    client_with_url,
    get_key_or_error,
    is_key,
    no_fetch,
)
from tests.credentials.jwks_server import run_jwks_server
from tests.credentials.signed_tokens import NOW, jwks_document, published_jwk

LIFETIMES: dict[str, tuple[dict[str, str], float]] = {
    "nothing said": ({}, DEFAULT_LIFETIME_SECONDS),
    "an empty field": ({"cache-control": ""}, DEFAULT_LIFETIME_SECONDS),
    "nothing said of time": ({"cache-control": "public, must-revalidate"}, DEFAULT_LIFETIME_SECONDS),
    "a minute": ({"cache-control": "max-age=60"}, 60.0),
    "a minute in capitals among others": ({"cache-control": "public, Max-Age=60, must-revalidate"}, 60.0),
    "a minute in quotes": ({"cache-control": 'max-age="60"'}, 60.0),
    "a second": ({"cache-control": "max-age=1"}, 1.0),
    "a minute, of which a part was spent on the way": ({"cache-control": "max-age=60", "age": "20"}, 40.0),
    "a minute, all of it spent on the way": ({"cache-control": "max-age=60", "age": "500"}, 0.0),
    "a minute and an age that is none": ({"cache-control": "max-age=60", "age": "soon"}, 60.0),
    "two times, of which the shorter holds": ({"cache-control": "max-age=300, max-age=5"}, 5.0),
    "a shorter time for shared caches": ({"cache-control": "max-age=300, s-maxage=5"}, 5.0),
    "a year": ({"cache-control": "max-age=31536000"}, MAX_CLIENT_KEYS_LIFETIME_SECONDS),
    "a time without end": ({"cache-control": "max-age=" + "9" * 400}, MAX_CLIENT_KEYS_LIFETIME_SECONDS),
    "no time": ({"cache-control": "max-age=0"}, 0.0),
    "a negative time": ({"cache-control": "max-age=-1"}, 0.0),
    "a time that is none": ({"cache-control": "max-age=soon"}, 0.0),
    "a time left out": ({"cache-control": "max-age"}, 0.0),
    "not to be stored": ({"cache-control": "no-store"}, 0.0),
    "not to be stored, and a time": ({"cache-control": "max-age=60, No-Store"}, 0.0),
    "to be checked each time": ({"cache-control": "no-cache"}, 0.0),
    "a field to be checked each time": ({"cache-control": 'max-age=60, no-cache="set-cookie, max-age=9"'}, 0.0),
    "a word that only ends so": ({"cache-control": "x-max-age=5"}, DEFAULT_LIFETIME_SECONDS),
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
    "the key of that kid": ([published_jwk(OLD, "old"), published_jwk(NEW, "new")], "new", "ES384", NEW),
    "no key of that kid": ([published_jwk(OLD, "old")], "new", "ES384", UNKNOWN),
    "two keys of that kid": ([published_jwk(OLD, "same"), published_jwk(NEW, "same")], "same", "ES384", UNKNOWN),
    "two keys of that kid and of two types": (
        [published_jwk(OLD, "same"), published_jwk(RSA, "same")],
        "same",
        "ES384",
        UNKNOWN,
    ),
    "one key listed twice, which is one key": ([published_jwk(OLD, "old")] * 2, "old", "ES384", OLD),
    "an EC key for an RSA algorithm": ([published_jwk(OLD, "old")], "old", "RS384", UNKNOWN),
    "an RSA key for an EC algorithm": ([published_jwk(RSA, "rsa")], "rsa", "ES384", UNKNOWN),
    "an EC key of another curve": ([published_jwk(OLD, "old")], "old", "ES256", UNKNOWN),
    "an RSA key": ([published_jwk(RSA, "rsa")], "rsa", "RS384", RSA),
    "a key that says it is for another algorithm": ([published_jwk(RSA, "rsa", alg="RS256")], "rsa", "RS384", UNKNOWN),
    "a key for encryption": ([published_jwk(RSA, "rsa", use="enc")], "rsa", "RS384", UNKNOWN),
    "a key without kid": ([published_jwk(RSA, None)], "rsa", "RS384", UNKNOWN),
    "a key whose point is on no curve": (
        [published_jwk(OLD, "old", y=published_jwk(NEW)["y"])],
        "old",
        "ES384",
        UNKNOWN,
    ),
}


@pytest.mark.requirement("CA-9")
@pytest.mark.parametrize(("members", "kid", "algorithm", "expected"), INLINE.values(), ids=INLINE.keys())
async def test_which_key_of_a_set_is_taken(
    members: list[dict[str, Any]], kid: str, algorithm: str, expected: Key | str
) -> None:
    async with run_jwks_server(jwks_document(*members)) as there:
        for client in (client_with_keys(*members), client_with_url(there.url)):
            result = await get_key_or_error(there.keys, client, kid, NOW, algorithm)
            assert result == expected if isinstance(result, str) else result.thumbprint() == thumbprint(expected)


def thumbprint(key: Key | str) -> str:
    assert not isinstance(key, str)
    return key.thumbprint()


async def test_a_set_that_was_made_unchangeable_is_read_too() -> None:
    frozen = MappingProxyType({"keys": (MappingProxyType(published_jwk(OLD, "old")),)})
    assert is_key(await get_key_or_error(ClientKeys(no_fetch), dataclasses.replace(CLIENT, jwks=frozen), "old", NOW))


async def test_a_set_given_by_value_is_read_once_and_anew_when_the_client_has_another() -> None:
    keys = ClientKeys(no_fetch)
    first = await get_key_or_error(keys, client_with_keys(published_jwk(OLD, "old")), "old", NOW)
    assert await get_key_or_error(keys, client_with_keys(published_jwk(OLD, "old")), "old", NOW + 9999) is first
    assert await get_key_or_error(keys, client_with_keys(published_jwk(NEW, "new")), "old", NOW + 9999) == UNKNOWN


@pytest.mark.parametrize("jwks", [None, {}, {"keys": {1, 2}}], ids=["no keys at all", "no set", "no JSON"])
async def test_a_client_without_readable_keys_is_refused(jwks: dict[str, Any] | None) -> None:
    answer = await get_key_or_error(ClientKeys(no_fetch), dataclasses.replace(CLIENT, jwks=jwks), "old", NOW)
    assert isinstance(answer, str)
    assert answer.startswith("the client's keys cannot be read")
