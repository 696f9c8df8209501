"""How a token is parsed before it is verified: it must be a plain compact JWS."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.unverified_token import MAX_TOKEN_LENGTH, looks_like_jwt, parse_json_object, parse_token
from gateway.policy.reasons import Reason
from tests.credentials.signed_tokens import base64url, compact_jws, sign_token, valid_claims

HEADER = {"alg": "ES256"}


def test_a_token_of_joserfc_is_read_as_it_was_written() -> None:
    text = sign_token()
    token = parse_token(text)
    assert token.header == {"alg": "ES256", "typ": "at+jwt", "kid": "one"}
    assert token.claims == valid_claims()
    assert f"{token.signing_input.decode()}.{base64url(token.signature)}" == text


def test_no_part_that_could_be_replayed_shows_in_a_log_of_the_value() -> None:
    token = parse_token(sign_token())
    assert "signature" not in repr(token)
    assert "signed" not in repr(token)


MALFORMED: dict[str, str] = {
    "empty": "",
    "two parts": "e30.e30",
    "four parts": "e30.e30.c2ln.c2ln",
    "five parts, as a JWE has": "e30.e30.e30.e30.e30",
    "no header": ".e30.c2ln",
    "no claims": "e30..c2ln",
    "padding": compact_jws(HEADER, b'{"a":1}') + "=",
    "a line break at the end": compact_jws(HEADER, {}) + "\n",
    "a space in front": " " + compact_jws(HEADER, {}),
    "the other base64 alphabet": f"{base64url(b'{}')}.e3+/.c2ln",
    "a length that no bytes have": f"{base64url(b'{}')}.e30e3.c2ln",
    "bits left over in the last letter of the claims": "e30.e31.c2ln",
    "bits left over in the last letter of the signature": compact_jws(HEADER, {}, b"s")[:-1] + "x",
    "a header that is no JSON": compact_jws(b"alg", {}),
    "claims that are a list": compact_jws(HEADER, b"[]"),
    "claims that are a string": compact_jws(HEADER, b'"x"'),
    "claims that are null": compact_jws(HEADER, b"null"),
    "claims that are not UTF-8": compact_jws(HEADER, b'{"a":"\xff"}'),
    "claims with half a surrogate pair": compact_jws(HEADER, b'{"a":"\\ud800"}'),
    "claims with a byte order mark": compact_jws(HEADER, b"\xef\xbb\xbf{}"),
    "claims with NaN": compact_jws(HEADER, b'{"exp":NaN}'),
    "claims with Infinity": compact_jws(HEADER, b'{"exp":-Infinity}'),
    "claims with something behind": compact_jws(HEADER, b"{}{}"),
    "claims that name a member twice": compact_jws(HEADER, b'{"patient":"a","patient":"b"}'),
    "claims that name a member twice, once by an escape": compact_jws(HEADER, b'{"patient":"a","p\\u0061tient":"b"}'),
    "claims that name a member twice further in": compact_jws(HEADER, b'{"a":[{"b":1,"b":2}]}'),
    "a header that names alg twice": compact_jws(b'{"alg":"none","alg":"ES256"}', {}),
    "a header with crit": compact_jws({**HEADER, "crit": ["exp"], "exp": 1}, {}),
    "a header with an empty crit": compact_jws({**HEADER, "crit": []}, {}),
    "a header with b64": compact_jws({**HEADER, "b64": False}, {}),
    "endless nesting": compact_jws(HEADER, b'{"a":' * 1500 + b"1" + b"}" * 1500),
    "a number of many digits": compact_jws(HEADER, b'{"exp":' + b"9" * 5000 + b"}"),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(text: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        parse_token(text)
    assert caught.value.reason == Reason.TOKEN_MALFORMED


def test_a_token_of_the_greatest_length_is_read_and_one_letter_more_is_not() -> None:
    shortest = len(compact_jws(HEADER, {"a": ""}))
    claims = {"a": "x" * ((MAX_TOKEN_LENGTH - shortest) * 3 // 4)}
    text = compact_jws(HEADER, claims)
    text += "A" * (MAX_TOKEN_LENGTH - len(text) - (MAX_TOKEN_LENGTH - len(text)) % 4)
    assert len(text) <= MAX_TOKEN_LENGTH
    assert parse_token(text).claims == claims
    with pytest.raises(TokenRefused):
        parse_token(compact_jws(HEADER, {"a": "x" * MAX_TOKEN_LENGTH}))


def test_an_unsigned_token_can_be_read_since_reading_is_not_believing() -> None:
    assert parse_token(compact_jws({"alg": "none"}, {}, b"")).signature == b""


@given(st.text())
@example("e30.e30.")
@example("\ud800.e30.e30")
def test_reading_any_text_gives_a_token_or_a_refusal(text: str) -> None:
    with contextlib.suppress(TokenRefused):
        parse_token(text)
        assert looks_like_jwt(text)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=8))
def test_reading_any_three_parts_gives_a_token_or_a_refusal(header: bytes, claims: bytes, signature: bytes) -> None:
    with contextlib.suppress(TokenRefused):
        parse_token(compact_jws(header, claims, signature))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_every_json_object_is_read_as_it_was_written(claims: dict[str, Any]) -> None:
    try:
        written = json.dumps(claims, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert parse_json_object(written) == claims


@given(
    st.binary(min_size=1, max_size=30),
    st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
)
def test_a_signature_has_one_spelling(signature: bytes, letter: str) -> None:
    text = compact_jws(HEADER, {}, signature)
    other = text[:-1] + letter
    with contextlib.suppress(TokenRefused):
        token = parse_token(other)
        assert (other == text) == (token.signature == signature)
        assert base64.urlsafe_b64encode(token.signature).rstrip(b"=").decode() == other.split(".")[2]
