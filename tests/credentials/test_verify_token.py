"""How signed access tokens are verified: keys, order of the checks and concurrency (RFC 8725)."""

import asyncio
import json
import threading
from typing import Any

import pytest
from joserfc.jws import JWSRegistry

from gateway.credentials import verify_token as verify
from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.trusted_issuer import SIGNATURE_ALGORITHMS
from gateway.credentials.unverified_token import parse_token
from gateway.credentials.verify_token import TokenVerifier, check_signature
from gateway.policy.reasons import Reason
from tests.credentials.signed_tokens import (
    NOW,
    StubDocument,
    StubPublisher,
    base64url,
    jwks_document,
    make_issuer,
    private_key,
    published_jwk,
    sign_token,
    valid_claims,
)
from tests.credentials.verified_tokens import JWKS, PUBLIC, refusal_reason


@pytest.mark.parametrize("algorithm", sorted(SIGNATURE_ALGORITHMS))
async def test_a_good_token_of_every_algorithm(algorithm: str) -> None:
    publisher = StubPublisher(StubDocument(jwks_document(published_jwk(private_key(algorithm)))))
    assert await refusal_reason(sign_token(algorithm=algorithm), publisher=publisher) is Reason.PERMITTED


@pytest.mark.parametrize("algorithm", sorted(SIGNATURE_ALGORITHMS))
async def test_a_token_of_another_key_of_the_same_id(algorithm: str) -> None:
    publisher = StubPublisher(StubDocument(jwks_document(published_jwk(private_key(algorithm)))))
    text = sign_token(algorithm=algorithm, number=9)
    assert await refusal_reason(text, publisher=publisher) is Reason.TOKEN_SIGNATURE_INVALID


async def test_an_algorithm_off_the_list_is_refused_though_the_key_is_good_and_no_key_is_fetched() -> None:
    publisher = StubPublisher(StubDocument(JWKS))
    assert (
        await refusal_reason(sign_token(), publisher=publisher, algorithms=("RS256",)) is Reason.TOKEN_ALGORITHM_REFUSED
    )
    assert publisher.requested_urls == []


async def test_a_token_that_is_over_or_for_another_makes_nobody_fetch_a_key() -> None:
    publisher = StubPublisher(StubDocument(JWKS))
    for changes in ({"exp": NOW - 100}, {"aud": "other"}, {"typ": "ID"}, {"iss": "https://other.example"}):
        assert await refusal_reason(sign_token(valid_claims(**changes)), publisher=publisher) is not Reason.PERMITTED
    assert publisher.requested_urls == []


async def test_what_the_header_says_about_keys_is_not_followed() -> None:
    publisher = StubPublisher(StubDocument(JWKS))
    header = {
        "jku": "https://attacker.example/keys",
        "x5u": "https://attacker.example/cert",
        "jwk": published_jwk(private_key("RS256", 9)),
        "x5c": ["A" * 1200],
        "x5t": "x",
        "nonce": "as Entra ID has it in the header",
        "unheard-of": {"a": [1]},
    }
    # Other header parameters do not affect a valid signature (RFC 7515 4: unknown parameters are ignored).
    parts = [{"alg": "ES256", "kid": "one", **header}, valid_claims()]
    signing = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    signature = JWSRegistry.algorithms["ES256"].sign(signing.encode(), private_key("ES256"))
    assert await refusal_reason(f"{signing}.{base64url(signature)}", publisher=publisher) is Reason.PERMITTED
    assert publisher.requested_urls == ["https://issuer.example/keys"]


async def test_a_token_without_kid_is_checked_by_the_only_key_that_fits() -> None:
    assert await refusal_reason(sign_token(kid=None)) is Reason.PERMITTED
    both = StubPublisher(StubDocument(jwks_document(PUBLIC, published_jwk(private_key("ES256", 1), "two"))))
    assert await refusal_reason(sign_token(kid=None), publisher=both) is Reason.TOKEN_KEY_UNKNOWN


async def test_keycloak_rotates_its_key() -> None:
    # keycloak.md: the new key signs at once, the old one stays while it is enabled; the response has no-cache.
    headers = {"cache-control": "no-cache"}
    publisher = StubPublisher(StubDocument(jwks_document(PUBLIC), headers=headers))
    verifier = TokenVerifier(make_issuer(), publisher.issuer_keys())
    old, new = parse_token(sign_token()), parse_token(sign_token(number=1, kid="two"))
    assert await verifier.verify(old, NOW)
    publisher.document = StubDocument(
        jwks_document(published_jwk(private_key("ES256", 1), "two"), PUBLIC), headers=headers
    )
    assert await verifier.verify(new, NOW + 1)
    assert await verifier.verify(old, NOW + 2)
    assert len(publisher.requested_urls) == 2
    publisher.document = StubDocument(jwks_document(published_jwk(private_key("ES256", 1), "two")), headers=headers)
    with pytest.raises(TokenRefused) as caught:
        await verifier.verify(old, NOW + 20)
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
    publisher = StubPublisher(StubDocument(jwks_document(published_jwk(private_key(algorithm)))))
    assert await refusal_reason(sign_token(algorithm=algorithm), publisher=publisher) is Reason.PERMITTED
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
    verifier = TokenVerifier(
        make_issuer(), StubPublisher(StubDocument(jwks_document(published_jwk(private_key("ES384"))))).issuer_keys()
    )
    token = parse_token(sign_token(algorithm="ES384"))
    await asyncio.gather(*(verifier.verify(token, NOW) for _ in range(40)))
    assert most <= 2
