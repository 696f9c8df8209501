"""Key sets that can be registered by value, and the problems of others (checklist R-9)."""

import base64
import functools
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from gateway.oauth.client.registered_jwks import ClientJwksError, check_client_jwks


@functools.cache
def _rsa(bits: int) -> RSAKey:
    return RSAKey.generate_key(bits, private=True)


@functools.cache
def _ec(curve: str) -> ECKey:
    return ECKey.generate_key(curve, private=True)


def merge(usual: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def rsa(bits: int = 2048, private: bool = False, **changes: Any) -> dict[str, Any]:
    """An RSA key with the kid "r". None removes a member."""
    return merge({**_rsa(bits).as_dict(private=private), "kid": "r"}, changes)


def ec(curve: str = "P-384", private: bool = False, **changes: Any) -> dict[str, Any]:
    """An EC key with the kid "e". None removes a member."""
    return merge({**_ec(curve).as_dict(private=private), "kid": "e"}, changes)


def number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


GOOD: dict[str, list[dict[str, Any]]] = {
    "an RSA key": [rsa()],
    "an EC key for ES384": [ec()],
    "an EC key for ES256": [ec("P-256")],
    "several keys": [rsa(), ec(), ec("P-256", kid="f")],
    "keys that say what they are for": [rsa(use="sig", alg="RS384"), ec(key_ops=["verify"], alg="ES384")],
    "members that are not read": [rsa(ext=True, x5t="abc")],
    "a key for encryption beside one for signatures": [rsa(use="enc", alg="RSA-OAEP"), ec()],
}


@pytest.mark.parametrize("keys", GOOD.values(), ids=GOOD.keys())
def test_sets_that_can_be_registered(keys: list[dict[str, Any]]) -> None:
    check_client_jwks({"keys": keys})


def test_a_set_that_was_made_unchangeable_can_be_registered_too() -> None:
    check_client_jwks(MappingProxyType({"keys": (MappingProxyType(rsa()),)}))


BAD_KEYS: dict[str, tuple[list[Any], str]] = {
    "a key that is no object": ([rsa(), "key"], "key 2 is not a JSON object"),
    "a key without kid": ([rsa(), ec(kid=None)], "key 2 has no kid"),
    "a key with an empty kid": ([rsa(kid="")], "key 1 has no kid"),
    "a key with a number for kid": ([rsa(kid=7)], "key 1 has no kid"),
    "two keys of one kid": ([rsa(), ec(kid="r")], "2 keys have the kid 'r', which must be unique"),
    "one key twice": ([rsa(), rsa()], "2 keys have the kid 'r', which must be unique"),
    "a key without kty": ([rsa(kty=None)], "key 'r' has no kty"),
    "a symmetric key": ([{"kty": "oct", "k": "c2VjcmV0", "kid": "s"}], "key 's' has the kty 'oct', and RSA or EC"),
    "an Edwards key": ([{"kty": "OKP", "crv": "Ed25519", "x": "eA", "kid": "o"}], "key 'o' has the kty 'OKP'"),
    "a private RSA key": ([rsa(private=True)], "key 'r' has the private member d"),
    "a private EC key": ([ec(private=True)], "key 'e' has the private member d"),
    "a prime of an RSA key": ([rsa(p="cA")], "key 'r' has the private member p"),
    "an RSA key without n": ([rsa(n=None)], "key 'r' needs the member n"),
    "an RSA key without e": ([rsa(e=None)], "key 'r' needs the member e"),
    "an RSA key of certificates only": ([rsa(n=None, e=None, x5c=["MIIB"])], "key 'r' needs the member n"),
    "an RSA key with a number for e": ([rsa(e=65537)], "key 'r' needs the member e, which is missing or not a string"),
    "an RSA key in padded base64": ([rsa(e="AQAB====")], "key 'r' has no base64url in e"),
    "an RSA key in the other base64": ([rsa(n="+/+/")], "key 'r' has no base64url in n"),
    "an RSA key of letters outside ASCII": ([rsa(n="é")], "key 'r' has no base64url in n"),
    "an RSA key with an empty n": ([rsa(n="")], "key 'r' has no base64url in n"),
    "a short RSA key": ([rsa(n=number((1 << 2047) - 1))], "key 'r' has 2047 bits, and 2048 to 8192 are needed"),
    "a huge RSA key": ([rsa(n=number(1 << 8192))], "key 'r' has 8193 bits, and 2048 to 8192 are needed"),
    "an RSA key that anybody can sign for": ([rsa(e="AQ")], "key 'r' has an e that is not an odd number of at least 3"),
    "an RSA key with an even e": ([rsa(e=number(65536))], "key 'r' has an e that is not an odd number of at least 3"),
    "an EC key without crv": ([ec(crv=None)], "key 'e' needs the member crv"),
    "an EC key without x": ([ec(x=None)], "key 'e' needs the member x"),
    "an EC key without y": ([ec(y=None)], "key 'e' needs the member y"),
    "an EC key on a curve without algorithm": ([ec("P-521")], "key 'e' has the crv 'P-521', and P-256 or P-384"),
    "an EC key that names another curve": ([ec(crv="P-256")], "key 'e' has 48 octets in x, and P-256 has 32"),
    "an EC key with half a y": ([ec(y="AAAA")], "key 'e' has 3 octets in y, and P-384 has 48"),
    "an EC key for another algorithm": ([ec("P-256", alg="ES384")], "key 'e' has the alg 'ES384', and ES256 is needed"),
    "an RSA key for HMAC": ([rsa(alg="HS256")], "key 'r' has the alg 'HS256', and PS384 or RS256 or RS384 is needed"),
    "an RSA key with a list for alg": ([rsa(alg=["RS384"])], "key 'r' has the alg ['RS384']"),
    "only a key for encryption": ([rsa(use="enc")], "none of its keys is for verifying signatures"),
    "only a key for signing": ([rsa(key_ops=["sign"])], "none of its keys is for verifying signatures"),
    "no key": ([], "it needs a member keys, with at least one key"),
    "too many keys": ([rsa(kid=str(number)) for number in range(201)], "it has 201 keys, and 200 is the most"),
}


@pytest.mark.requirement("R-9")
@pytest.mark.parametrize(("keys", "message"), BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_sets_that_are_refused(keys: list[Any], message: str) -> None:
    with pytest.raises(ClientJwksError) as caught:
        check_client_jwks({"keys": keys})
    assert str(caught.value).startswith(message)


NO_SETS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "keys of null": {"keys": None},
    "keys as text": {"keys": "abc"},
    "keys by their ids": {"keys": {"a": ec()}},
    "a bare key": rsa(),
}


@pytest.mark.requirement("R-9")
@pytest.mark.parametrize("jwks", NO_SETS.values(), ids=NO_SETS.keys())
def test_what_is_no_key_set_is_refused(jwks: dict[str, Any]) -> None:
    with pytest.raises(ClientJwksError, match="it needs a member keys"):
        check_client_jwks(jwks)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
members = st.sampled_from(["kty", "kid", "n", "e", "crv", "x", "y", "d", "use", "alg", "key_ops"])


@given(st.sampled_from([rsa(), ec()]), st.dictionaries(members, json_values, max_size=3))
def test_any_key_is_accepted_or_refused(key: dict[str, Any], changes: dict[str, Any]) -> None:
    try:
        check_client_jwks({"keys": [{**key, **changes}]})
    except ClientJwksError as error:
        assert str(error)
