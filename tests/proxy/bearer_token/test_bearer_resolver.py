"""Bearer tokens: the syntax of the header, and which issuer decides on a token."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.unverified_token import MAX_TOKEN_LENGTH
from gateway.policy.permission.access import Access
from gateway.policy.reasons import Reason
from gateway.proxy.bearer_token.bearer_resolver import read_bearer
from tests.credentials.signed_tokens import (
    AUDIENCE,
    ISSUER,
    NOW,
    compact_jws,
    sign_token,
    valid_claims,
)
from tests.proxy.bearer_token.resolver_setup import OPAQUE_ISSUER, ResolverSetup, bearer

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
    setup = ResolverSetup()
    response = await setup.resolve(header)
    if isinstance(expected, Reason):
        assert response is expected
        assert setup.introspected_tokens == []
    else:
        assert isinstance(response, Access)
        assert setup.introspected_tokens == [expected.decode()]


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
    setup = ResolverSetup()
    access = await setup.resolve(bearer(sign_token()))
    assert isinstance(access, Access)
    assert (access.client_id, access.patient, access.scope_text) == ("app", "pat-a", "patient/*.rs")
    assert setup.introspected_tokens == []


@pytest.mark.parametrize(
    ("changes", "reason", "claims"),
    [
        ({"iss": "https://other.example"}, Reason.TOKEN_ISSUER_UNKNOWN, ("https://other.example", (AUDIENCE,))),
        ({"aud": "https://other.example/fhir"}, Reason.TOKEN_AUDIENCE_WRONG, (ISSUER, ("https://other.example/fhir",))),
    ],
)
async def test_a_refusal_says_what_the_token_says_of_itself_each_time(
    changes: dict[str, Any], reason: Reason, claims: tuple[str, tuple[str, ...]]
) -> None:
    setup = ResolverSetup(opaque_issuers=0)
    for _ in range(2):
        with pytest.raises(TokenRefused) as caught:
            await setup.resolver.resolve(bearer(sign_token({**valid_claims(), **changes})), NOW)
        assert caught.value.reason is reason
        assert caught.value.claims is not None
        assert (caught.value.claims.issuer, caught.value.claims.audience) == claims


OTHER_JWT = compact_jws({"alg": "ES256"}, {"iss": "https://other.example"})


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
    "without an issuer, none to ask": (compact_jws({"alg": "ES256"}, {}), 0, Reason.TOKEN_ISSUER_UNKNOWN),
    "with a list of issuers, none to ask": (
        compact_jws({"alg": "ES256"}, {"iss": ["https://issuer.example"]}),
        0,
        Reason.TOKEN_ISSUER_UNKNOWN,
    ),
    "forged in the name of the trusted issuer is not asked about": (
        sign_token(number=9),
        1,
        Reason.TOKEN_SIGNATURE_INVALID,
    ),
    "expired and of the trusted issuer is not asked about": (
        sign_token(valid_claims(exp=NOW - 100)),
        1,
        Reason.TOKEN_EXPIRED,
    ),
}


@pytest.mark.parametrize(("token", "opaque", "expected"), ROUTES.values(), ids=ROUTES.keys())
async def test_who_is_asked_about_a_token(token: str, opaque: int, expected: bool | Reason) -> None:
    setup = ResolverSetup(opaque_issuers=opaque)
    response = await setup.resolve(bearer(token))
    if expected is True:
        assert isinstance(response, Access)
        assert response.issuer == f"{OPAQUE_ISSUER}/0"
        assert setup.introspected_tokens == [token]
    else:
        assert response is expected
        assert setup.introspected_tokens == []


async def test_a_signed_token_is_asked_about_where_its_issuer_is_one_that_is_asked() -> None:
    # Keycloak's lightweight access tokens are signed, and say next to nothing (keycloak.md).
    setup = ResolverSetup(has_signed_issuer=False)
    assert isinstance(await setup.resolve(bearer(sign_token())), Access)
    assert len(setup.introspected_tokens) == 1


async def test_of_several_issuers_that_are_asked_a_signed_token_goes_to_the_one_it_names() -> None:
    setup = ResolverSetup(opaque_issuers=3)
    access = await setup.resolve(bearer(compact_jws({"alg": "ES256"}, {"iss": f"{OPAQUE_ISSUER}/1"})))
    assert isinstance(access, Access)
    assert access.issuer == f"{OPAQUE_ISSUER}/1"


async def test_the_user_below_the_upstreams_base_is_known() -> None:
    setup = ResolverSetup(introspection_response={"fhirUser": "http://upstream/fhir/Practitioner/1"})
    access = await setup.resolve(bearer("opaque"))
    assert isinstance(access, Access)
    assert str(access.user) == "Practitioner/1"


INTROSPECTED: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "for another audience": ({"aud": "https://other.example"}, Reason.TOKEN_AUDIENCE_WRONG, f"{OPAQUE_ISSUER}/0"),
    "that is not active": ({"active": False}, Reason.TOKEN_INACTIVE, f"{OPAQUE_ISSUER}/0"),
    "of another issuer": ({"iss": "https://x.example"}, Reason.TOKEN_ISSUER_UNKNOWN, "https://x.example"),
    "that has expired": ({"exp": NOW - 1000}, Reason.TOKEN_EXPIRED, f"{OPAQUE_ISSUER}/0"),
    "whose claims cannot be read": ({"exp": 2e11}, Reason.TOKEN_CLAIMS_INVALID, f"{OPAQUE_ISSUER}/0"),
}


@pytest.mark.parametrize(("said", "reason", "issuer"), INTROSPECTED.values(), ids=INTROSPECTED)
async def test_a_refused_token_that_was_introspected_tells_what_was_said_of_it(
    said: dict[str, Any], reason: Reason, issuer: str
) -> None:
    setup = ResolverSetup(introspection_response=said)
    for _ in range(2):
        with pytest.raises(TokenRefused) as caught:
            await setup.resolver.resolve(bearer("opaque"), NOW)
        assert caught.value.reason is reason
        assert caught.value.claims is not None
        assert (caught.value.claims.issuer, caught.value.claims.client_id) == (issuer, "app")
