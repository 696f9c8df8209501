"""Header and claims of client assertions (checklist CA-2..CA-9, CA-13, edge cases 67-75)."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.oauth.client.client import AuthenticationMethod, Client
from gateway.oauth.client.client_assertion_rules import (
    ALGORITHMS,
    AssertionRefused,
    CheckedAssertion,
    asserted_client_id,
    check_assertion,
)

NOW = 1_800_000_000.0
ENDPOINT = "https://gateway.example/auth/token"
JWKS_URI = "https://app.example/keys"
# The client_id in the example of the specification is a URL.
CLIENT_ID = "https://bili-monitor.example.com"
BY_URL = Client(CLIENT_ID, "App", AuthenticationMethod.PRIVATE_KEY_JWT, jwks_uri=JWKS_URI)
BY_VALUE = dataclasses.replace(BY_URL, jwks_uri=None, jwks={"keys": []})
ABSENT = object()


def merge(usual: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**usual, **changes}.items() if value is not ABSENT}


def header(**changes: Any) -> dict[str, Any]:
    return merge({"alg": "RS384", "kid": "one", "typ": "JWT"}, changes)


def claims(**changes: Any) -> dict[str, Any]:
    """Claims as Inferno sends them: exactly five minutes, without iat and nbf."""
    usual = {"iss": CLIENT_ID, "sub": CLIENT_ID, "aud": ENDPOINT, "exp": NOW + 300, "jti": "random-1"}
    return merge(usual, changes)


def check(header: dict[str, Any], claims: dict[str, Any], client: Client = BY_URL) -> CheckedAssertion:
    return check_assertion(header, claims, client, ENDPOINT, NOW)


GOOD_CLAIMS: dict[str, dict[str, Any]] = {
    "exp five minutes ahead": {},
    "exp as a number with a fraction": {"exp": NOW + 10.5},
    "exp beyond five minutes, within the skew of the clocks": {"exp": NOW + 360},
    "exp just past, within the skew of the clocks": {"exp": NOW - 59},
    "aud as a list of this token endpoint alone": {"aud": [ENDPOINT]},
    "nbf and iat in the past": {"nbf": NOW - 100, "iat": NOW - 100},
    "nbf and iat ahead, within the skew of the clocks": {"nbf": NOW + 60, "iat": NOW + 60},
    "jti of the greatest length": {"jti": "j" * 256},
    "jti of any characters": {"jti": "\x00 é/+="},
    "claims that nobody asked for": {"scope": "system/*.rs", "nonce": 1},
}


@pytest.mark.parametrize("changes", GOOD_CLAIMS.values(), ids=GOOD_CLAIMS.keys())
def test_claims_that_pass(changes: dict[str, Any]) -> None:
    said = claims(**changes)
    issued_at = said.get("iat", said["exp"] - 300)
    assert check(header(), said) == CheckedAssertion("RS384", "one", said["jti"], said["exp"] + 60, issued_at)


BAD_CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "exp missing": ({"exp": ABSENT}, "exp is missing"),
    "exp null": ({"exp": None}, "exp is not a time in seconds"),
    "exp as text": ({"exp": "1800000300"}, "exp is not a time in seconds"),
    "exp as a truth value": ({"exp": True}, "exp is not a time in seconds"),
    "exp infinite": ({"exp": float("inf")}, "exp is not a time in seconds"),
    "exp not a number": ({"exp": float("nan")}, "exp is not a time in seconds"),
    "exp in milliseconds": ({"exp": (NOW + 300) * 1000}, "exp is not a time in seconds"),
    "exp ten minutes ahead": ({"exp": NOW + 600}, "exp is 600 s ahead, and 300 s is the most"),
    "exp a second beyond life and skew": ({"exp": NOW + 361}, "exp is 361 s ahead, and 300 s is the most"),
    "exp past by the whole skew": ({"exp": NOW - 60}, "expired 60 s ago"),
    "exp of the specification's example": ({"exp": 1422568860}, "expired 377431140 s ago"),
    "exp negative": ({"exp": -1}, "exp is not a time in seconds"),
    "nbf ahead": ({"nbf": NOW + 61}, "nbf is 61 s ahead"),
    "nbf null": ({"nbf": None}, "nbf is not a time in seconds"),
    "iat ahead": ({"iat": NOW + 61}, "iat is 61 s ahead"),
    "iat as text": ({"iat": "now"}, "iat is not a time in seconds"),
    "iss missing": ({"iss": ABSENT}, "iss and sub must both be the client_id"),
    "sub missing": ({"sub": ABSENT}, "iss and sub must both be the client_id"),
    "iss and sub missing": ({"iss": ABSENT, "sub": ABSENT}, "iss and sub must both be the client_id"),
    "iss another than sub": ({"iss": "not_a_valid_iss"}, "iss and sub must both be the client_id"),
    "iss and sub empty": ({"iss": "", "sub": ""}, "iss and sub must both be the client_id"),
    "iss and sub of another client": ({"iss": "other", "sub": "other"}, "iss and sub are another client's id"),
    "iss and sub as lists": ({"iss": [CLIENT_ID], "sub": [CLIENT_ID]}, "iss and sub must both be the client_id"),
    "aud missing": ({"aud": ABSENT}, "aud is not this token endpoint alone"),
    "aud the issuer": ({"aud": "https://gateway.example"}, "aud is not this token endpoint alone"),
    "aud the FHIR base": ({"aud": "https://gateway.example/fhir"}, "aud is not this token endpoint alone"),
    "aud with a trailing slash": ({"aud": ENDPOINT + "/"}, "aud is not this token endpoint alone"),
    "aud in other letter case": ({"aud": ENDPOINT.upper()}, "aud is not this token endpoint alone"),
    "aud ours beside another": ({"aud": [ENDPOINT, "https://else.example"]}, "aud is not this token endpoint alone"),
    "aud ours twice": ({"aud": [ENDPOINT, ENDPOINT]}, "aud is not this token endpoint alone"),
    "aud an empty list": ({"aud": []}, "aud is not this token endpoint alone"),
    "aud a list in a list": ({"aud": [[ENDPOINT]]}, "aud is not this token endpoint alone"),
    "aud an object": ({"aud": {ENDPOINT: True}}, "aud is not this token endpoint alone"),
    "jti missing": ({"jti": ABSENT}, "jti must be a string of 1 to 256 characters"),
    "jti empty": ({"jti": ""}, "jti must be a string of 1 to 256 characters"),
    "jti a number": ({"jti": 7}, "jti must be a string of 1 to 256 characters"),
    "jti too long": ({"jti": "j" * 257}, "jti must be a string of 1 to 256 characters"),
}


@pytest.mark.parametrize(("changes", "detail"), BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
def test_claims_that_are_refused(changes: dict[str, Any], detail: str) -> None:
    with pytest.raises(AssertionRefused) as caught:
        check(header(), claims(**changes))
    assert caught.value.detail == detail


GOOD_HEADERS: dict[str, tuple[dict[str, Any], Client]] = {
    **{f"alg {one}": ({"alg": one}, BY_URL) for one in sorted(ALGORITHMS)},
    "typ in small letters": ({"typ": "jwt"}, BY_URL),
    "typ absent": ({"typ": ABSENT}, BY_URL),
    "jku the registered jwks_uri": ({"jku": JWKS_URI}, BY_URL),
    "no jku, with inline keys": ({}, BY_VALUE),
    "keys of its own, which are not read": ({"jwk": {"kty": "RSA"}, "x5u": "https://evil.example"}, BY_URL),
}


@pytest.mark.parametrize(("changes", "client"), GOOD_HEADERS.values(), ids=GOOD_HEADERS.keys())
def test_headers_that_pass(changes: dict[str, Any], client: Client) -> None:
    said = header(**changes)
    assert check(said, claims(), client).algorithm == said["alg"]


NO_JKU = "jku is not the jwks_uri that the client registered"
BAD_HEADERS: dict[str, tuple[dict[str, Any], Client, str]] = {
    "alg none": ({"alg": "none"}, BY_URL, "alg 'none' is not accepted"),
    "alg None in capitals": ({"alg": "None"}, BY_URL, "alg 'None' is not accepted"),
    "alg HS256": ({"alg": "HS256"}, BY_URL, "alg 'HS256' is not accepted"),
    "alg HS384": ({"alg": "HS384"}, BY_URL, "alg 'HS384' is not accepted"),
    "alg RS512, which is not on the list": ({"alg": "RS512"}, BY_URL, "alg 'RS512' is not accepted"),
    "alg in small letters": ({"alg": "rs384"}, BY_URL, "alg 'rs384' is not accepted"),
    "alg missing": ({"alg": ABSENT}, BY_URL, "alg None is not accepted"),
    "alg a list": ({"alg": ["RS384"]}, BY_URL, "alg ['RS384'] is not accepted"),
    "alg made to break a log": ({"alg": "a\nb" * 40}, BY_URL, "alg 'a\\nba\\nba\\nba\\nba\\nba\\nba\\nba\\nba\\nba\\n"),
    "typ of an access token": ({"typ": "at+jwt"}, BY_URL, "typ 'at+jwt' is not JWT"),
    "typ null": ({"typ": None}, BY_URL, "typ None is not JWT"),
    "kid missing": ({"kid": ABSENT}, BY_URL, "the header has no kid"),
    "kid empty": ({"kid": ""}, BY_URL, "the header has no kid"),
    "kid a number": ({"kid": 1}, BY_URL, "the header has no kid"),
    "jku of somebody else": ({"jku": "https://evil.example/jwks"}, BY_URL, NO_JKU),
    "jku with a trailing slash": ({"jku": JWKS_URI + "/"}, BY_URL, NO_JKU),
    "jku null": ({"jku": None}, BY_URL, NO_JKU),
    "jku a list": ({"jku": [JWKS_URI]}, BY_URL, NO_JKU),
    "jku for a client with inline keys": ({"jku": JWKS_URI}, BY_VALUE, NO_JKU),
    "jku null for a client with inline keys": ({"jku": None}, BY_VALUE, NO_JKU),
}


@pytest.mark.requirement("CA-3", "CA-9")
@pytest.mark.parametrize(("changes", "client", "detail"), BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_headers_that_are_refused(changes: dict[str, Any], client: Client, detail: str) -> None:
    with pytest.raises(AssertionRefused) as caught:
        check(header(**changes), claims(), client)
    assert caught.value.detail.startswith(detail)
    assert caught.value.detail.isprintable()


NOT_FOR_IT = {
    "a public client": dataclasses.replace(BY_URL, authentication=AuthenticationMethod.NONE),
    "a client with a secret": dataclasses.replace(BY_URL, authentication=AuthenticationMethod.CLIENT_SECRET_BASIC),
    "a disabled client": dataclasses.replace(BY_URL, disabled=True),
}


@pytest.mark.parametrize("client", NOT_FOR_IT.values(), ids=NOT_FOR_IT.keys())
def test_clients_that_cannot_use_one(client: Client) -> None:
    with pytest.raises(AssertionRefused, match="disabled, or not registered for private_key_jwt"):
        check(header(), claims(), client)


@pytest.mark.requirement("CA-7", "CA-13")
def test_the_jti_is_remembered_for_as_long_as_the_assertion_would_pass() -> None:
    said = claims()
    until = check(header(), said).replay_until
    check_assertion(header(), said, BY_URL, ENDPOINT, until - 0.1)
    with pytest.raises(AssertionRefused):
        check_assertion(header(), said, BY_URL, ENDPOINT, until)


def test_the_client_to_look_up_is_named_by_iss_and_sub() -> None:
    assert asserted_client_id({"iss": "a", "sub": "a"}) == "a"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


in_headers = st.sampled_from(["alg", "kid", "typ", "jku"])
in_claim_sets = st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "jti"])


@given(in_headers, in_claim_sets, json_values, json_values)
def test_any_value_of_any_member_is_accepted_or_refused(in_header: str, in_claims: str, one: Any, other: Any) -> None:
    for head, said in (({in_header: one}, {}), ({}, {in_claims: other}), ({in_header: one}, {in_claims: other})):
        try:
            assert check(header(**head), claims(**said)).algorithm in ALGORITHMS
        except AssertionRefused as refused:
            assert refused.detail.isprintable()
