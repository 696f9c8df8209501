"""Which signed tokens are refused, and for which reason (leak 24; RFC 8725)."""

import contextlib
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials.jwk_set import parse_jwk_set
from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.trusted_issuer import TrustedIssuer
from gateway.credentials.unverified_token import parse_token
from gateway.credentials.verify_token import check_claims, check_signature
from gateway.policy.reasons import Reason
from tests.credentials.signed_tokens import (
    AUDIENCE,
    ISSUER,
    NOW,
    base64url,
    compact_jws,
    jwks_document,
    make_issuer,
    private_key,
    published_jwk,
    sign_token,
    valid_claims,
)
from tests.credentials.verified_tokens import PUBLIC, refusal_reason


def sign_with_hmac(secret: bytes, **header: Any) -> str:
    """A token signed with HMAC, with the public key as the secret."""
    parts = [{"alg": "HS256", "typ": "at+jwt", "kid": "one", **header}, valid_claims()]
    signing = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    return f"{signing}.{base64url(hmac.digest(secret, signing.encode(), hashlib.sha256))}"


def public_key_pem(algorithm: str) -> bytes:
    """The public key in PEM format."""
    raw = private_key(algorithm).public_key
    return raw.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def change_part(text: str, part: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """The token with one part changed and the same signature."""
    parts = text.split(".")
    token = parse_token(text)
    parts[part] = base64url(json.dumps(change(dict(token.header if part == 0 else token.claims))).encode())
    return ".".join(parts)


ES = {"alg": "ES256", "typ": "at+jwt", "kid": "one"}
REFUSED: dict[str, tuple[str, Reason]] = {
    "alg none, no signature": (compact_jws({**ES, "alg": "none"}, valid_claims(), b""), Reason.TOKEN_ALGORITHM_REFUSED),
    "alg none, some signature": (compact_jws({**ES, "alg": "none"}, valid_claims()), Reason.TOKEN_ALGORITHM_REFUSED),
    "alg None": (compact_jws({**ES, "alg": "None"}, valid_claims()), Reason.TOKEN_ALGORITHM_REFUSED),
    "alg missing": (compact_jws({"kid": "one"}, valid_claims()), Reason.TOKEN_ALGORITHM_REFUSED),
    "alg null": (compact_jws({**ES, "alg": None}, valid_claims()), Reason.TOKEN_ALGORITHM_REFUSED),
    "alg a list": (compact_jws({**ES, "alg": ["ES256"]}, valid_claims()), Reason.TOKEN_ALGORITHM_REFUSED),
    "alg in lower case": (compact_jws({**ES, "alg": "es256"}, valid_claims()), Reason.TOKEN_ALGORITHM_REFUSED),
    "HS256 with the PEM": (sign_with_hmac(public_key_pem("RS256"), kid="rsa"), Reason.TOKEN_ALGORITHM_REFUSED),
    "HS256 with the PEM without its last line break": (
        sign_with_hmac(public_key_pem("ES256").strip()),
        Reason.TOKEN_ALGORITHM_REFUSED,
    ),
    "HS256 with the JWK": (sign_with_hmac(json.dumps(PUBLIC).encode()), Reason.TOKEN_ALGORITHM_REFUSED),
    "HS256 with nothing": (sign_with_hmac(b""), Reason.TOKEN_ALGORITHM_REFUSED),
    "an RSA key's id with ES384": (sign_token(algorithm="ES384", kid="rsa"), Reason.TOKEN_KEY_UNKNOWN),
    "an EC key's id with RS256": (sign_token(algorithm="RS256", kid="one"), Reason.TOKEN_KEY_UNKNOWN),
    "a key for encryption": (sign_token(algorithm="RS256", number=5, kid="enc"), Reason.TOKEN_KEY_UNKNOWN),
    "an unknown kid": (sign_token(kid="two"), Reason.TOKEN_KEY_UNKNOWN),
    "a kid in another case": (sign_token(kid="ONE"), Reason.TOKEN_KEY_UNKNOWN),
    "a kid that is a number": (compact_jws({**ES, "kid": 1}, valid_claims()), Reason.TOKEN_MALFORMED),
    "a kid that is a path": (sign_token(kid="../../dev/null"), Reason.TOKEN_KEY_UNKNOWN),
    "claims changed after signing": (
        change_part(sign_token(), 1, lambda claims: {**claims, "patient": "pat-b"}),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "header changed after signing": (
        change_part(sign_token(), 0, lambda header: {**header, "typ": "JWT"}),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "no signature": (sign_token().rpartition(".")[0] + ".", Reason.TOKEN_SIGNATURE_INVALID),
    "a signature of zeros": (
        sign_token().rpartition(".")[0] + "." + base64url(bytes(64)),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "a signature cut short": (compact_jws(ES, valid_claims(), bytes(63)), Reason.TOKEN_SIGNATURE_INVALID),
    "an RSA signature of the wrong length": (
        compact_jws({"alg": "RS256", "kid": "rsa"}, valid_claims(), bytes(64)),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "its own key in jwk": (
        sign_token(number=9, header={"jwk": {"kty": "EC", "crv": "P-256"}}),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "its own keys at jku": (
        sign_token(number=9, header={"jku": "https://attacker.example/keys"}),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "its own certificate at x5u": (
        sign_token(number=9, header={"x5u": "https://attacker.example/cert"}),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "typ of an id token": (sign_token(header={"typ": "id+jwt"}), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "typ of a logout token": (sign_token(header={"typ": "logout+jwt"}), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "typ of a DPoP proof": (sign_token(header={"typ": "dpop+jwt"}), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "typ that is a number": (compact_jws({**ES, "typ": 1}, valid_claims()), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.values(), ids=REFUSED.keys())
async def test_refused(text: str, expected: Reason) -> None:
    assert await refusal_reason(text) is expected


CLAIMS: dict[str, tuple[dict[str, Any], Reason]] = {
    "as they should be": ({}, Reason.PERMITTED),
    "one of several audiences": ({"aud": ["account", AUDIENCE]}, Reason.PERMITTED),
    "Keycloak's access token": (
        {"typ": "Bearer", "azp": "app", "client_id": None, "aud": [AUDIENCE, "account"]},
        Reason.PERMITTED,
    ),
    "Cognito's access token": ({"token_use": "access"}, Reason.PERMITTED),
    "times with fractions": ({"exp": NOW + 0.5, "iat": NOW - 0.5, "nbf": NOW - 0.5}, Reason.PERMITTED),
    "without iat": ({"iat": None}, Reason.PERMITTED),
    "expired within the skew": ({"exp": NOW - 29}, Reason.PERMITTED),
    "expired": ({"exp": NOW - 30}, Reason.TOKEN_EXPIRED),
    "expired long ago": ({"exp": 0}, Reason.TOKEN_EXPIRED),
    "without exp": ({"exp": None}, Reason.TOKEN_CLAIMS_INVALID),
    "exp a string": ({"exp": str(NOW)}, Reason.TOKEN_CLAIMS_INVALID),
    "exp true": ({"exp": True}, Reason.TOKEN_CLAIMS_INVALID),
    "exp in milliseconds": ({"exp": NOW * 1000}, Reason.TOKEN_CLAIMS_INVALID),
    "exp below zero": ({"exp": -1}, Reason.TOKEN_CLAIMS_INVALID),
    "exp a list": ({"exp": [NOW + 300]}, Reason.TOKEN_CLAIMS_INVALID),
    "begins within the skew": ({"nbf": NOW + 30}, Reason.PERMITTED),
    "begins later": ({"nbf": NOW + 31}, Reason.TOKEN_NOT_YET_VALID),
    "issued later": ({"iat": NOW + 31}, Reason.TOKEN_NOT_YET_VALID),
    "nbf a string": ({"nbf": "now"}, Reason.TOKEN_CLAIMS_INVALID),
    "for another server": ({"aud": "https://other.example/fhir"}, Reason.TOKEN_AUDIENCE_WRONG),
    "for a server whose URL begins like ours": ({"aud": AUDIENCE + "/"}, Reason.TOKEN_AUDIENCE_WRONG),
    "for nobody": ({"aud": None}, Reason.TOKEN_AUDIENCE_WRONG),
    "for an empty list": ({"aud": []}, Reason.TOKEN_AUDIENCE_WRONG),
    "for an object": ({"aud": {AUDIENCE: True}}, Reason.TOKEN_AUDIENCE_WRONG),
    "for lists in a list": ({"aud": [[AUDIENCE]]}, Reason.TOKEN_AUDIENCE_WRONG),
    "of another issuer with the same key": ({"iss": "https://other.example"}, Reason.TOKEN_ISSUER_UNKNOWN),
    "of the issuer with a slash": ({"iss": ISSUER + "/"}, Reason.TOKEN_ISSUER_UNKNOWN),
    "of no issuer": ({"iss": None}, Reason.TOKEN_ISSUER_UNKNOWN),
    "of a list of issuers": ({"iss": [ISSUER]}, Reason.TOKEN_ISSUER_UNKNOWN),
    "Keycloak's id token": ({"typ": "ID"}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "Keycloak's refresh token": ({"typ": "Refresh"}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "Keycloak's offline token": ({"typ": "Offline"}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "Keycloak's logout token": ({"typ": "Logout"}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "a typ claim that is a number": ({"typ": 1}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "Cognito's id token": ({"token_use": "id"}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "with a nonce": ({"nonce": "n"}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "with an empty nonce": ({"nonce": ""}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "with at_hash": ({"at_hash": "h"}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "with c_hash": ({"c_hash": "h"}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "with events": ({"events": {}}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "for its client alone": ({"client_id": AUDIENCE}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "for its client alone, as azp": ({"azp": AUDIENCE}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "for its client alone, in a list": ({"azp": AUDIENCE, "aud": [AUDIENCE]}, Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "for its client and another": ({"azp": AUDIENCE, "aud": [AUDIENCE, "account"]}, Reason.PERMITTED),
    "for its client alone, but called a bearer token": ({"azp": AUDIENCE, "typ": "Bearer"}, Reason.PERMITTED),
}


@pytest.mark.parametrize(("changes", "expected"), CLAIMS.values(), ids=CLAIMS.keys())
async def test_claims(changes: dict[str, Any], expected: Reason) -> None:
    assert await refusal_reason(sign_token(valid_claims(**changes), header={"typ": "JWT"})) is expected


TYPES: list[tuple[Any, frozenset[str] | None, bool]] = [
    ("at+jwt", None, True),
    ("AT+JWT", None, True),
    ("application/at+jwt", None, True),
    ("JWT", None, True),
    (None, None, True),
    ("JOSE", None, False),
    ("", None, False),
    ("at+jwt", frozenset({"at+jwt"}), True),
    ("JWT", frozenset({"at+jwt"}), False),
    (None, frozenset({"at+jwt"}), False),
]


@pytest.mark.parametrize(("kind", "accepted", "fine"), TYPES)
async def test_types_in_the_header(kind: str | None, accepted: frozenset[str] | None, fine: bool) -> None:
    changes: dict[str, Any] = {} if accepted is None else {"accepted_types": accepted}
    expected = Reason.PERMITTED if fine else Reason.TOKEN_NOT_AN_ACCESS_TOKEN
    assert await refusal_reason(sign_token(header={"typ": kind}), **changes) is expected


JSON = st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.lists(st.text(), max_size=2)
NAMES = st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "typ", "token_use", "azp", "client_id"]) | st.text()


@given(st.dictionaries(NAMES, JSON))
def test_any_claims_are_accepted_or_refused_by_name(changes: dict[str, Any]) -> None:
    claims = {**valid_claims(), **changes}
    with contextlib.suppress(TokenRefused):
        check_claims(claims, make_issuer(), NOW)
        assert claims["iss"] == ISSUER
        assert claims["exp"] + 30 > NOW


KEYS = {
    name: parse_jwk_set(jwks_document(published_jwk(private_key(name)))).find("one", name)
    for name in ("ES256", "RS256")
}


@given(st.sampled_from(sorted(KEYS)), st.binary(max_size=300))
def test_no_signature_made_up_is_accepted(algorithm: str, signature: bytes) -> None:
    key = KEYS[algorithm]
    assert key is not None
    with pytest.raises(TokenRefused) as caught:
        check_signature(parse_token(compact_jws({"alg": algorithm}, {}, signature)), key, algorithm)
    assert caught.value.reason == Reason.TOKEN_SIGNATURE_INVALID


def test_a_refusal_quotes_little_of_the_token() -> None:
    issuer: TrustedIssuer = make_issuer()
    with pytest.raises(TokenRefused) as caught:
        check_claims(valid_claims(typ="x" * 1000 + "\n"), issuer, NOW)
    assert len(caught.value.detail) < 100
    assert "\n" not in caught.value.detail
