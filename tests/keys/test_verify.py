"""Which signed tokens are believed, and why the others are not (leak 24; RFC 8725)."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jws import JWSRegistry

from gateway.keys import verify
from gateway.keys.issuers import SIGNATURE_ALGORITHMS, TrustedIssuer
from gateway.keys.key_set import read_key_set
from gateway.keys.refused import TokenRefused
from gateway.keys.token import read_token
from gateway.keys.verify import Verifier, check_claims, check_signature
from gateway.policy.reasons import Reason
from tests.keys.issuing import (
    AUDIENCE,
    ISSUER,
    NOW,
    Page,
    Publisher,
    compact,
    encoded,
    good_claims,
    key_set,
    private_key,
    published,
    signed,
    trusted,
)

PUBLIC = published(private_key("ES256"))
RSA_PUBLIC = published(private_key("RS256"), "rsa")
SET = key_set(PUBLIC, RSA_PUBLIC, published(private_key("RS256", 5), "enc", use="enc"))


async def reason(text: str, *, now: float = NOW, publisher: Publisher | None = None, **changes: Any) -> Reason:
    """What becomes of the token."""
    verifier = Verifier(trusted(**changes), (publisher or Publisher(Page(SET))).source())
    try:
        await verifier.claims(read_token(text), now)
    except TokenRefused as refused:
        return refused.reason
    return Reason.PERMITTED


@pytest.mark.parametrize("algorithm", sorted(SIGNATURE_ALGORITHMS))
async def test_a_good_token_of_every_algorithm(algorithm: str) -> None:
    publisher = Publisher(Page(key_set(published(private_key(algorithm)))))
    assert await reason(signed(algorithm=algorithm), publisher=publisher) is Reason.PERMITTED


@pytest.mark.parametrize("algorithm", sorted(SIGNATURE_ALGORITHMS))
async def test_a_token_of_another_key_of_the_same_id(algorithm: str) -> None:
    publisher = Publisher(Page(key_set(published(private_key(algorithm)))))
    text = signed(algorithm=algorithm, number=9)
    assert await reason(text, publisher=publisher) is Reason.TOKEN_SIGNATURE_INVALID


def hmac_signed(secret: bytes, **header: Any) -> str:
    """A token signed with HMAC by whoever holds the public key."""
    parts = [{"alg": "HS256", "typ": "at+jwt", "kid": "one", **header}, good_claims()]
    signing = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    return f"{signing}.{encoded(hmac.digest(secret, signing.encode(), hashlib.sha256))}"


def pem(algorithm: str) -> bytes:
    """The public key as many libraries keep it."""
    raw = private_key(algorithm).public_key
    return raw.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def changed(text: str, part: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """The token with one part rewritten and the signature left as it was."""
    parts = text.split(".")
    token = read_token(text)
    parts[part] = encoded(json.dumps(change(dict(token.header if part == 0 else token.claims))).encode())
    return ".".join(parts)


ES = {"alg": "ES256", "typ": "at+jwt", "kid": "one"}

REFUSED: dict[str, tuple[str, Reason]] = {
    "alg none, no signature": (compact({**ES, "alg": "none"}, good_claims(), b""), Reason.TOKEN_ALGORITHM_REFUSED),
    "alg none, some signature": (compact({**ES, "alg": "none"}, good_claims()), Reason.TOKEN_ALGORITHM_REFUSED),
    "alg None": (compact({**ES, "alg": "None"}, good_claims()), Reason.TOKEN_ALGORITHM_REFUSED),
    "alg missing": (compact({"kid": "one"}, good_claims()), Reason.TOKEN_ALGORITHM_REFUSED),
    "alg null": (compact({**ES, "alg": None}, good_claims()), Reason.TOKEN_ALGORITHM_REFUSED),
    "alg a list": (compact({**ES, "alg": ["ES256"]}, good_claims()), Reason.TOKEN_ALGORITHM_REFUSED),
    "alg in lower case": (compact({**ES, "alg": "es256"}, good_claims()), Reason.TOKEN_ALGORITHM_REFUSED),
    "HS256 with the PEM": (hmac_signed(pem("RS256"), kid="rsa"), Reason.TOKEN_ALGORITHM_REFUSED),
    "HS256 with the PEM without its last line break": (
        hmac_signed(pem("ES256").strip()),
        Reason.TOKEN_ALGORITHM_REFUSED,
    ),
    "HS256 with the JWK": (hmac_signed(json.dumps(PUBLIC).encode()), Reason.TOKEN_ALGORITHM_REFUSED),
    "HS256 with nothing": (hmac_signed(b""), Reason.TOKEN_ALGORITHM_REFUSED),
    "an RSA key's id with ES384": (signed(algorithm="ES384", kid="rsa"), Reason.TOKEN_KEY_UNKNOWN),
    "an EC key's id with RS256": (signed(algorithm="RS256", kid="one"), Reason.TOKEN_KEY_UNKNOWN),
    "a key for encryption": (signed(algorithm="RS256", number=5, kid="enc"), Reason.TOKEN_KEY_UNKNOWN),
    "an unknown kid": (signed(kid="two"), Reason.TOKEN_KEY_UNKNOWN),
    "a kid in another case": (signed(kid="ONE"), Reason.TOKEN_KEY_UNKNOWN),
    "a kid that is a number": (compact({**ES, "kid": 1}, good_claims()), Reason.TOKEN_MALFORMED),
    "a kid that is a path": (signed(kid="../../dev/null"), Reason.TOKEN_KEY_UNKNOWN),
    "claims changed after signing": (
        changed(signed(), 1, lambda claims: {**claims, "patient": "pat-b"}),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "header changed after signing": (
        changed(signed(), 0, lambda header: {**header, "typ": "JWT"}),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "no signature": (signed().rpartition(".")[0] + ".", Reason.TOKEN_SIGNATURE_INVALID),
    "a signature of zeros": (
        signed().rpartition(".")[0] + "." + encoded(bytes(64)),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "a signature cut short": (compact(ES, good_claims(), bytes(63)), Reason.TOKEN_SIGNATURE_INVALID),
    "an RSA signature of the wrong length": (
        compact({"alg": "RS256", "kid": "rsa"}, good_claims(), bytes(64)),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "its own key in jwk": (
        signed(number=9, header={"jwk": {"kty": "EC", "crv": "P-256"}}),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "its own keys at jku": (
        signed(number=9, header={"jku": "https://attacker.example/keys"}),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "its own certificate at x5u": (
        signed(number=9, header={"x5u": "https://attacker.example/cert"}),
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "typ of an id token": (signed(header={"typ": "id+jwt"}), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "typ of a logout token": (signed(header={"typ": "logout+jwt"}), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "typ of a DPoP proof": (signed(header={"typ": "dpop+jwt"}), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "typ that is a number": (compact({**ES, "typ": 1}, good_claims()), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.values(), ids=REFUSED.keys())
async def test_refused(text: str, expected: Reason) -> None:
    assert await reason(text) is expected


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
    assert await reason(signed(good_claims(**changes), header={"typ": "JWT"})) is expected


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
    assert await reason(signed(header={"typ": kind}), **changes) is expected


async def test_an_algorithm_off_the_list_is_refused_though_the_key_is_good_and_no_key_is_fetched() -> None:
    publisher = Publisher(Page(SET))
    assert await reason(signed(), publisher=publisher, algorithms=("RS256",)) is Reason.TOKEN_ALGORITHM_REFUSED
    assert publisher.asked == []


async def test_a_token_that_is_over_or_for_another_makes_nobody_fetch_a_key() -> None:
    publisher = Publisher(Page(SET))
    for changes in ({"exp": NOW - 100}, {"aud": "other"}, {"typ": "ID"}, {"iss": "https://other.example"}):
        assert await reason(signed(good_claims(**changes)), publisher=publisher) is not Reason.PERMITTED
    assert publisher.asked == []


async def test_what_the_header_says_about_keys_is_not_followed() -> None:
    publisher = Publisher(Page(SET))
    header = {
        "jku": "https://attacker.example/keys",
        "x5u": "https://attacker.example/cert",
        "jwk": published(private_key("RS256", 9)),
        "x5c": ["A" * 1200],
        "x5t": "x",
        "nonce": "as Entra ID has it in the header",
        "unheard-of": {"a": [1]},
    }
    # A good signature is good whatever else stands in the header (RFC 7515 4: what is not understood is ignored).
    parts = [{"alg": "ES256", "kid": "one", **header}, good_claims()]
    signing = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    signature = JWSRegistry.algorithms["ES256"].sign(signing.encode(), private_key("ES256"))
    assert await reason(f"{signing}.{encoded(signature)}", publisher=publisher) is Reason.PERMITTED
    assert publisher.asked == ["https://issuer.example/keys"]


async def test_a_token_without_kid_is_checked_by_the_only_key_that_fits() -> None:
    assert await reason(signed(kid=None)) is Reason.PERMITTED
    both = Publisher(Page(key_set(PUBLIC, published(private_key("ES256", 1), "two"))))
    assert await reason(signed(kid=None), publisher=both) is Reason.TOKEN_KEY_UNKNOWN


async def test_keycloak_rotates_its_key() -> None:
    # keycloak.md: the new key signs at once, the old one stays while it is enabled; the set is sent with no-cache.
    headers = {"cache-control": "no-cache"}
    publisher = Publisher(Page(key_set(PUBLIC), headers=headers))
    verifier = Verifier(trusted(), publisher.source())
    old, new = read_token(signed()), read_token(signed(number=1, kid="two"))
    assert await verifier.claims(old, NOW)
    publisher.page = Page(key_set(published(private_key("ES256", 1), "two"), PUBLIC), headers=headers)
    assert await verifier.claims(new, NOW + 1)
    assert await verifier.claims(old, NOW + 2)
    assert len(publisher.asked) == 2
    publisher.page = Page(key_set(published(private_key("ES256", 1), "two")), headers=headers)
    with pytest.raises(TokenRefused) as caught:
        await verifier.claims(old, NOW + 20)
    assert caught.value.reason == Reason.TOKEN_KEY_UNKNOWN


@pytest.mark.parametrize(("algorithm", "apart"), [("ES256", False), ("RS256", False), ("ES384", True), ("ES512", True)])
async def test_a_slow_check_leaves_the_event_loop_and_a_quick_one_does_not(
    algorithm: str, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def noted(*arguments: Any) -> None:
        threads.append(threading.get_ident())
        check_signature(*arguments)

    monkeypatch.setattr(verify, "check_signature", noted)
    publisher = Publisher(Page(key_set(published(private_key(algorithm)))))
    assert await reason(signed(algorithm=algorithm), publisher=publisher) is Reason.PERMITTED
    assert [thread != threading.get_ident() for thread in threads] == [apart]


async def test_a_storm_of_slow_tokens_is_checked_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def noted(*arguments: Any) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        check_signature(*arguments)
        with lock:
            running -= 1

    monkeypatch.setattr(verify, "check_signature", noted)
    verifier = Verifier(trusted(), Publisher(Page(key_set(published(private_key("ES384"))))).source())
    token = read_token(signed(algorithm="ES384"))
    await asyncio.gather(*(verifier.claims(token, NOW) for _ in range(40)))
    assert most <= 2


JSON = st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.lists(st.text(), max_size=2)
NAMES = st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "typ", "token_use", "azp", "client_id"]) | st.text()


@given(st.dictionaries(NAMES, JSON))
def test_any_claims_are_accepted_or_refused_by_name(changes: dict[str, Any]) -> None:
    claims = {**good_claims(), **changes}
    with contextlib.suppress(TokenRefused):
        check_claims(claims, trusted(), NOW)
        assert claims["iss"] == ISSUER
        assert claims["exp"] + 30 > NOW


KEYS = {name: read_key_set(key_set(published(private_key(name)))).find("one", name) for name in ("ES256", "RS256")}


@given(st.sampled_from(sorted(KEYS)), st.binary(max_size=300))
def test_no_signature_made_up_is_accepted(algorithm: str, signature: bytes) -> None:
    key = KEYS[algorithm]
    assert key is not None
    with pytest.raises(TokenRefused) as caught:
        check_signature(read_token(compact({"alg": algorithm}, {}, signature)), key, algorithm)
    assert caught.value.reason == Reason.TOKEN_SIGNATURE_INVALID


def test_a_refusal_quotes_little_of_the_token() -> None:
    issuer: TrustedIssuer = trusted()
    with pytest.raises(TokenRefused) as caught:
        check_claims(good_claims(typ="x" * 1000 + "\n"), issuer, NOW)
    assert len(caught.value.detail) < 100
    assert "\n" not in caught.value.detail
