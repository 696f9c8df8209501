"""Bearer tokens: one check per token, shared by concurrent requests, and what is cached for how long."""

import asyncio
import gc
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from joserfc.jwk import Key

from gateway.credentials import verify_token as verify
from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.unverified_token import UnverifiedToken
from gateway.credentials.verify_token import check_signature
from gateway.policy.permission.access import Access
from gateway.policy.permission.claims import ClaimMapping
from gateway.policy.reasons import Reason
from gateway.proxy.bearer_token.bearer_resolver import BearerResolver, IssuerTrust
from gateway.proxy.bearer_token.connection_memory import ConnectionMemory
from gateway.proxy.bearer_token.token_cache import fingerprint
from tests.credentials.signed_tokens import (
    AUDIENCE,
    NOW,
    StubDocument,
    StubPublisher,
    jwks_document,
    make_issuer,
    private_key,
    published_jwk,
    sign_token,
    valid_claims,
)
from tests.proxy.bearer_token.resolver_setup import INTROSPECTION, KEY_SET, OPAQUE_ISSUER, ResolverSetup, bearer


async def test_a_token_that_is_known_needs_no_waiting_and_no_check() -> None:
    setup = ResolverSetup()
    first = await setup.resolve(bearer("opaque"))
    assert setup.resolver.resolve_cached(bearer("opaque"), ConnectionMemory(), NOW + 1) is first
    assert await setup.resolver.resolve(b"bearer  opaque", NOW + 1) is first
    assert setup.introspected_tokens == ["opaque"]


async def test_after_a_gap_all_tokens_issued_here_are_forgotten_and_no_others() -> None:
    setup = ResolverSetup()
    foreign = await setup.resolve(bearer("opaque"))
    assert isinstance(foreign, Access)
    here = replace(foreign, authorization_id="an-authorization")
    for token in (b"one", b"two"):
        setup.cache.put(fingerprint(token), here, NOW)
    setup.resolver.forget_ended(None)
    assert setup.resolver.resolve_cached(bearer("one"), ConnectionMemory(), NOW) is None
    assert setup.resolver.resolve_cached(bearer("two"), ConnectionMemory(), NOW) is None
    assert setup.resolver.resolve_cached(bearer("opaque"), ConnectionMemory(), NOW) is foreign


async def test_many_requests_with_one_new_token_wait_for_one_check() -> None:
    setup = ResolverSetup()
    responses = await asyncio.gather(*(setup.resolve(bearer("opaque")) for _ in range(50)))
    assert all(isinstance(response, Access) for response in responses)
    assert setup.introspected_tokens == ["opaque"]


async def test_many_requests_with_one_bad_token_wait_for_one_check() -> None:
    setup = ResolverSetup(introspection_response={"active": False})
    responses = await asyncio.gather(*(setup.resolve(bearer("opaque")) for _ in range(50)))
    assert set(responses) == {Reason.TOKEN_INACTIVE}
    assert setup.introspected_tokens == ["opaque"]


async def test_one_who_goes_away_does_not_take_the_check_along() -> None:
    setup = ResolverSetup()
    first = asyncio.create_task(setup.resolver.resolve(bearer("opaque"), NOW))
    await asyncio.sleep(0)
    second = asyncio.create_task(setup.resolver.resolve(bearer("opaque"), NOW))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, Access)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert setup.introspected_tokens == ["opaque"]


async def test_a_refusal_that_nobody_waits_for_any_more_is_no_error() -> None:
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    setup = ResolverSetup(introspection_response={"active": False})
    only = asyncio.create_task(setup.resolver.resolve(bearer("opaque"), NOW))
    await asyncio.sleep(0)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    assert await setup.resolve(bearer("opaque")) is Reason.TOKEN_INACTIVE
    gc.collect()
    assert problems == []


LASTING = {
    "inactive": ({"active": False}, Reason.TOKEN_INACTIVE),
    "for another": ({"aud": "other"}, Reason.TOKEN_AUDIENCE_WRONG),
    "without a client": ({"client_id": None}, Reason.TOKEN_CLAIMS_INVALID),
}


@pytest.mark.parametrize(("response", "reason"), LASTING.values(), ids=LASTING.keys())
async def test_a_refusal_is_remembered_for_a_short_while(response: dict[str, Any], reason: Reason) -> None:
    setup = ResolverSetup(introspection_response=response)
    for later in (0, 1, 9):
        assert await setup.resolve(bearer("opaque"), NOW + later) is reason
    assert setup.introspected_tokens == ["opaque"]
    assert await setup.resolve(bearer("opaque"), NOW + 10) is reason
    assert setup.introspected_tokens == ["opaque"] * 2


async def test_a_signature_is_checked_once_whether_it_is_good_or_forged(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[UnverifiedToken] = []

    def noted(token: UnverifiedToken, key: Key, algorithm: str) -> None:
        checked.append(token)
        check_signature(token, key, algorithm)

    monkeypatch.setattr(verify, "check_signature", noted)
    setup, good, forged = ResolverSetup(), bearer(sign_token()), bearer(sign_token(number=9))
    for later in range(9):
        assert isinstance(await setup.resolve(good, NOW + later), Access)
        assert await setup.resolve(forged, NOW + later) is Reason.TOKEN_SIGNATURE_INVALID
    assert len(checked) == 2


async def test_a_refusal_that_may_pass_is_not_remembered() -> None:
    setup = ResolverSetup(introspection_response={"nbf": NOW + 40})
    assert await setup.resolve(bearer("opaque"), NOW) is Reason.TOKEN_NOT_YET_VALID
    assert isinstance(await setup.resolve(bearer("opaque"), NOW + 10), Access)
    early = ResolverSetup()
    assert isinstance(await early.resolve(bearer(sign_token()), NOW - 1), Access)
    assert await early.resolve(bearer(sign_token(number=1, kid="new")), NOW) is Reason.TOKEN_KEY_UNKNOWN
    early.publisher.document = StubDocument(jwks_document(published_jwk(private_key("ES256", 1), "new")))
    assert isinstance(await early.resolve(bearer(sign_token(number=1, kid="new")), NOW + 30), Access)
    away = ResolverSetup(publisher=StubPublisher(ConnectionError()))
    assert await away.resolve(bearer(sign_token()), NOW) is Reason.TOKEN_CHECK_UNAVAILABLE
    away.publisher.document = StubDocument(KEY_SET)
    assert isinstance(await away.resolve(bearer(sign_token()), NOW + 10), Access)


async def test_a_known_token_is_refused_from_the_same_moment_as_a_new_one() -> None:
    token = bearer(sign_token(valid_claims(exp=NOW + 20)))
    setup = ResolverSetup()
    assert isinstance(await setup.resolve(token, NOW), Access)
    assert isinstance(await setup.resolve(token, NOW + 49.9), Access)
    assert isinstance(await ResolverSetup().resolve(token, NOW + 49.9), Access)
    assert await setup.resolve(token, NOW + 50) is Reason.TOKEN_EXPIRED
    assert await ResolverSetup().resolve(token, NOW + 50) is Reason.TOKEN_EXPIRED


async def test_an_introspected_token_is_asked_about_again_when_it_is_too_old() -> None:
    setup = ResolverSetup()
    await setup.resolve(bearer("opaque"), NOW)
    await setup.resolve(bearer("opaque"), NOW + 59)
    setup.introspection_response["active"] = False
    assert await setup.resolve(bearer("opaque"), NOW + 60) is Reason.TOKEN_INACTIVE
    assert len(setup.introspected_tokens) == 2


async def test_a_check_that_began_before_a_revocation_is_not_remembered() -> None:
    setup, begun, goes_on = ResolverSetup(), asyncio.Event(), asyncio.Event()
    post = setup.post

    async def slow(url: str, form: Mapping[str, str], auth: tuple[str, str]) -> StubDocument:
        page = await post(url, form, auth)
        begun.set()
        await goes_on.wait()
        return page

    asked = make_issuer(issuer=OPAQUE_ISSUER, jwks_url=None, introspection=INTROSPECTION)
    resolver = BearerResolver([IssuerTrust(asked, ClaimMapping(), None)], setup.cache, [AUDIENCE], slow)
    checking = asyncio.create_task(resolver.resolve(bearer("opaque"), NOW))
    await begun.wait()
    setup.cache.forget(lambda _: True)
    goes_on.set()
    assert isinstance(await checking, Access)
    assert resolver.resolve_cached(bearer("opaque"), ConnectionMemory(), NOW) is None


async def test_a_refusal_raised_many_times_does_not_grow() -> None:
    setup = ResolverSetup(introspection_response={"active": False})
    for _ in range(3):
        with pytest.raises(TokenRefused):
            await setup.resolver.resolve(bearer("opaque"), NOW)
        known = setup.resolver.resolve_cached(bearer("opaque"), ConnectionMemory(), NOW)
        assert isinstance(known, TokenRefused)
        assert known.__traceback__ is None
