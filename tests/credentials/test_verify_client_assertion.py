"""Client authentication with `private_key_jwt`: what is accepted, and what it costs (CA-1..CA-15, edge cases 67-77)."""

import asyncio
import dataclasses
import threading
from typing import Any

import pytest
from joserfc.jwk import Key

from gateway.credentials import verify_client_assertion as client_assertion
from gateway.credentials.client_keys import ClientKeys
from gateway.credentials.unverified_token import UnverifiedToken
from gateway.credentials.verify_client_assertion import (
    AssertionUncheckable,
    AssertionVerifier,
    VerifiedAssertion,
    unverified_client_id,
)
from gateway.credentials.verify_token import check_signature
from gateway.oauth.client.client_assertion_rules import ALGORITHMS, AssertionRefused
from tests.credentials.client_assertions import (
    CLIENT,
    EC384,
    ENDPOINT,
    PUBLIC,
    UNKNOWN,
    no_fetch,
    sign_assertion,
    valid_claims,
    verify,
)
from tests.credentials.jwks_server import run_jwks_server
from tests.credentials.signed_tokens import (
    NOW,
    compact_jws,
    jwks_document,
    published_jwk,
)


@pytest.mark.requirement("CA-2")
@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
async def test_an_assertion_of_every_algorithm_on_the_list_proves_its_client(algorithm: str) -> None:
    verifier = AssertionVerifier(ClientKeys(no_fetch))
    verified = await verifier.verify(sign_assertion(algorithm), CLIENT, ENDPOINT, NOW)
    assert verified == VerifiedAssertion("random-1", NOW + 360, NOW)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
async def test_the_same_at_an_address(algorithm: str) -> None:
    async with run_jwks_server(jwks_document(*PUBLIC)) as there:
        client = dataclasses.replace(CLIENT, jwks=None, jwks_uri=there.url)
        verifier = AssertionVerifier(there.keys)
        assert await verify(sign_assertion(algorithm), client, verifier) == "proved"
        assert await verify(sign_assertion(algorithm, jku=there.url), client, verifier) == "proved"
        assert there.fetches == 1


async def test_two_clients_may_use_one_jti_and_the_same_is_told_twice() -> None:
    # The caller records client and jti after the verification (edge cases 71, 72).
    verifier = AssertionVerifier(ClientKeys(no_fetch))
    other = dataclasses.replace(CLIENT, client_id="other")
    for client in (CLIENT, CLIENT, other):
        claims = valid_claims(iss=client.client_id, sub=client.client_id)
        assert await verify(sign_assertion(claims=claims), client, verifier) == "proved"


WRONG_CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "exp ten minutes ahead": ({"exp": NOW + 600}, "exp is 600 s ahead, and 300 s is the most"),
    "exp in milliseconds": ({"exp": NOW * 1000 + 300000}, "exp is not a time in seconds"),
    "exp missing": ({"exp": None}, "exp is missing"),
    "expired": ({"exp": NOW - 61}, "expired 61 s ago"),
    "aud as a list of ours alone": ({"aud": [ENDPOINT]}, "proved"),
    "aud ours beside another": ({"aud": [ENDPOINT, "https://else.example"]}, "aud is not this token endpoint alone"),
    "aud with a trailing slash": ({"aud": ENDPOINT + "/"}, "aud is not this token endpoint alone"),
    "iss another than sub": ({"iss": "not_a_valid_iss"}, "iss and sub must both be the client_id"),
    "another client": ({"iss": "other", "sub": "other"}, "iss and sub are another client's id"),
    "jti missing": ({"jti": None}, "jti must be a string of 1 to 256 characters"),
}


@pytest.mark.requirement("CA-4", "CA-6", "CA-13")
@pytest.mark.parametrize(("changes", "outcome"), WRONG_CLAIMS.values(), ids=WRONG_CLAIMS.keys())
@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
async def test_what_a_rightly_signed_assertion_says(algorithm: str, changes: dict[str, Any], outcome: str) -> None:
    assert await verify(sign_assertion(algorithm, valid_claims(**changes))) == outcome


@pytest.mark.requirement("CA-9")
async def test_a_jku_that_is_not_registered_is_refused_and_nobody_is_asked() -> None:
    # Edge case 69: there is no request, neither to the URL of the attacker nor to the registered one.
    async with run_jwks_server(jwks_document(*PUBLIC)) as evil, run_jwks_server(jwks_document(*PUBLIC)) as there:
        verifier = AssertionVerifier(there.keys)
        client = dataclasses.replace(CLIENT, jwks=None, jwks_uri=there.url)
        for server, jku in [(client, evil.url), (client, there.url + "/"), (CLIENT, evil.url), (CLIENT, there.url)]:
            outcome = await verify(sign_assertion(jku=jku), server, verifier)
            assert outcome == "jku is not the jwks_uri that the client registered"
        assert evil.server.connections == there.server.connections == 0


REFUSED_WITHOUT_FETCH: dict[str, str] = {
    "alg none": compact_jws({"alg": "none", "kid": "rsa"}, valid_claims(), b""),
    "alg HS256": compact_jws({"alg": "HS256", "kid": "rsa"}, valid_claims()),
    "no kid": sign_assertion(kid=None),
    "expired": sign_assertion(claims=valid_claims(exp=NOW - 100)),
    "exp ten minutes ahead": sign_assertion(claims=valid_claims(exp=NOW + 600)),
    "for another server": sign_assertion(claims=valid_claims(aud="https://else.example")),
    "of another client": sign_assertion(claims=valid_claims(iss="other", sub="other")),
    "without jti": sign_assertion(claims=valid_claims(jti=None)),
    "no JWT": "abc",
}


@pytest.mark.parametrize("assertion", REFUSED_WITHOUT_FETCH.values(), ids=REFUSED_WITHOUT_FETCH.keys())
async def test_what_cannot_be_right_makes_nobody_fetch_a_key(assertion: str) -> None:
    async with run_jwks_server(jwks_document(*PUBLIC)) as there:
        client = dataclasses.replace(CLIENT, jwks=None, jwks_uri=there.url)
        assert await verify(assertion, client, AssertionVerifier(there.keys)) != "proved"
        assert there.server.connections == 0


async def test_a_key_that_was_taken_back_proves_nothing_when_the_life_of_the_set_is_over() -> None:
    async with run_jwks_server(jwks_document(*PUBLIC), "cache-control: max-age=60\r\n") as there:
        client = dataclasses.replace(CLIENT, jwks=None, jwks_uri=there.url)
        verifier = AssertionVerifier(there.keys)
        assertion = sign_assertion(claims=valid_claims(exp=NOW + 200))
        await verifier.verify(assertion, client, ENDPOINT, NOW)
        there.body = jwks_document(published_jwk(EC384, "p384"))
        await verifier.verify(assertion, client, ENDPOINT, NOW + 30)
        with pytest.raises(AssertionRefused, match=UNKNOWN):
            await verifier.verify(assertion, client, ENDPOINT, NOW + 61)


async def test_a_client_begins_to_sign_with_a_new_key() -> None:
    async with run_jwks_server(jwks_document(published_jwk(EC384, "p384"))) as there:
        client = dataclasses.replace(CLIENT, jwks=None, jwks_uri=there.url)
        verifier = AssertionVerifier(there.keys)
        assert await verify(sign_assertion("ES384"), client, verifier) == "proved"
        there.body = jwks_document(*PUBLIC)
        assert await verify(sign_assertion("RS384"), client, verifier) == "proved"
        assert there.fetches == 2


@pytest.mark.parametrize(("algorithm", "apart"), [(name, name == "ES384") for name in sorted(ALGORITHMS)])
async def test_a_slow_check_leaves_the_event_loop_and_a_quick_one_does_not(
    algorithm: str, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def noted(token: UnverifiedToken, key: Key, algorithm: str) -> None:
        threads.append(threading.get_ident())
        check_signature(token, key, algorithm)

    monkeypatch.setattr(client_assertion, "check_signature", noted)
    assert await verify(sign_assertion(algorithm)) == "proved"
    assert [thread != threading.get_ident() for thread in threads] == [apart]


async def test_a_storm_is_turned_away_as_something_that_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_assertion, "_MAX_WAITING", 1)
    verifier = AssertionVerifier(ClientKeys(no_fetch))
    attempts = (verifier.verify(sign_assertion("ES384"), CLIENT, ENDPOINT, NOW) for _ in range(20))
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(VerifiedAssertion) == 3
    assert [type(outcome) for outcome in outcomes].count(AssertionUncheckable) == 17


def test_the_client_to_look_up_is_read_before_anything_is_proved() -> None:
    assert unverified_client_id(sign_assertion()) == "app"
    assert unverified_client_id(compact_jws({"alg": "none"}, {"iss": "anybody", "sub": "anybody"}, b"")) == "anybody"
