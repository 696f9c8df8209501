"""Which clients have proved themselves by `private_key_jwt`, and which have not (CA-1..CA-15, edge cases 67-77)."""

import asyncio
import dataclasses
import hmac
import json
import threading
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from gateway.keys import client_assertion
from gateway.keys.client_assertion import (
    AssertionUncheckable,
    AssertionVerifier,
    VerifiedAssertion,
    unverified_client_id,
)
from gateway.keys.client_keys import ClientKeys
from gateway.keys.token import MAX_TOKEN_LENGTH, Unverified
from gateway.keys.verify import check_signature
from gateway.oauth.assertion import ALGORITHMS, AssertionRefused
from gateway.oauth.client import AuthenticationMethod, Client
from tests.keys.issuing import NOW, Page, compact, encoded, key_set, private_key, published
from tests.keys.publishing import publishing

ENDPOINT = "https://gateway.example/auth/token"
RSA, EC256, EC384 = private_key("RS384"), private_key("ES256"), private_key("ES384")
KEYS = {"rsa": RSA, "p256": EC256, "p384": EC384}
PUBLIC = [published(key, kid) for kid, key in KEYS.items()]
CLIENT = Client("app", "App", AuthenticationMethod.PRIVATE_KEY_JWT, jwks={"keys": PUBLIC})
KID_FOR = {"RS256": "rsa", "RS384": "rsa", "PS384": "rsa", "ES256": "p256", "ES384": "p384"}
UNKNOWN = "the client has no single key of that kid that fits the alg"
NOT_THE_KEYS = "the signature is not the key's"


def claims(**changes: Any) -> dict[str, Any]:
    usual = {"iss": "app", "sub": "app", "aud": ENDPOINT, "exp": NOW + 300, "jti": "random-1"}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def made(algorithm: str = "RS384", said: Mapping[str, Any] | None = None, **header: Any) -> str:
    """An assertion signed by joserfc with the client's key for the algorithm; a header member of None is left out."""
    members = {"alg": algorithm, "typ": "JWT", "kid": KID_FOR[algorithm], **header}
    key = KEYS[KID_FOR[algorithm]]
    written = {name: value for name, value in members.items() if value is not None}
    return jwt.encode(written, dict(claims() if said is None else said), key, algorithms=[algorithm])


async def no_fetch(url: str) -> Page:
    raise AssertionError(url)


async def tried(assertion: str, client: Client = CLIENT, verifier: AssertionVerifier | None = None) -> str:
    """The word proved, or why not."""
    try:
        await (verifier or AssertionVerifier(ClientKeys(no_fetch))).verify(assertion, client, ENDPOINT, NOW)
    except AssertionRefused as refused:
        return refused.detail
    return "proved"


@pytest.mark.requirement("CA-2")
@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
async def test_an_assertion_of_every_algorithm_on_the_list_proves_its_client(algorithm: str) -> None:
    verifier = AssertionVerifier(ClientKeys(no_fetch))
    verified = await verifier.verify(made(algorithm), CLIENT, ENDPOINT, NOW)
    assert verified == VerifiedAssertion("random-1", NOW + 360)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
async def test_the_same_at_an_address(algorithm: str) -> None:
    async with publishing(key_set(*PUBLIC)) as there:
        client = dataclasses.replace(CLIENT, jwks=None, jwks_uri=there.url)
        verifier = AssertionVerifier(there.keys)
        assert await tried(made(algorithm), client, verifier) == "proved"
        assert await tried(made(algorithm, jku=there.url), client, verifier) == "proved"
        assert there.fetches == 1


async def test_two_clients_may_use_one_jti_and_the_same_is_told_twice() -> None:
    # Who remembers it is the caller: by client and jti, after this (edge cases 71, 72).
    verifier = AssertionVerifier(ClientKeys(no_fetch))
    other = dataclasses.replace(CLIENT, client_id="other")
    for client in (CLIENT, CLIENT, other):
        said = claims(iss=client.client_id, sub=client.client_id)
        assert await tried(made(said=said), client, verifier) == "proved"


def hmac_of_public_key(algorithm: str, digest: str, form: Literal["PEM", "DER"]) -> str:
    """The oldest trick: the public key, which everybody has, as the secret of an HMAC."""
    key = RSA.as_bytes(form, private=False)
    signed = compact({"alg": algorithm, "typ": "JWT", "kid": "rsa"}, claims()).rpartition(".")[0]
    return f"{signed}.{encoded(hmac.digest(key, signed.encode(), digest))}"


def altered(assertion: str, said: Mapping[str, Any]) -> str:
    """Other claims under the header and signature of an assertion."""
    header, _, signature = assertion.split(".")
    return f"{header}.{encoded(json.dumps(said).encode())}.{signature}"


def signed_as(told: str, real: str) -> str:
    """An assertion whose signature is the right key's, made by another algorithm than the header tells."""
    signing = compact({"alg": told, "typ": "JWT", "kid": "rsa"}, claims()).rpartition(".")[0]
    return f"{signing}.{encoded(JWSRegistry.algorithms[real].sign(signing.encode(), RSA))}"


def made_by_another(algorithm: str, **header: Any) -> str:
    members = {"alg": algorithm, "typ": "JWT", "kid": KID_FOR[algorithm], **header}
    return jwt.encode(members, claims(), private_key(algorithm, 9), algorithms=[algorithm])


FORGED: dict[str, tuple[str, str]] = {
    "alg none with no signature": (compact({"alg": "none", "kid": "rsa"}, claims(), b""), "alg 'none' is not accepted"),
    "alg none with a signature": (compact({"alg": "none", "kid": "rsa"}, claims()), "alg 'none' is not accepted"),
    "HS256 with the public key as PEM": (
        hmac_of_public_key("HS256", "sha256", "PEM"),
        "alg 'HS256' is not accepted",
    ),
    "HS384 with the public key as DER": (
        hmac_of_public_key("HS384", "sha384", "DER"),
        "alg 'HS384' is not accepted",
    ),
    "RS384 signed with another key": (made_by_another("RS384"), NOT_THE_KEYS),
    "PS384 signed with another key": (made_by_another("PS384"), NOT_THE_KEYS),
    "ES384 signed with another key": (made_by_another("ES384"), NOT_THE_KEYS),
    "ES256 signed with another key": (made_by_another("ES256"), NOT_THE_KEYS),
    "another jti under an old signature": (altered(made(), claims(jti="random-2")), NOT_THE_KEYS),
    "no signature": (made().rpartition(".")[0] + ".", NOT_THE_KEYS),
    "a signature of zeros": (compact({"alg": "ES384", "kid": "p384"}, claims(), bytes(96)), NOT_THE_KEYS),
    "a signature cut short": (made("ES384")[:-8], NOT_THE_KEYS),
    "the kid of an EC key with an RSA algorithm": (made("RS384", kid="p384"), UNKNOWN),
    "the kid of an RSA key with an EC algorithm": (made("ES384", kid="rsa"), UNKNOWN),
    "the kid of a key on another curve": (made("ES384", kid="p256"), UNKNOWN),
    "the kid of no key": (made("ES384", kid="p385"), UNKNOWN),
    "no kid": (made("ES384", kid=None), "the header has no kid"),
    "a PSS signature told as another": (signed_as("RS384", "PS384"), NOT_THE_KEYS),
    "a signature by hand, as a control": (signed_as("RS384", "RS384"), "proved"),
    "its own key in jwk": (made_by_another("RS384", jwk=published(private_key("RS384", 9), "rsa")), NOT_THE_KEYS),
    "its own certificate at x5u": (made_by_another("RS384", x5u="https://evil.example"), NOT_THE_KEYS),
}


@pytest.mark.requirement("CA-2", "CA-3", "CA-6")
@pytest.mark.parametrize(("assertion", "outcome"), FORGED.values(), ids=FORGED.keys())
async def test_forged_assertions(assertion: str, outcome: str) -> None:
    assert await tried(assertion) == outcome


SAID: dict[str, tuple[dict[str, Any], str]] = {
    "exp ten minutes ahead": ({"exp": NOW + 600}, "exp is 600 s ahead, and 300 s is the most"),
    "exp in milliseconds": ({"exp": NOW * 1000 + 300000}, "exp is no time in seconds"),
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
@pytest.mark.parametrize(("changes", "outcome"), SAID.values(), ids=SAID.keys())
@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
async def test_what_a_rightly_signed_assertion_says(algorithm: str, changes: dict[str, Any], outcome: str) -> None:
    assert await tried(made(algorithm, claims(**changes))) == outcome


@pytest.mark.requirement("CA-9")
async def test_a_jku_that_is_not_registered_is_refused_and_nobody_is_asked() -> None:
    # Edge case 69: neither the address that the attacker names nor the registered one sees a request.
    async with publishing(key_set(*PUBLIC)) as evil, publishing(key_set(*PUBLIC)) as there:
        verifier = AssertionVerifier(there.keys)
        client = dataclasses.replace(CLIENT, jwks=None, jwks_uri=there.url)
        for one, jku in [(client, evil.url), (client, there.url + "/"), (CLIENT, evil.url), (CLIENT, there.url)]:
            outcome = await tried(made(jku=jku), one, verifier)
            assert outcome == "jku is not the jwks_uri that the client registered"
        assert evil.server.connections == there.server.connections == 0


CHEAP: dict[str, str] = {
    "alg none": compact({"alg": "none", "kid": "rsa"}, claims(), b""),
    "alg HS256": compact({"alg": "HS256", "kid": "rsa"}, claims()),
    "no kid": made(kid=None),
    "expired": made(said=claims(exp=NOW - 100)),
    "exp ten minutes ahead": made(said=claims(exp=NOW + 600)),
    "for another server": made(said=claims(aud="https://else.example")),
    "of another client": made(said=claims(iss="other", sub="other")),
    "without jti": made(said=claims(jti=None)),
    "no JWT": "abc",
}


@pytest.mark.parametrize("assertion", CHEAP.values(), ids=CHEAP.keys())
async def test_what_cannot_be_right_makes_nobody_fetch_a_key(assertion: str) -> None:
    async with publishing(key_set(*PUBLIC)) as there:
        client = dataclasses.replace(CLIENT, jwks=None, jwks_uri=there.url)
        assert await tried(assertion, client, AssertionVerifier(there.keys)) != "proved"
        assert there.server.connections == 0


async def test_a_key_that_was_taken_back_proves_nothing_when_the_life_of_the_set_is_over() -> None:
    async with publishing(key_set(*PUBLIC), "cache-control: max-age=60\r\n") as there:
        client = dataclasses.replace(CLIENT, jwks=None, jwks_uri=there.url)
        verifier = AssertionVerifier(there.keys)
        assertion = made(said=claims(exp=NOW + 200))
        await verifier.verify(assertion, client, ENDPOINT, NOW)
        there.body = key_set(published(EC384, "p384"))
        await verifier.verify(assertion, client, ENDPOINT, NOW + 30)
        with pytest.raises(AssertionRefused, match=UNKNOWN):
            await verifier.verify(assertion, client, ENDPOINT, NOW + 61)


async def test_a_client_begins_to_sign_with_a_new_key() -> None:
    async with publishing(key_set(published(EC384, "p384"))) as there:
        client = dataclasses.replace(CLIENT, jwks=None, jwks_uri=there.url)
        verifier = AssertionVerifier(there.keys)
        assert await tried(made("ES384"), client, verifier) == "proved"
        there.body = key_set(*PUBLIC)
        assert await tried(made("RS384"), client, verifier) == "proved"
        assert there.fetches == 2


@pytest.mark.parametrize(("algorithm", "apart"), [(one, one == "ES384") for one in sorted(ALGORITHMS)])
async def test_a_slow_check_leaves_the_event_loop_and_a_quick_one_does_not(
    algorithm: str, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def noted(token: Unverified, key: Key, algorithm: str) -> None:
        threads.append(threading.get_ident())
        check_signature(token, key, algorithm)

    monkeypatch.setattr(client_assertion, "check_signature", noted)
    assert await tried(made(algorithm)) == "proved"
    assert [thread != threading.get_ident() for thread in threads] == [apart]


async def test_a_storm_is_turned_away_as_something_that_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_assertion, "_WAITING", 1)
    verifier = AssertionVerifier(ClientKeys(no_fetch))
    asked = (verifier.verify(made("ES384"), CLIENT, ENDPOINT, NOW) for _ in range(20))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in outcomes].count(VerifiedAssertion) == 3
    assert [type(one) for one in outcomes].count(AssertionUncheckable) == 17


def test_the_client_to_look_up_is_read_before_anything_is_proved() -> None:
    assert unverified_client_id(made()) == "app"
    assert unverified_client_id(compact({"alg": "none"}, {"iss": "anybody", "sub": "anybody"}, b"")) == "anybody"


GARBAGE: dict[str, str] = {
    "nothing": "",
    "two parts": "a.b",
    "five parts, as an encrypted JWT has": "a.b.c.d.e",
    "no base64url": "a+b.c/d.e=",
    "no JSON": compact(b"header", b"claims"),
    "a list of claims": compact({"alg": "RS384"}, b"[]"),
    "a claim told twice": compact({"alg": "RS384"}, b'{"iss":"app","iss":"other","sub":"app"}'),
    "a header member told twice": compact(b'{"alg":"none","alg":"RS384"}', claims()),
    "a critical extension": compact({"alg": "RS384", "crit": ["x"], "x": 1}, claims()),
    "an unencoded payload": compact({"alg": "RS384", "b64": False}, claims()),
    "too long": made(said=claims(padding="x" * MAX_TOKEN_LENGTH)),
    "a line end behind it": made() + "\n",
    "iss and sub apart": compact({"alg": "RS384"}, {"iss": "a", "sub": "b"}),
    "no iss": compact({"alg": "RS384"}, {"sub": "b"}),
}


@pytest.mark.parametrize("assertion", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_names_no_client_and_proves_nothing(assertion: str) -> None:
    with pytest.raises(AssertionRefused):
        unverified_client_id(assertion)
    assert await tried(assertion) != "proved"


json_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
objects = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "jku", "iss", "sub", "aud", "exp", "jti"]), json_values)
texts = (
    st.text()
    | st.from_regex(r"[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{0,20}", fullmatch=True)
    | st.builds(compact, objects, objects, st.binary(max_size=100))
    | st.builds(compact, st.binary(min_size=1, max_size=20), st.binary(min_size=1, max_size=20))
)


@given(texts)
async def test_any_text_is_refused_in_the_one_way(text: str) -> None:
    assert await tried(text) != "proved"
    try:
        assert unverified_client_id(text)
    except AssertionRefused as refused:
        assert refused.detail.isprintable()


@given(st.sampled_from(sorted(ALGORITHMS)), st.binary(max_size=300))
async def test_no_made_up_signature_is_accepted(algorithm: str, signature: bytes) -> None:
    assert await tried(compact({"alg": algorithm, "kid": KID_FOR[algorithm]}, claims(), signature)) == NOT_THE_KEYS
