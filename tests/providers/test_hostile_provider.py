"""A provider that lies in each of its documents: every lie ends on our page, by a stable reason, nobody signed in."""

import contextlib
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from joserfc.jwk import ECKey
from starlette.responses import HTMLResponse, JSONResponse, Response

from tests.gateway.lenient import Lenient
from tests.providers.hostile import Hostile, Lies, hostile_provider, redirect
from tests.providers.visiting import CLIENT_ID, CLIENT_SECRET, depart, is_signed_in, reason_of, signing_in_at
from tests.smart.house import House, smart_house
from tests.smart.person import Page, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCOPE = "openid fhirUser launch/patient patient/Patient.rs"
NOBODY = "https://elsewhere.example"
STRANGER = ECKey.generate_key("P-256", parameters={"kid": "one"})


ISSUERS = 40
"""For the tests that need one of whom nothing is known yet."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[Hostile]:
    async with hostile_provider() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(provider: Hostile, charts: Lenient) -> AsyncIterator[House]:
    issuers = [provider.root, *(f"{provider.root}/{index}" for index in range(1, ISSUERS))]
    async with smart_house(charts.base_url, change=signing_in_at(*issuers)) as running:
        yield running


@pytest.fixture
def hostile(provider: Hostile) -> Hostile:
    """The first issuer, telling the truth."""
    provider.speak_for(0)
    return provider


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return iter(range(1, ISSUERS))


@pytest.fixture
def unknown(provider: Hostile, numbers: Iterator[int]) -> tuple[Hostile, int]:
    """An issuer of whom the gateway knows nothing yet, and its number."""
    index = next(numbers)
    provider.speak_for(index)
    return provider, index


async def departed(house: House, index: int) -> Page:
    """Where somebody ends who clicks on the provider's name."""
    person = house.person()
    page = await person.go(house.app().authorization_url(SCOPE))
    return await person.go(f"{page.url}/provider/{index}")


async def signed_in(
    house: House,
    hostile: Hostile,
    index: int = 0,
    *,
    scope: str = SCOPE,
    prompt: str | None = None,
    max_age: str | None = None,
) -> tuple[Person, Page]:
    """A person who went there and came back."""
    person = house.person()
    page = await person.go(house.app().authorization_url(scope, prompt=prompt, max_age=max_age))
    return person, await person.go(hostile.authorized(await depart(person, page, index)))


async def test_the_truth_signs_in(house: House, unknown: tuple[Hostile, int]) -> None:
    hostile, index = unknown
    person, page = await signed_in(house, hostile, index)
    assert page.forms[-1].action.endswith("/patient")
    assert await is_signed_in(house, person)
    assert hostile.asked == ["discovery", "token", "jwks"], "an id_token that says it all needs no userinfo"
    assert hostile.forms[0]["grant_type"] == "authorization_code"
    assert hostile.forms[0]["redirect_uri"] == f"{house.issuer}/signed-in/{index + 1}"
    assert "client_secret" not in hostile.forms[0]


NOW = int(time.time())
TOKENS: dict[str, Lies] = {
    "that is not signed": Lies(header={"alg": "none"}, sign=lambda _: b""),
    "that says none in capitals": Lies(header={"alg": "NONE"}, sign=lambda _: b""),
    "signed with our own secret": Lies(
        header={"alg": "HS256"}, sign=lambda signed: hmac.digest(CLIENT_SECRET.encode(), signed, hashlib.sha256)
    ),
    "of an algorithm that is no string": Lies(header={"alg": ["ES256"]}),
    "without an algorithm": Lies(header={"alg": None}),
    "signed by somebody else": Lies(sign=lambda _: b"\0" * 64),
    "of a key nobody published": Lies(header={"kid": "two"}),
    "of a kid that is no string": Lies(header={"kid": 1}),
    "that brings its own key": Lies(header={"kid": "two", "jwk": STRANGER.as_dict(private=False)}),
    "that says where its key is": Lies(header={"kid": "two", "jku": f"{NOBODY}/jwks"}),
    "with an extension we must understand": Lies(header={"crit": ["exp"]}),
    "that is an access token": Lies(header={"typ": "at+jwt"}),
    "of another issuer": Lies(claims={"iss": NOBODY}),
    "of no issuer": Lies(claims={"iss": None}),
    "for another client": Lies(claims={"aud": "other"}),
    "for many others": Lies(claims={"aud": ["other", "third"]}),
    "for nobody": Lies(claims={"aud": None}),
    "for us in an object": Lies(claims={"aud": {CLIENT_ID: True}}),
    "that another party was given": Lies(claims={"azp": "other"}),
    "for us and others, without a party": Lies(claims={"aud": [CLIENT_ID, "other"]}),
    "for us and others, given to them": Lies(claims={"aud": [CLIENT_ID, "other"], "azp": "other"}),
    "of another login": Lies(claims={"nonce": "another"}),
    "without a nonce": Lies(claims={"nonce": None}),
    "whose nonce is a list": Lies(claims={"nonce": ["x"]}),
    "that is over": Lies(claims={"exp": NOW - 3600}),
    "without an end": Lies(claims={"exp": None}),
    "whose end is a text": Lies(claims={"exp": "tomorrow"}),
    "whose end is in milliseconds": Lies(claims={"exp": NOW * 1000}),
    "of tomorrow": Lies(claims={"iat": NOW + 86400}),
    "that begins tomorrow": Lies(claims={"nbf": NOW + 86400}),
    "without a subject": Lies(claims={"sub": None}),
    "whose subject is empty": Lies(claims={"sub": ""}),
    "whose subject is a number": Lies(claims={"sub": 7}),
    "that is longer than any": Lies(claims={"filling": "x" * 20000}),
}


@pytest.mark.parametrize("lies", TOKENS.values(), ids=TOKENS.keys())
async def test_nobody_signs_in_by_an_id_token(house: House, hostile: Hostile, lies: Lies) -> None:
    hostile.lies = lies
    await _refused(house, hostile, "provider_not_believed")


MISSING: dict[str, Any] = {"none": None, "a number": 7, "no token at all": "hello", "two dots": "..", "empty": ""}


@pytest.mark.parametrize("token", MISSING.values(), ids=MISSING.keys())
async def test_nobody_signs_in_by_what_is_no_id_token(house: House, hostile: Hostile, token: Any) -> None:
    hostile.lies = Lies(token={"id_token": token})
    await _refused(house, hostile, "provider_not_believed")


AT_THE_TOKEN_ENDPOINT: dict[str, tuple[Response, str]] = {
    "an error of its own": (Response("no", 500), "provider_unavailable"),
    "a page": (HTMLResponse("<h1>Hello</h1>"), "provider_unavailable"),
    "nothing": (Response(""), "provider_unavailable"),
    "a list": (JSONResponse([]), "provider_unavailable"),
    "a redirect": (redirect(NOBODY), "provider_unavailable"),
    "endless nesting": (Response("[" * 100_000), "provider_unavailable"),
    "two megabytes": (JSONResponse({"id_token": "x" * 2_000_000}), "provider_unavailable"),
    "no text": (Response(b"\xff\xfe\x00"), "provider_unavailable"),
    "that the code is used": (JSONResponse({"error": "invalid_grant"}, 400), "provider_refused"),
    "that we are nobody": (JSONResponse({"error": "invalid_client"}, 401), "provider_refused"),
    "an error that is no word": (JSONResponse({"error": {"a": ["\n"]}}, 400), "provider_refused"),
}


@pytest.mark.parametrize(("answer", "reason"), AT_THE_TOKEN_ENDPOINT.values(), ids=AT_THE_TOKEN_ENDPOINT.keys())
async def test_nobody_signs_in_where_the_token_endpoint_answers(
    house: House, hostile: Hostile, answer: Response, reason: str
) -> None:
    hostile.lies = Lies(answers={"token": answer})
    await _refused(house, hostile, reason)


KEYS: dict[str, Response] = {
    "an error of its own": Response("no", 503),
    "a page": HTMLResponse("<h1>Hello</h1>"),
    "a redirect": redirect(NOBODY),
    "a list": JSONResponse([]),
    "two megabytes": Response("x" * 2_000_000),
}


@pytest.mark.parametrize("answer", KEYS.values(), ids=KEYS.keys())
async def test_nobody_signs_in_where_the_keys_are(house: House, unknown: tuple[Hostile, int], answer: Response) -> None:
    hostile, index = unknown
    hostile.lies = Lies(answers={"jwks": answer})
    await _refused(house, hostile, "provider_unavailable", index)


async def _refused(house: House, hostile: Hostile, reason: str, index: int = 0) -> None:
    person, page = await signed_in(house, hostile, index)
    assert (page.status, reason_of(page)) == (502, reason)
    assert not await is_signed_in(house, person)
    # The way back leads to the sign-in page of the same request.
    again = await person.go(page.html.partition('button-main" href="')[2].partition('"')[0])
    assert again.title.startswith("Sign in")


DISCOVERIES: dict[str, Lies] = {
    "of another issuer": Lies(discovery={"issuer": NOBODY}),
    "without an issuer": Lies(discovery={"issuer": None}),
    "without a place to sign in": Lies(discovery={"authorization_endpoint": None}),
    "without a token endpoint": Lies(discovery={"token_endpoint": None}),
    "without keys": Lies(discovery={"jwks_uri": None}),
    "whose token endpoint is a list": Lies(discovery={"token_endpoint": [NOBODY]}),
    "that leads to a script": Lies(discovery={"authorization_endpoint": "javascript:alert(1)"}),
    "that leads to no scheme": Lies(discovery={"authorization_endpoint": "//elsewhere.example/"}),
    "that leads to a file": Lies(discovery={"jwks_uri": "file:///etc/passwd"}),
    "that hides a header in an address": Lies(
        discovery={"authorization_endpoint": "http://127.0.0.1/\r\nset-cookie: a=b"}
    ),
    "whose address has a user": Lies(discovery={"token_endpoint": "http://a:b@127.0.0.1/"}),
    "whose address has a fragment": Lies(discovery={"authorization_endpoint": "http://127.0.0.1/#x"}),
    "whose address is no address": Lies(discovery={"token_endpoint": "http://[1/"}),
    "that is a redirect": Lies(answers={"discovery": redirect(NOBODY)}),
    "that is a page": Lies(answers={"discovery": HTMLResponse("<h1>Hello</h1>")}),
    "that is a list": Lies(answers={"discovery": JSONResponse([])}),
    "that is not there": Lies(answers={"discovery": Response("no", 404)}),
    "that is refused": Lies(answers={"discovery": JSONResponse({"error": "no"}, 401)}),
    "of two megabytes": Lies(answers={"discovery": JSONResponse({"issuer": "x" * 2_000_000})}),
}


@pytest.mark.parametrize("lies", DISCOVERIES.values(), ids=DISCOVERIES.keys())
async def test_nobody_leaves_by_a_discovery_document(house: House, unknown: tuple[Hostile, int], lies: Lies) -> None:
    hostile, index = unknown
    hostile.lies = lies
    page = await departed(house, index)
    assert page.status == 502
    assert reason_of(page) in {"provider_unavailable", "provider_refused"}
    assert "set-cookie" not in page.headers
    hostile.lies = Lies()
    assert (await departed(house, index)).left_for is not None, "the next one asks again"


SENDERS: dict[str, dict[str, str | None]] = {
    "another issuer": {"iss": NOBODY},
    "nobody, though it says its name": {"iss": None},
    "another issuer, as an error": {"iss": NOBODY, "code": None, "error": "access_denied"},
}


@pytest.mark.parametrize("callback", SENDERS.values(), ids=SENDERS.keys())
async def test_a_code_is_shown_to_no_other_than_who_gave_it(
    house: House, hostile: Hostile, callback: dict[str, str | None]
) -> None:
    hostile.lies = Lies(callback=callback)
    person, page = await signed_in(house, hostile)
    assert reason_of(page) == "provider_not_believed"
    assert "token" not in hostile.asked
    assert not await is_signed_in(house, person)


async def test_a_provider_that_never_says_its_name_is_known_by_its_id_token(
    house: House, unknown: tuple[Hostile, int]
) -> None:
    hostile, index = unknown
    hostile.lies = Lies(discovery={"authorization_response_iss_parameter_supported": None}, callback={"iss": None})
    person, _ = await signed_in(house, hostile, index)
    assert await is_signed_in(house, person)


CALLBACKS: dict[str, tuple[dict[str, str | None], str]] = {
    "no code": ({"code": None}, "provider_not_believed"),
    "the state of nobody": ({"state": "x.y"}, "login_foreign"),
    "no state": ({"state": None}, "login_foreign"),
    "trouble of its own": ({"code": None, "error": "server_error"}, "provider_refused"),
    "that we ask wrongly": ({"code": None, "error": "invalid_scope"}, "provider_refused"),
    "an error that is a story": ({"code": None, "error": "<script>\n"}, "provider_refused"),
    "an error beside a code": ({"error": "server_error"}, "provider_refused"),
}


@pytest.mark.parametrize(("callback", "reason"), CALLBACKS.values(), ids=CALLBACKS.keys())
async def test_nobody_signs_in_by_a_callback_with(
    house: House, hostile: Hostile, callback: dict[str, str | None], reason: str
) -> None:
    hostile.lies = Lies(callback=callback)
    person, page = await signed_in(house, hostile)
    assert reason_of(page) == reason
    assert "<script>" not in page.html
    assert "token" not in hostile.asked
    assert not await is_signed_in(house, person)


@pytest.mark.parametrize("query", ["%ff=1", "a&" * 300, "state=&code=x", ""], ids=["no text", "many", "empty", "none"])
async def test_a_callback_that_cannot_be_read_is_a_page(house: House, query: str) -> None:
    page = await house.person().go(f"{house.issuer}/signed-in?{query}")
    assert (page.status, reason_of(page) in {"login_failed", "login_foreign"}) == (400, True)


@pytest.mark.parametrize("error", ["access_denied", "login_required", "interaction_required"])
async def test_who_declines_there_declines_here(house: House, hostile: Hostile, error: str) -> None:
    hostile.lies = Lies(callback={"code": None, "error": error})
    _, page = await signed_in(house, hostile)
    assert page.parameters["error"] == "access_denied"


async def test_a_state_serves_once_even_where_the_login_failed(house: House, hostile: Hostile) -> None:
    person = house.person()
    page = await person.go(house.app().authorization_url(SCOPE))
    callback = hostile.authorized(await depart(person, page))
    hostile.lies = Lies(answers={"token": Response("no", 500)})
    assert reason_of(await person.go(callback)) == "provider_unavailable"
    hostile.lies = Lies()
    assert reason_of(await person.go(callback)) == "login_foreign"
    assert hostile.asked.count("token") == 1


async def test_another_browser_cannot_bring_the_answer(house: House, hostile: Hostile) -> None:
    person, thief = house.person(), house.person()
    callback = hostile.authorized(await depart(person, await person.go(house.app().authorization_url(SCOPE))))
    await thief.go(house.app().authorization_url(SCOPE))
    assert reason_of(await thief.go(callback)) == "login_foreign"
    assert not await is_signed_in(house, thief)
    await person.go(callback)
    assert await is_signed_in(house, person), "and it serves its own browser still"


OLD = {"auth_time": NOW - 3600}
FRESHNESS: dict[str, tuple[dict[str, str], dict[str, Any], bool]] = {
    "a new login, and it was one": ({"prompt": "login"}, {}, True),
    "a new login, and it was an old one": ({"prompt": "login"}, OLD, False),
    "a new login, and nobody says when it was": ({"prompt": "login"}, {"auth_time": None}, False),
    "a login of this moment, and it was an old one": ({"max_age": "0"}, OLD, False),
    "a login of a minute, and it was an old one": ({"max_age": "60"}, OLD, False),
    "a login of a minute, and nobody says when": ({"max_age": "60"}, {"auth_time": None}, False),
    "a login of a minute, of a time that is none": ({"max_age": "60"}, {"auth_time": "now"}, False),
    "a login of a minute, of a time to come": ({"max_age": "60"}, {"auth_time": NOW + 86400}, False),
    "a login of a day, and it was an old one": ({"max_age": "86400"}, OLD, True),
    "any login, and it was an old one": ({}, OLD, True),
    "any login, and nobody says when it was": ({}, {"auth_time": None}, True),
}


@pytest.mark.parametrize(("wish", "claims", "granted"), FRESHNESS.values(), ids=FRESHNESS.keys())
async def test_an_app_that_wants(
    house: House, hostile: Hostile, wish: dict[str, str], claims: dict[str, Any], granted: bool
) -> None:
    hostile.lies = Lies(claims=claims)
    person, page = await signed_in(house, hostile, prompt=wish.get("prompt"), max_age=wish.get("max_age"))
    assert await is_signed_in(house, person) == granted
    if not granted:
        assert reason_of(page) == "login_not_fresh"


async def test_an_old_login_there_is_no_new_one_here(house: House, hostile: Hostile) -> None:
    hostile.lies = Lies(claims=OLD)
    person, _ = await signed_in(house, hostile)
    page = await person.go(house.app().authorization_url(SCOPE, max_age="1800"))
    assert page.title.startswith("Sign in"), "half an hour is over since"
    page = await person.go(house.app().authorization_url(SCOPE, max_age="7200"))
    assert not page.title.startswith("Sign in")


@pytest.mark.parametrize(
    "claim", [f"{NOBODY}/fhir/Patient/pat-a", "Organization/pat-a", "Patient/../Patient/pat-a", "Patient/pat-a/"]
)
async def test_a_user_of_another_place_can_grant_no_records(house: House, hostile: Hostile, claim: str) -> None:
    hostile.lies = Lies(claims={"fhirUser": claim})
    _, page = await signed_in(house, hostile, scope="launch/patient patient/Patient.rs")
    assert page.parameters["error"] == "invalid_scope"


async def test_a_user_below_our_own_base_is_one_of_ours(house: House, hostile: Hostile) -> None:
    hostile.lies = Lies(claims={"fhirUser": f"{house.base}/Patient/pat-a"})
    _, page = await signed_in(house, hostile)
    assert page.form("/consent").method == "post"


async def test_a_provider_that_is_gone_is_a_page_and_no_crash(charts: Lenient) -> None:
    async with contextlib.AsyncExitStack() as until_it_is_gone:
        provider = await until_it_is_gone.enter_async_context(hostile_provider())
        async with smart_house(charts.base_url, change=signing_in_at(provider.issuer)) as house:
            person = house.person()
            page = await person.go(house.app().authorization_url(SCOPE))
            callback = provider.authorized(await depart(person, page))
            await until_it_is_gone.aclose()
            arrived = await person.go(callback)
            left = await departed(house, 0)
            assert [(one.status, reason_of(one)) for one in (arrived, left)] == [(502, "provider_unavailable")] * 2
            assert not await is_signed_in(house, person)


async def left_for_a_page(house: House, person: Person, target: str = "manage") -> str:
    """The address at the provider that the sign-in page of our own pages leads to."""
    page = await person.go(f"{house.issuer}/{target}")
    assert f"/sign-in/provider/0?to={target}" in page.html
    away = await person.go(f"{house.issuer}/sign-in/provider/0?to={target}")
    assert away.left_for is not None, away.text
    return away.left_for


@pytest.mark.parametrize("target", ["manage", "apps"])
async def test_our_own_pages_are_reached_through_it_as_well(house: House, hostile: Hostile, target: str) -> None:
    person = house.person()
    page = await person.go(hostile.authorized(await left_for_a_page(house, person, target)))
    assert page.url == f"{house.issuer}/{target}"
    assert "Dr Dora Demo" in page.text


async def test_the_way_to_our_own_pages_serves_its_browser_once(house: House, hostile: Hostile) -> None:
    person, thief = house.person(), house.person()
    await left_for_a_page(house, thief)
    callback = hostile.authorized(await left_for_a_page(house, person))
    assert reason_of(await thief.go(callback)) == "login_foreign"
    assert not await is_signed_in(house, thief)
    assert reason_of(await person.go(callback)) == "login_foreign", "somebody has shown it already"


async def test_a_browser_that_never_saw_the_sign_in_page_is_shown_it(house: House, hostile: Hostile) -> None:
    page = await house.person().go(f"{house.issuer}/sign-in/provider/0?to=https://elsewhere.example")
    assert page.url == f"{house.issuer}/sign-in?to=apps"
    assert hostile.asked == []


@pytest.mark.parametrize(
    ("lies", "reason"),
    [
        (Lies(claims={"nonce": "another"}), "provider_not_believed"),
        (Lies(callback={"iss": NOBODY}), "provider_not_believed"),
        (Lies(answers={"token": Response("no", 500)}), "provider_unavailable"),
    ],
    ids=["another login", "another issuer", "no answer"],
)
async def test_no_lie_leads_to_our_own_pages(house: House, hostile: Hostile, lies: Lies, reason: str) -> None:
    hostile.lies = lies
    person = house.person()
    page = await person.go(hostile.authorized(await left_for_a_page(house, person)))
    assert reason_of(page) == reason
    assert not await is_signed_in(house, person)


async def test_who_declines_there_may_choose_again_here(house: House, hostile: Hostile) -> None:
    hostile.lies = Lies(callback={"code": None, "error": "access_denied"})
    person = house.person()
    page = await person.go(hostile.authorized(await left_for_a_page(house, person)))
    assert page.url == f"{house.issuer}/sign-in?to=manage"
