"""From an Authorization header to an access: the form of the header, which issuer counts, one check per token."""

import asyncio
import gc
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import Key

from gateway.keys import verify
from gateway.keys.issuers import Introspection
from gateway.keys.refused import TokenRefused
from gateway.keys.token import MAX_TOKEN_LENGTH, Unverified
from gateway.keys.verify import check_signature
from gateway.policy.access import Access
from gateway.policy.claims import ClaimMapping
from gateway.policy.reasons import Reason
from gateway.web.bearer import BearerResolver, Trust, read_bearer
from gateway.web.connection import ConnectionMemory
from gateway.web.token_cache import TokenCache
from tests.keys.issuing import (
    AUDIENCE,
    NOW,
    Page,
    Publisher,
    compact,
    good_claims,
    key_set,
    private_key,
    published,
    signed,
    trusted,
)

OPAQUE_ISSUER = "https://opaque.example"
ASK = Introspection("https://opaque.example/introspect", "gateway", "secret")
SET = key_set(published(private_key("ES256")))


@dataclass
class House:
    """A resolver with what stands around it: an issuer with keys, and one or more that are asked."""

    publisher: Publisher = field(default_factory=lambda: Publisher(Page(SET)))
    answer: dict[str, Any] = field(default_factory=dict)
    opaque: int = 1
    signed: bool = True
    asked: list[str] = field(default_factory=list)
    cache: TokenCache = field(default_factory=lambda: TokenCache(entries=100, max_age=60, refusals=100))
    mapping: ClaimMapping = field(default_factory=ClaimMapping)

    def __post_init__(self) -> None:
        trusts = [Trust(trusted(), self.mapping, self.publisher.source())] if self.signed else []
        for number in range(self.opaque):
            asked = trusted(issuer=f"{OPAQUE_ISSUER}/{number}", jwks_url=None, introspection=ASK)
            trusts.append(Trust(asked, self.mapping, None))
        self.resolver = BearerResolver(trusts, self.cache, [AUDIENCE, "http://upstream/fhir"], self.post)

    async def post(self, url: str, form: Mapping[str, str], auth: tuple[str, str]) -> Page:
        """The introspection endpoint of every such issuer."""
        self.asked.append(form["token"])
        usual = {"active": True, "client_id": "app", "exp": NOW + 300, "aud": AUDIENCE, "scope": "user/*.rs"}
        return Page(json.dumps({**usual, **self.answer}).encode())

    async def ask(self, authorization: bytes | None, now: float = NOW) -> Access | Reason:
        """As the proxy asks: first what is known, then what must be awaited."""
        known = self.resolver.resolve_cached(authorization, ConnectionMemory(), now)
        if known is None:
            try:
                known = await self.resolver.resolve(authorization, now)
            except TokenRefused as refused:
                known = refused
        return known.reason if isinstance(known, TokenRefused) else known


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


HEADERS: dict[str, tuple[bytes | None, bytes | Reason]] = {
    "nothing": (None, Reason.TOKEN_MISSING),
    "empty": (b"", Reason.TOKEN_MISSING),
    "a token": (b"Bearer abc", b"abc"),
    "another spelling of the scheme": (b"bEARER abc", b"abc"),
    "several spaces": (b"Bearer   abc", b"abc"),
    "every letter of a b64token": (b"Bearer aZ09-._~+/==", b"aZ09-._~+/=="),
    "a token of the greatest length": (b"Bearer " + b"a" * MAX_TOKEN_LENGTH, b"a" * MAX_TOKEN_LENGTH),
    "another scheme": (b"Basic dXNlcjpwYXNz", Reason.TOKEN_MISSING),
    "DPoP": (b"DPoP abc", Reason.TOKEN_MISSING),
    "the scheme alone": (b"Bearer", Reason.TOKEN_MALFORMED),
    "the scheme and a space": (b"Bearer ", Reason.TOKEN_MALFORMED),
    "no space": (b"Bearerabc", Reason.TOKEN_MALFORMED),
    "a tab": (b"Bearer\tabc", Reason.TOKEN_MALFORMED),
    "a space in front": (b" Bearer abc", Reason.TOKEN_MISSING),
    "a space behind": (b"Bearer abc ", Reason.TOKEN_MALFORMED),
    "a line break behind": (b"Bearer abc\n", Reason.TOKEN_MALFORMED),
    "two tokens": (b"Bearer abc def", Reason.TOKEN_MALFORMED),
    "two headers, joined": (b"Bearer abc, Bearer def", Reason.TOKEN_MALFORMED),
    "the scheme twice": (b"Bearer Bearer abc", Reason.TOKEN_MALFORMED),
    "quotes": (b'Bearer "abc"', Reason.TOKEN_MALFORMED),
    "an equals sign inside": (b"Bearer a=b", Reason.TOKEN_MALFORMED),
    "equals signs alone": (b"Bearer ==", Reason.TOKEN_MALFORMED),
    "letters beyond ASCII": ("Bearer äbc".encode(), Reason.TOKEN_MALFORMED),
    "a null byte": (b"Bearer abc\x00", Reason.TOKEN_MALFORMED),
    "one letter too many": (b"Bearer " + b"a" * (MAX_TOKEN_LENGTH + 1), Reason.TOKEN_MALFORMED),
    "a megabyte": (b"Bearer " + b"a" * 1_000_000, Reason.TOKEN_MALFORMED),
}


@pytest.mark.parametrize(("header", "expected"), HEADERS.values(), ids=HEADERS.keys())
async def test_the_form_of_the_header(header: bytes | None, expected: bytes | Reason) -> None:
    house = House()
    answer = await house.ask(header)
    if isinstance(expected, Reason):
        assert answer is expected
        assert house.asked == []
    else:
        assert isinstance(answer, Access)
        assert house.asked == [expected.decode()]


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda rest: b"Bearer " + rest))
def test_reading_any_header_gives_a_token_or_a_refusal(header: bytes) -> None:
    try:
        token = read_bearer(header)
    except TokenRefused:
        return
    assert header.lower().startswith(b"bearer ")
    assert header.endswith(token)
    assert token


async def test_a_signed_token_of_a_trusted_issuer() -> None:
    house = House()
    access = await house.ask(bearer(signed()))
    assert isinstance(access, Access)
    assert (access.client_id, access.patient, access.scope_text) == ("app", "pat-a", "patient/*.rs")
    assert house.asked == []


OTHER_JWT = compact({"alg": "ES256"}, {"iss": "https://other.example"})
NOT_A_JWT = "v4.public.dG9rZW4"
ROUTES: dict[str, tuple[str, int, bool | Reason]] = {
    "opaque, one issuer to ask": ("opaque", 1, True),
    "opaque, none to ask": ("opaque", 0, Reason.TOKEN_MALFORMED),
    "opaque, two to ask": ("opaque", 2, Reason.TOKEN_MALFORMED),
    "signed by another issuer, one to ask": (OTHER_JWT, 1, True),
    "signed by another issuer, none to ask": (OTHER_JWT, 0, Reason.TOKEN_ISSUER_UNKNOWN),
    "signed by another issuer, two to ask": (OTHER_JWT, 2, Reason.TOKEN_ISSUER_UNKNOWN),
    "three parts that are no JWT, one to ask": (NOT_A_JWT, 1, True),
    "three parts that are no JWT, none to ask": (NOT_A_JWT, 0, Reason.TOKEN_MALFORMED),
    "three parts that are no JWT, two to ask": (NOT_A_JWT, 2, Reason.TOKEN_MALFORMED),
    "without an issuer, none to ask": (compact({"alg": "ES256"}, {}), 0, Reason.TOKEN_ISSUER_UNKNOWN),
    "with a list of issuers, none to ask": (
        compact({"alg": "ES256"}, {"iss": ["https://issuer.example"]}),
        0,
        Reason.TOKEN_ISSUER_UNKNOWN,
    ),
    "forged in the name of the trusted issuer is not asked about": (
        signed(number=9),
        1,
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "expired and of the trusted issuer is not asked about": (
        signed(good_claims(exp=NOW - 100)),
        1,
        Reason.TOKEN_EXPIRED,
    ),
}


@pytest.mark.parametrize(("token", "opaque", "expected"), ROUTES.values(), ids=ROUTES.keys())
async def test_who_is_asked_about_a_token(token: str, opaque: int, expected: bool | Reason) -> None:
    house = House(opaque=opaque)
    answer = await house.ask(bearer(token))
    if expected is True:
        assert isinstance(answer, Access)
        assert answer.issuer == f"{OPAQUE_ISSUER}/0"
        assert house.asked == [token]
    else:
        assert answer is expected
        assert house.asked == []


async def test_a_signed_token_is_asked_about_where_its_issuer_is_one_that_is_asked() -> None:
    # Keycloak's lightweight access tokens are signed, and say next to nothing (keycloak.md).
    house = House(signed=False)
    assert isinstance(await house.ask(bearer(signed())), Access)
    assert len(house.asked) == 1


async def test_of_several_issuers_that_are_asked_a_signed_token_goes_to_the_one_it_names() -> None:
    house = House(opaque=3)
    access = await house.ask(bearer(compact({"alg": "ES256"}, {"iss": f"{OPAQUE_ISSUER}/1"})))
    assert isinstance(access, Access)
    assert access.issuer == f"{OPAQUE_ISSUER}/1"


async def test_a_token_that_is_known_needs_no_waiting_and_no_check() -> None:
    house = House()
    first = await house.ask(bearer("opaque"))
    assert house.resolver.resolve_cached(bearer("opaque"), ConnectionMemory(), NOW + 1) is first
    assert await house.resolver.resolve(b"bearer  opaque", NOW + 1) is first
    assert house.asked == ["opaque"]


async def test_many_requests_with_one_new_token_wait_for_one_check() -> None:
    house = House()
    answers = await asyncio.gather(*(house.ask(bearer("opaque")) for _ in range(50)))
    assert all(isinstance(answer, Access) for answer in answers)
    assert house.asked == ["opaque"]


async def test_many_requests_with_one_bad_token_wait_for_one_check() -> None:
    house = House(answer={"active": False})
    answers = await asyncio.gather(*(house.ask(bearer("opaque")) for _ in range(50)))
    assert set(answers) == {Reason.TOKEN_INACTIVE}
    assert house.asked == ["opaque"]


async def test_one_who_goes_away_does_not_take_the_check_along() -> None:
    house = House()
    first = asyncio.create_task(house.resolver.resolve(bearer("opaque"), NOW))
    await asyncio.sleep(0)
    second = asyncio.create_task(house.resolver.resolve(bearer("opaque"), NOW))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, Access)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert house.asked == ["opaque"]


async def test_a_refusal_that_nobody_waits_for_any_more_is_no_error() -> None:
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    house = House(answer={"active": False})
    only = asyncio.create_task(house.resolver.resolve(bearer("opaque"), NOW))
    await asyncio.sleep(0)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    assert await house.ask(bearer("opaque")) is Reason.TOKEN_INACTIVE
    gc.collect()
    assert problems == []


LASTING = {
    "inactive": ({"active": False}, Reason.TOKEN_INACTIVE),
    "for another": ({"aud": "other"}, Reason.TOKEN_AUDIENCE_WRONG),
    "without a client": ({"client_id": None}, Reason.TOKEN_CLAIMS_INVALID),
}


@pytest.mark.parametrize(("answer", "reason"), LASTING.values(), ids=LASTING.keys())
async def test_a_refusal_is_remembered_for_a_short_while(answer: dict[str, Any], reason: Reason) -> None:
    house = House(answer=answer)
    for later in (0, 1, 9):
        assert await house.ask(bearer("opaque"), NOW + later) is reason
    assert house.asked == ["opaque"]
    assert await house.ask(bearer("opaque"), NOW + 10) is reason
    assert house.asked == ["opaque"] * 2


async def test_a_signature_is_checked_once_whether_it_is_good_or_forged(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Unverified] = []

    def noted(token: Unverified, key: Key, algorithm: str) -> None:
        checked.append(token)
        check_signature(token, key, algorithm)

    monkeypatch.setattr(verify, "check_signature", noted)
    house, good, forged = House(), bearer(signed()), bearer(signed(number=9))
    for later in range(9):
        assert isinstance(await house.ask(good, NOW + later), Access)
        assert await house.ask(forged, NOW + later) is Reason.TOKEN_SIGNATURE_INVALID
    assert len(checked) == 2


async def test_a_refusal_that_may_pass_is_not_remembered() -> None:
    house = House(answer={"nbf": NOW + 40})
    assert await house.ask(bearer("opaque"), NOW) is Reason.TOKEN_NOT_YET_VALID
    assert isinstance(await house.ask(bearer("opaque"), NOW + 10), Access)
    early = House()
    assert isinstance(await early.ask(bearer(signed()), NOW - 1), Access)
    assert await early.ask(bearer(signed(number=1, kid="new")), NOW) is Reason.TOKEN_KEY_UNKNOWN
    early.publisher.page = Page(key_set(published(private_key("ES256", 1), "new")))
    assert isinstance(await early.ask(bearer(signed(number=1, kid="new")), NOW + 30), Access)
    away = House(publisher=Publisher(ConnectionError()))
    assert await away.ask(bearer(signed()), NOW) is Reason.TOKEN_CHECK_UNAVAILABLE
    away.publisher.page = Page(SET)
    assert isinstance(await away.ask(bearer(signed()), NOW + 10), Access)


async def test_a_known_token_is_refused_from_the_same_moment_as_a_new_one() -> None:
    token = bearer(signed(good_claims(exp=NOW + 20)))
    house = House()
    assert isinstance(await house.ask(token, NOW), Access)
    assert isinstance(await house.ask(token, NOW + 49.9), Access)
    assert isinstance(await House().ask(token, NOW + 49.9), Access)
    assert await house.ask(token, NOW + 50) is Reason.TOKEN_EXPIRED
    assert await House().ask(token, NOW + 50) is Reason.TOKEN_EXPIRED


async def test_an_introspected_token_is_asked_about_again_when_it_is_too_old() -> None:
    house = House()
    await house.ask(bearer("opaque"), NOW)
    await house.ask(bearer("opaque"), NOW + 59)
    house.answer["active"] = False
    assert await house.ask(bearer("opaque"), NOW + 60) is Reason.TOKEN_INACTIVE
    assert len(house.asked) == 2


async def test_a_check_that_began_before_a_revocation_is_not_remembered() -> None:
    house, begun, goes_on = House(), asyncio.Event(), asyncio.Event()
    post = house.post

    async def slow(url: str, form: Mapping[str, str], auth: tuple[str, str]) -> Page:
        page = await post(url, form, auth)
        begun.set()
        await goes_on.wait()
        return page

    asked = trusted(issuer=OPAQUE_ISSUER, jwks_url=None, introspection=ASK)
    resolver = BearerResolver([Trust(asked, ClaimMapping(), None)], house.cache, [AUDIENCE], slow)
    checking = asyncio.create_task(resolver.resolve(bearer("opaque"), NOW))
    await begun.wait()
    house.cache.forget(lambda _: True)
    goes_on.set()
    assert isinstance(await checking, Access)
    assert resolver.resolve_cached(bearer("opaque"), ConnectionMemory(), NOW) is None


async def test_a_refusal_raised_many_times_does_not_grow() -> None:
    house = House(answer={"active": False})
    for _ in range(3):
        with pytest.raises(TokenRefused):
            await house.resolver.resolve(bearer("opaque"), NOW)
        known = house.resolver.resolve_cached(bearer("opaque"), ConnectionMemory(), NOW)
        assert isinstance(known, TokenRefused)
        assert known.__traceback__ is None


async def test_the_user_below_the_upstreams_base_is_known() -> None:
    house = House(answer={"fhirUser": "http://upstream/fhir/Practitioner/1"})
    access = await house.ask(bearer("opaque"))
    assert isinstance(access, Access)
    assert str(access.user) == "Practitioner/1"
