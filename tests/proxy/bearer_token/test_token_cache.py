"""What the token cache keeps, for how long, and what it evicts."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials.token_refused import TokenRefused
from gateway.policy.permission.access import Access
from gateway.policy.reasons import Reason
from gateway.proxy.bearer_token.token_cache import BearerTokenCache, fingerprint

NOW = 1000.0


def access(expires_at: float = NOW + 100, client: str = "app") -> Access:
    return Access(issuer="https://issuer.example", client_id=client, subject=None, scopes=(), expires_at=expires_at)


def cache(entries: int = 3, refusals: int = 3, max_age: float = 60) -> BearerTokenCache:
    return BearerTokenCache(entries=entries, max_age=max_age, refusals=refusals)


def refused(reason: Reason = Reason.TOKEN_EXPIRED) -> TokenRefused:
    return TokenRefused(reason, "detail")


def key(number: int) -> bytes:
    return fingerprint(str(number).encode())


def test_what_was_put_is_found_until_it_is_too_old() -> None:
    tokens, mine = cache(), access()
    tokens.put(key(1), mine, NOW)
    assert tokens.get(key(1), NOW + 59.9) is mine
    assert tokens.get(key(1), NOW + 60) is None
    assert tokens.get(key(2), NOW) is None


def test_no_token_is_remembered_beyond_its_end() -> None:
    tokens = cache()
    tokens.put(key(1), access(NOW + 5), NOW)
    assert tokens.get(key(1), NOW + 4.9) is not None
    assert tokens.get(key(1), NOW + 5) is None


def test_a_refusal_is_remembered_for_a_short_while() -> None:
    tokens = cache()
    tokens.put_refused(key(1), refused(), NOW)
    found = tokens.get(key(1), NOW + 9.9)
    assert isinstance(found, TokenRefused)
    assert (found.reason, found.detail) == (Reason.TOKEN_EXPIRED, "detail")
    assert tokens.get(key(1), NOW + 10) is None


def test_a_refusal_that_is_remembered_holds_on_to_no_frame() -> None:
    tokens = cache()
    try:
        raise refused()
    except TokenRefused as error:
        tokens.put_refused(key(1), error, NOW)
    found = tokens.get(key(1), NOW)
    assert isinstance(found, TokenRefused)
    assert found.__traceback__ is None
    assert found.__context__ is None


def test_a_token_that_is_refused_now_was_not_remembered_as_good() -> None:
    tokens = cache()
    tokens.put(key(1), access(), NOW)
    tokens.put_refused(key(1), refused(Reason.TOKEN_INACTIVE), NOW)
    assert isinstance(tokens.get(key(1), NOW), TokenRefused)


def test_the_one_that_was_not_used_for_longest_goes_first() -> None:
    tokens = cache(entries=3)
    for number in (1, 2, 3):
        tokens.put(key(number), access(), NOW)
    tokens.get(key(1), NOW)
    tokens.put(key(4), access(), NOW)
    assert [number for number in (1, 2, 3, 4) if tokens.get(key(number), NOW)] == [1, 3, 4]


def test_a_storm_of_bad_tokens_drives_out_no_good_one() -> None:
    tokens = cache(entries=3, refusals=3)
    for number in (1, 2, 3):
        tokens.put(key(number), access(), NOW)
    for number in range(10, 1000):
        tokens.put_refused(key(number), refused(), NOW)
    assert all(isinstance(tokens.get(key(number), NOW), Access) for number in (1, 2, 3))
    assert len(tokens) == 6


def test_no_refusal_is_remembered_where_none_should_be() -> None:
    tokens = cache(refusals=0)
    tokens.put_refused(key(1), refused(), NOW)
    assert len(tokens) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=60))
def test_it_never_grows_beyond_its_bounds(puts: list[tuple[bool, int]]) -> None:
    tokens = cache(entries=4, refusals=2)
    for good, number in puts:
        if good:
            tokens.put(key(number), access(), NOW)
        else:
            tokens.put_refused(key(number), refused(), NOW)
        assert len(tokens) <= 6


def test_forgetting_by_what_a_token_permits() -> None:
    tokens = cache()
    tokens.put(key(1), access(client="one"), NOW)
    tokens.put(key(2), access(client="two"), NOW)
    assert tokens.forget(lambda known: known.client_id == "one") == 1
    assert tokens.get(key(1), NOW) is None
    assert tokens.get(key(2), NOW) is not None
    assert tokens.generation == 1


def test_forgetting_everything() -> None:
    tokens = cache()
    tokens.put(key(1), access(), NOW)
    tokens.put_refused(key(2), refused(), NOW)
    tokens.clear()
    assert len(tokens) == 0
    assert tokens.generation == 1


def test_hits_and_misses_are_counted() -> None:
    tokens = cache()
    tokens.put(key(1), access(), NOW)
    for number in (1, 1, 2):
        tokens.get(key(number), NOW)
    assert (tokens.hits, tokens.misses) == (2, 1)


@pytest.mark.parametrize("length", [1, 1000, 16384])
def test_the_token_itself_is_nowhere_in_the_cache(length: int) -> None:
    assert sys.getsizeof(fingerprint(b"x" * length)) < 100
