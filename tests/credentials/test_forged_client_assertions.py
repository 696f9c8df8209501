"""Client assertions that are forged or malformed are refused (CA-1..CA-15, edge cases 67-77)."""

import hmac
import json
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jws import JWSRegistry

from gateway.credentials.unverified_token import MAX_TOKEN_LENGTH
from gateway.credentials.verify_client_assertion import (
    unverified_client_id,
)
from gateway.oauth.client.client_assertion_rules import ALGORITHMS, AssertionRefused
from tests.credentials.client_assertions import (
    KID_FOR,
    NOT_THE_KEYS,
    RSA,
    UNKNOWN,
    sign_assertion,
    valid_claims,
    verify,
)
from tests.credentials.signed_tokens import base64url, compact_jws, private_key, published_jwk


def hmac_of_public_key(algorithm: str, digest: str, form: Literal["PEM", "DER"]) -> str:
    """An assertion signed with the public key as the secret of an HMAC."""
    key = RSA.as_bytes(form, private=False)
    signed = compact_jws({"alg": algorithm, "typ": "JWT", "kid": "rsa"}, valid_claims()).rpartition(".")[0]
    return f"{signed}.{base64url(hmac.digest(key, signed.encode(), digest))}"


def replace_claims(assertion: str, claims: Mapping[str, Any]) -> str:
    """The assertion with other claims but the same header and signature."""
    header, _, signature = assertion.split(".")
    return f"{header}.{base64url(json.dumps(claims).encode())}.{signature}"


def sign_under_other_algorithm(stated: str, real: str) -> str:
    """An assertion signed with the right key, but with another algorithm than the header states."""
    signing = compact_jws({"alg": stated, "typ": "JWT", "kid": "rsa"}, valid_claims()).rpartition(".")[0]
    return f"{signing}.{base64url(JWSRegistry.algorithms[real].sign(signing.encode(), RSA))}"


def sign_with_other_key(algorithm: str, **header: Any) -> str:
    members = {"alg": algorithm, "typ": "JWT", "kid": KID_FOR[algorithm], **header}
    return jwt.encode(members, valid_claims(), private_key(algorithm, 9), algorithms=[algorithm])


FORGED: dict[str, tuple[str, str]] = {
    "alg none with no signature": (
        compact_jws({"alg": "none", "kid": "rsa"}, valid_claims(), b""),
        "alg 'none' is not accepted",
    ),
    "alg none with a signature": (
        compact_jws({"alg": "none", "kid": "rsa"}, valid_claims()),
        "alg 'none' is not accepted",
    ),
    "HS256 with the public key as PEM": (
        hmac_of_public_key("HS256", "sha256", "PEM"),
        "alg 'HS256' is not accepted",
    ),
    "HS384 with the public key as DER": (
        hmac_of_public_key("HS384", "sha384", "DER"),
        "alg 'HS384' is not accepted",
    ),
    "RS384 signed with another key": (sign_with_other_key("RS384"), NOT_THE_KEYS),
    "PS384 signed with another key": (sign_with_other_key("PS384"), NOT_THE_KEYS),
    "ES384 signed with another key": (sign_with_other_key("ES384"), NOT_THE_KEYS),
    "ES256 signed with another key": (sign_with_other_key("ES256"), NOT_THE_KEYS),
    "another jti under an old signature": (
        replace_claims(sign_assertion(), valid_claims(jti="random-2")),
        NOT_THE_KEYS,
    ),
    "no signature": (sign_assertion().rpartition(".")[0] + ".", NOT_THE_KEYS),
    "a signature of zeros": (compact_jws({"alg": "ES384", "kid": "p384"}, valid_claims(), bytes(96)), NOT_THE_KEYS),
    "a signature cut short": (sign_assertion("ES384")[:-8], NOT_THE_KEYS),
    "the kid of an EC key with an RSA algorithm": (sign_assertion("RS384", kid="p384"), UNKNOWN),
    "the kid of an RSA key with an EC algorithm": (sign_assertion("ES384", kid="rsa"), UNKNOWN),
    "the kid of a key on another curve": (sign_assertion("ES384", kid="p256"), UNKNOWN),
    "the kid of no key": (sign_assertion("ES384", kid="p385"), UNKNOWN),
    "no kid": (sign_assertion("ES384", kid=None), "the header has no kid"),
    "a PSS signature told as another": (sign_under_other_algorithm("RS384", "PS384"), NOT_THE_KEYS),
    "a signature by hand, as a control": (sign_under_other_algorithm("RS384", "RS384"), "proved"),
    "its own key in jwk": (
        sign_with_other_key("RS384", jwk=published_jwk(private_key("RS384", 9), "rsa")),
        NOT_THE_KEYS,
    ),
    "its own certificate at x5u": (sign_with_other_key("RS384", x5u="https://evil.example"), NOT_THE_KEYS),
}


@pytest.mark.requirement("CA-2", "CA-3", "CA-6")
@pytest.mark.parametrize(("assertion", "outcome"), FORGED.values(), ids=FORGED.keys())
async def test_forged_assertions(assertion: str, outcome: str) -> None:
    assert await verify(assertion) == outcome


GARBAGE: dict[str, str] = {
    "nothing": "",
    "two parts": "a.b",
    "five parts, as an encrypted JWT has": "a.b.c.d.e",
    "no base64url": "a+b.c/d.e=",
    "no JSON": compact_jws(b"header", b"claims"),
    "a list of claims": compact_jws({"alg": "RS384"}, b"[]"),
    "a claim told twice": compact_jws({"alg": "RS384"}, b'{"iss":"app","iss":"other","sub":"app"}'),
    "a header member told twice": compact_jws(b'{"alg":"none","alg":"RS384"}', valid_claims()),
    "a critical extension": compact_jws({"alg": "RS384", "crit": ["x"], "x": 1}, valid_claims()),
    "an unencoded payload": compact_jws({"alg": "RS384", "b64": False}, valid_claims()),
    "too long": sign_assertion(claims=valid_claims(padding="x" * MAX_TOKEN_LENGTH)),
    "a line end behind it": sign_assertion() + "\n",
    "iss and sub apart": compact_jws({"alg": "RS384"}, {"iss": "a", "sub": "b"}),
    "no iss": compact_jws({"alg": "RS384"}, {"sub": "b"}),
}


@pytest.mark.parametrize("assertion", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_names_no_client_and_proves_nothing(assertion: str) -> None:
    with pytest.raises(AssertionRefused):
        unverified_client_id(assertion)
    assert await verify(assertion) != "proved"


json_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
objects = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "jku", "iss", "sub", "aud", "exp", "jti"]), json_values)
texts = (
    st.text()
    | st.from_regex(r"[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{0,20}", fullmatch=True)
    | st.builds(compact_jws, objects, objects, st.binary(max_size=100))
    | st.builds(compact_jws, st.binary(min_size=1, max_size=20), st.binary(min_size=1, max_size=20))
)


@given(texts)
async def test_any_text_is_refused_in_the_one_way(text: str) -> None:
    assert await verify(text) != "proved"
    try:
        assert unverified_client_id(text)
    except AssertionRefused as refused:
        assert refused.detail.isprintable()


@given(st.sampled_from(sorted(ALGORITHMS)), st.binary(max_size=300))
async def test_no_made_up_signature_is_accepted(algorithm: str, signature: bytes) -> None:
    assert (
        await verify(compact_jws({"alg": algorithm, "kid": KID_FOR[algorithm]}, valid_claims(), signature))
        == NOT_THE_KEYS
    )
