"""Which keys of a JWK Set may verify signatures, and which one is used for a token."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from gateway.credentials.jwk_set import MAX_DOCUMENT_BYTES, parse_jwk_set
from gateway.credentials.trusted_issuer import SIGNATURE_ALGORITHMS
from gateway.oauth.client.registered_jwks import MAX_KEYS
from tests.credentials.signed_tokens import base64url, jwks_document, private_key, published_jwk

RSA, EC = private_key("RS256"), private_key("ES384")
SHORT_RSA = {"kty": "RSA", "e": "AQAB", "n": base64url(b"\xc1" * 128), "kid": "one"}
LONG_RSA = {"kty": "RSA", "e": "AQAB", "n": base64url(b"\xc1" * 4096), "kid": "one"}
OCT = OctKey.generate_key(256).as_dict(private=True)

NO_KEY: dict[str, tuple[dict[str, Any], str]] = {
    "for encryption, as Keycloak publishes one": (published_jwk(RSA, use="enc", alg="RSA-OAEP"), "RS256"),
    "for encryption, told by alg alone": (published_jwk(RSA, use=None, alg="RSA-OAEP"), "RS256"),
    "with a use that is no string": (published_jwk(RSA, use=["sig"]), "RS256"),
    "for signing only": (published_jwk(RSA, use=None, key_ops=["sign"]), "RS256"),
    "for wrapping": (published_jwk(RSA, use=None, key_ops=["wrapKey", "unwrapKey"]), "RS256"),
    "with key_ops that is a string": (published_jwk(RSA, use=None, key_ops="verify"), "RS256"),
    "symmetric": ({**OCT, "kid": "one", "alg": "HS256"}, "HS256"),
    "symmetric, asked for by another algorithm": ({**OCT, "kid": "one"}, "RS256"),
    "of another algorithm": (published_jwk(RSA, alg="RS384"), "RS256"),
    "RSA, while the token says ES384": (published_jwk(RSA), "ES384"),
    "EC, while the token says RS256": (published_jwk(EC), "RS256"),
    "of another curve": (published_jwk(EC), "ES256"),
    "Ed25519": (published_jwk(OKPKey.generate_key("Ed25519", private=True)), "ES256"),  # type: ignore[arg-type]
    "RSA of 1024 bits": (SHORT_RSA, "RS256"),
    "RSA of 32768 bits": (LONG_RSA, "RS256"),
    "RSA with an even exponent": (published_jwk(RSA, e="AAAA"), "RS256"),
    "RSA without its modulus": ({"kty": "RSA", "e": "AQAB", "kid": "one"}, "RS256"),
    "EC with a point off the curve": (published_jwk(EC, x=base64url(b"\x01" * 48)), "ES384"),
    "EC with a coordinate that is a number": (published_jwk(EC, x=1), "ES384"),
    "of no type": ({"kid": "one"}, "RS256"),
    "with an id that is a number": (published_jwk(RSA, kid=None) | {"kid": 1}, "RS256"),
}


@pytest.mark.parametrize(("member", "algorithm"), NO_KEY.values(), ids=NO_KEY.keys())
def test_a_key_that_does_not_verify(member: dict[str, Any], algorithm: str) -> None:
    keys = parse_jwk_set(jwks_document(member))
    assert keys.find("one", algorithm) is None
    assert keys.find(None, algorithm) is None


@pytest.mark.parametrize("algorithm", sorted(SIGNATURE_ALGORITHMS))
def test_every_algorithm_finds_its_key_among_others(algorithm: str) -> None:
    mine = private_key(algorithm)
    others = [published_jwk(private_key(name, 7), f"other-{name}") for name in ("RS256", "ES256", "ES384", "ES512")]
    key = parse_jwk_set(jwks_document(*others, published_jwk(mine))).find("one", algorithm)
    assert key is not None
    assert key.thumbprint() == mine.thumbprint()


def test_private_members_that_slipped_into_a_set_are_not_kept() -> None:
    key = parse_jwk_set(jwks_document({**RSA.as_dict(private=True), "kid": "one"})).find("one", "RS256")
    assert key is not None
    assert not key.is_private


def test_one_id_for_two_keys_is_refused_and_the_others_stay() -> None:
    keys = parse_jwk_set(
        jwks_document(
            published_jwk(private_key("RS256", 1)), published_jwk(private_key("RS256", 2)), published_jwk(RSA, "two")
        )
    )
    assert keys.find("one", "RS256") is None
    assert keys.find("two", "RS256") is not None


def test_one_id_for_keys_of_two_types_is_refused() -> None:
    keys = parse_jwk_set(jwks_document(published_jwk(RSA), published_jwk(EC)))
    assert keys.find("one", "RS256") is None
    assert keys.find("one", "ES384") is None


def test_the_same_key_twice_is_one_key() -> None:
    assert parse_jwk_set(jwks_document(published_jwk(RSA), published_jwk(RSA))).find("one", "RS256") is not None


def test_an_id_shared_with_a_key_for_encryption_is_no_doubt() -> None:
    other = published_jwk(private_key("RS256", 1), use="enc")
    assert parse_jwk_set(jwks_document(other, published_jwk(RSA))).find("one", "RS256") is not None


def test_a_token_without_an_id_gets_the_only_key_that_fits() -> None:
    keys = parse_jwk_set(jwks_document(published_jwk(RSA, None), published_jwk(EC, "two")))
    assert keys.find(None, "RS256") is not None
    assert keys.find(None, "ES384") is not None


def test_a_token_without_an_id_gets_none_of_two_that_fit() -> None:
    keys = parse_jwk_set(jwks_document(published_jwk(RSA), published_jwk(private_key("RS256", 1), "two")))
    assert keys.find(None, "RS256") is None


def test_a_token_with_an_id_does_not_get_a_key_without_one() -> None:
    assert parse_jwk_set(jwks_document(published_jwk(RSA, None))).find("one", "RS256") is None


def test_what_cannot_be_read_does_not_spoil_the_rest() -> None:
    body = json.dumps({"keys": [None, "key", 1, [], {"kty": 1}, published_jwk(RSA)]}).encode()
    assert parse_jwk_set(body).find("one", "RS256") is not None


NO_SET = {
    "nothing": b"",
    "HTML": b"<html>",
    "a list": b"[]",
    "no keys": b"{}",
    "keys that are an object": b'{"keys":{}}',
    "too large": b" " * MAX_DOCUMENT_BYTES + b'{"keys":[]}',
    "too many keys": json.dumps({"keys": [{}] * (MAX_KEYS + 1)}).encode(),
}


@pytest.mark.parametrize("body", NO_SET.values(), ids=NO_SET.keys())
def test_a_document_that_is_no_key_set(body: bytes) -> None:
    with pytest.raises(ValueError):
        parse_jwk_set(body)


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.lists(st.text(max_size=3), max_size=2)
NAMES = st.sampled_from(["kty", "kid", "use", "key_ops", "alg", "n", "e", "crv", "x", "y"])


@given(st.dictionaries(NAMES, VALUES), st.sampled_from([RSA, EC]))
def test_any_member_is_a_key_or_none(changes: dict[str, Any], key: RSAKey | ECKey) -> None:
    body = json.dumps({"keys": [{**published_jwk(key), **changes}]}, ensure_ascii=True).encode()
    try:
        keys = parse_jwk_set(body)
    except ValueError:
        return
    for algorithm in SIGNATURE_ALGORITHMS:
        keys.find("one", algorithm)
        keys.find(None, algorithm)
