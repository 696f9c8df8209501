"""The threats of RFC 9700 and of the pages, each tried: forged forms, fixation, frames, guessing, injection, leaks."""

import asyncio
import base64
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import httpx2
import pytest
import pytest_asyncio

from tests.smart.house import CALLBACK, SECRET, House, smart_house
from tests.smart.launcher import launch
from tests.smart.person import Page, Person
from tests.telemetry.log_lines import log_lines

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "openid patient/Observation.rs"
EHR = "https://ehr.example"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedded(fhir_server: str) -> AsyncIterator[House]:
    """A server behind TLS, as it tells, whose pages an EHR shows in a frame."""

    def change(settings: dict[str, Any]) -> None:
        settings["smart_server"] |= {"issuer": "https://gw.example/auth", "frame_ancestors": [EHR]}

    async with smart_house(fhir_server, change=change) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secure(fhir_server: str) -> AsyncIterator[House]:
    """A server behind TLS, as it tells, whose pages nobody frames."""

    def change(settings: dict[str, Any]) -> None:
        settings["smart_server"] |= {"issuer": "https://gw.example/auth"}

    async with smart_house(fhir_server, change=change) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wary(fhir_server: str) -> AsyncIterator[House]:
    """A server where two passwords may be tried for a name, and twenty from an address."""

    def change(settings: dict[str, Any]) -> None:
        settings["smart_server"]["login_attempts"] = 2

    async with smart_house(fhir_server, change=change) as running:
        yield running


async def begun(house: House, scope: str = SCOPE) -> tuple[Person, Page]:
    """A request at its login page."""
    person = house.person()
    return person, await person.go(house.app().authorization_url(scope))


def refused(page: Page, reason: str) -> bool:
    """Whether the browser stayed, on a page that says so."""
    return page.left_for is None and page.status == 400 and reason in page.text


# Cross-site request forgery.


@pytest.mark.parametrize("csrf", [None, "", "guessed", "x" * 22])
@pytest.mark.parametrize("step", ["login", "patient", "encounter", "consent"])
async def test_no_step_is_taken_by_a_form_of_another_site(house: House, step: str, csrf: str | None) -> None:
    person, page = await begun(house)
    way = page.form("/login").action.removesuffix("/login")
    pairs = [
        ("username", "doctor"),
        ("password", "demo"),
        ("decision", "allow"),
        ("patient", "pat-a"),
        ("use-0", "all"),
    ]
    answer = await person.go(f"{way}/{step}", data=pairs if csrf is None else [*pairs, ("csrf", csrf)])
    assert refused(answer, "form_foreign")
    assert (await person.go(way)).form("/login").action, "the request is where it was"


@pytest.mark.parametrize("step", ["login", "consent"])
async def test_the_token_of_another_request_is_no_good(house: House, step: str) -> None:
    """An attacker has requests of his own, and with them tokens of his own (login CSRF, consent CSRF)."""
    _, attackers = await begun(house)
    person, page = await begun(house)
    if step == "consent":
        page = await person.choose(await person.sign_in(page), "pat-a")
    csrf = attackers.form("/login").value("csrf") or ""
    pairs = [("csrf", csrf), ("username", "nurse"), ("password", "demo"), ("decision", "allow")]
    assert refused(await person.go(page.form(f"/{step}").action, data=pairs), "form_foreign")


async def test_a_request_goes_on_only_in_the_browser_that_began_it(house: House) -> None:
    """An attacker sends the address of his own request to a victim, or takes the victim's."""
    person, page = await begun(house)
    csrf = page.form("/login").value("csrf") or ""
    stranger = house.person()
    assert refused(await stranger.go(page.url), "request_over")
    pairs = [("csrf", csrf), ("username", "doctor"), ("password", "demo")]
    assert refused(await stranger.go(page.form("/login").action, data=pairs), "request_over")
    await begun_in(stranger, house)
    assert refused(await stranger.go(page.url), "request_over"), "its own cookie is another one"
    page = await person.choose(await person.sign_in(page), "pat-a")
    assert "smart-session" in " ".join(cookie.name for cookie in person.client.cookies.jar)
    for cookie in list(person.client.cookies.jar):
        if "session" in cookie.name:
            stranger.client.cookies.set(cookie.name, cookie.value or "", domain=cookie.domain)
    assert refused(await stranger.go(page.url), "request_over"), "not even with the session"


async def begun_in(person: Person, house: House) -> Page:
    """Another request in the same browser."""
    return await person.go(house.app().authorization_url(SCOPE))


async def test_two_requests_in_one_browser_go_on_side_by_side(house: House) -> None:
    person, first = await begun(house)
    second = await begun_in(person, house)
    first = await person.choose(await person.sign_in(first), "pat-a")
    second = await person.go(second.url)
    assert second.form("/patient").action, "the login of the one counts for the other"
    assert "code" in (await person.agree(first)).parameters
    assert "code" in (await person.agree(await person.choose(second, "pat-b"))).parameters


@pytest.mark.parametrize("path", ["/apps", "/manage", "/sign-out"])
@pytest.mark.parametrize("csrf", [None, "guessed"])
async def test_the_pages_of_a_session_act_on_their_own_forms_alone(house: House, path: str, csrf: str | None) -> None:
    person = await signed_in(house)
    pairs = [("client", "public-app"), ("patient", "pat-a"), ("grant", "x")]
    answer = await person.go(house.issuer + path, data=pairs if csrf is None else [*pairs, ("csrf", csrf)])
    assert refused(answer, "form_foreign")
    assert (await person.go(f"{house.issuer}/manage")).title.startswith("Apps with access"), "still signed in"


async def signed_in(house: House, user: str = "doctor") -> Person:
    """Somebody who has signed in without an app."""
    person = house.person()
    page = await person.sign_in(await person.go(f"{house.issuer}/manage"), user)
    assert page.title.startswith("Apps with access")
    return person


async def test_a_login_from_another_site_signs_nobody_in(house: House) -> None:
    person = house.person()
    pairs = [("csrf", "guessed"), ("username", "doctor"), ("password", "demo")]
    page = await person.go(f"{house.issuer}/sign-in?to=apps", data=pairs)
    assert page.form("/sign-in").action
    assert not [one for one in person.client.cookies.jar if "session" in one.name]
    attacker = await house.person().go(f"{house.issuer}/sign-in")
    pairs[0] = ("csrf", attacker.form("/sign-in").value("csrf") or "")
    page = await person.go(f"{house.issuer}/sign-in?to=apps", data=pairs)
    assert not [one for one in person.client.cookies.jar if "session" in one.name]


async def test_nobody_ends_what_somebody_else_granted(house: House) -> None:
    app = house.app()
    answer = await house.tokens(app, "openid offline_access", user="doctor")
    doctor = await signed_in(house)
    grant = next(one.value("grant") for one in (await doctor.go(f"{house.issuer}/manage")).forms if one.value("grant"))
    nurse = await signed_in(house, "nurse")
    page = await nurse.go(f"{house.issuer}/manage")
    csrf = next(one.value("csrf") for one in page.forms)
    await nurse.go(f"{house.issuer}/manage", data=[("csrf", csrf or ""), ("grant", grant or "")])
    assert (await app.refresh(answer["refresh_token"])).status_code == 200


# Redirects.


@pytest.mark.requirement("A-20", "edge-22")
@pytest.mark.parametrize(
    "to",
    ["https://evil.example", "//evil.example", "/\\evil.example", "manage/../../x", "javascript:zap(1)", "", "admin",
     "apps\r\nLocation: https://evil.example", "%2f%2fevil.example"],
)  # fmt: skip
async def test_the_way_after_a_login_is_never_an_address_that_was_sent(house: House, to: str) -> None:
    person = house.person()
    page = await person.go(f"{house.issuer}/sign-in?{urlencode({'to': to})}")
    response = await person.client.post(
        urljoin(page.url, page.form("/sign-in").action),
        data={"csrf": page.form("/sign-in").value("csrf") or "", "username": "doctor", "password": "demo"},
    )
    assert response.status_code == 303
    assert response.headers["location"] == f"{house.issuer}/apps"


@pytest.mark.requirement("A-20", "edge-22")
async def test_every_redirect_of_a_whole_way_is_a_303_that_nobody_stores(house: House) -> None:
    seen: list[httpx2.Response] = []

    async def see(response: httpx2.Response) -> None:
        if response.is_redirect:
            seen.append(response)

    person = house.person()
    person.client.event_hooks["response"] = [see]
    page = await person.sign_in(await person.go(house.app().authorization_url(f"{SCOPE} launch/encounter")))
    page = await person.choose(page, "pat-a")
    page = await person.agree(await person.send(page, "/encounter", encounter="", decision="choose"))
    assert "code" in page.parameters
    page = await person.go(f"{house.issuer}/apps")
    await person.send(page, "/apps", client="public-app", patient="pat-a")
    assert len(seen) >= 6
    assert {response.status_code for response in seen} == {303}
    assert {response.headers["cache-control"] for response in seen} == {"no-store"}
    assert {response.headers["referrer-policy"] for response in seen} == {"no-referrer"}


async def test_one_consent_makes_one_code_however_often_it_is_sent(house: House) -> None:
    person, page = await begun(house)
    page = await person.choose(await person.sign_in(page), "pat-a")
    form = page.form("/consent")
    pairs = [*form.fields, ("decision", "allow"), ("use-1", "all")]
    answers = await asyncio.gather(*(person.go(form.action, data=pairs) for _ in range(8)))
    assert len([one for one in answers if one.left_for is not None and "code" in one.parameters]) == 1
    assert all(refused(one, "request_over") for one in answers if one.left_for is None)
    assert refused(await person.go(form.action, data=pairs), "request_over")


# Sessions.


async def test_a_login_never_takes_over_a_session_secret_that_was_there(house: House) -> None:
    """Session fixation: whatever an attacker planted, the browser has another secret after the login."""
    person, page = await begun(house)
    person.client.cookies.set("smart-session", "planted", domain=urlsplit(house.root).hostname or "")
    await person.sign_in(page)
    values = {one.value for one in person.client.cookies.jar if one.name == "smart-session" and one.value != "planted"}
    assert len(values) == 1
    spy = house.person()
    spy.client.cookies.set("smart-session", "planted", domain=urlsplit(house.root).hostname or "")
    assert (await spy.go(f"{house.issuer}/manage")).form("/sign-in").action


async def test_a_new_login_ends_the_session_before(house: House) -> None:
    person = await signed_in(house)
    before = {one.name: one.value or "" for one in person.client.cookies.jar}
    page = await person.go(house.app().authorization_url("openid", prompt="login"))
    await person.sign_in(page, "nurse")
    spy = house.person()
    for name, value in before.items():
        spy.client.cookies.set(name, value, domain=urlsplit(house.root).hostname or "")
    assert (await spy.go(f"{house.issuer}/manage")).form("/sign-in").action


@pytest.mark.requirement("RF-2", "E-8", "edge-62")
async def test_signing_out_ends_online_access_and_leaves_offline_access(house: House) -> None:
    app, person = house.app(), house.person()
    online = await house.tokens(app, "openid online_access", person=person)
    offline = await house.tokens(app, "openid offline_access", person=person)
    assert "online_access" in online["scope"].split()
    renewed = (await app.refresh(online["refresh_token"])).json()
    assert "refresh_token" in renewed, "while the session lives"
    page = await person.go(f"{house.issuer}/manage")
    page = await person.send(page, "/sign-out")
    assert "You are signed out." in page.text
    assert not [one for one in person.client.cookies.jar if "session" in one.name]
    over = await app.refresh(renewed["refresh_token"])
    assert (over.status_code, over.json()["error"]) == (400, "invalid_grant")
    assert (await app.refresh(offline["refresh_token"])).status_code == 200


def cookies_of(response: httpx2.Response) -> dict[str, Any]:
    """The cookies that are set, with their attributes."""
    found: dict[str, Any] = {}
    for line in response.headers.get_list("set-cookie"):
        found |= SimpleCookie(line)
    return found


async def set_cookies(house: House) -> dict[str, Any]:
    """All cookies of a way to the consent page; the issuer of the house may have another name than its host."""
    path = urlsplit(house.app().authorization_url("openid", aud=house.base)).path
    parameters = house.app().authorization_parameters("openid")
    async with httpx2.AsyncClient(base_url=house.root, timeout=30, trust_env=False) as client:
        first = await client.get(path, params=parameters)
        found = cookies_of(first)
        pairs = "; ".join(f"{name}={morsel.value}" for name, morsel in found.items())
        way = urlsplit(first.headers["location"]).path
        client.cookies.clear()
        page = await client.get(way, headers={"cookie": pairs})
        csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        form = {"csrf": csrf, "username": "doctor", "password": "demo"}
        second = await client.post(f"{way}/login", data=form, headers={"cookie": pairs})
        assert second.status_code == 303
        return found | cookies_of(second)


async def test_cookies_over_http_are_lax_and_unseen_by_scripts(house: House) -> None:
    found = await set_cookies(house)
    assert set(found) == {"smart-browser", "smart-session"}
    for morsel in found.values():
        assert (morsel["path"], morsel["httponly"], morsel["samesite"]) == ("/", True, "lax")
        assert not morsel["secure"]
        assert not morsel["domain"]
        assert len(morsel.value) >= 43


@pytest.mark.requirement("A-17", "edge-25")
async def test_cookies_over_https_are_of_this_host_alone(secure: House, embedded: House) -> None:
    for house, same_site in ((secure, "lax"), (embedded, "none")):
        found = await set_cookies(house)
        assert set(found) == {"__Host-smart-browser", "__Host-smart-session"}
        for morsel in found.values():
            assert (morsel["path"], morsel["httponly"], morsel["secure"]) == ("/", True, True)
            assert (morsel["samesite"], morsel["domain"]) == (same_site, "")


# Frames.


def directives(response: httpx2.Response | Page) -> dict[str, str]:
    """The Content-Security-Policy."""
    parts = (one.strip().partition(" ") for one in response.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


@pytest.mark.requirement("A-17", "edge-25")
async def test_no_page_can_be_framed_unless_the_operator_says_by_whom(house: House, embedded: House) -> None:
    person, login = await begun(house)
    picker = await person.sign_in(login)
    consent = await person.choose(picker, "pat-a")
    error = await house.person().go(f"{house.issuer}/authorize")
    for page in (login, picker, consent, error, await house.person().go(f"{house.issuer}/sign-in")):
        policy = directives(page)
        assert policy["frame-ancestors"] == "'none'"
        assert policy["default-src"] == "'none'"
        assert policy["base-uri"] == "'none'"
        assert "script-src" not in policy
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in page.headers
    for path in ("/auth/authorize", "/auth/sign-in"):
        response = await embedded.http.get(embedded.root + path)
        assert directives(response)["frame-ancestors"] == EHR
        assert "x-frame-options" not in response.headers


@pytest.mark.requirement("CO-4")
async def test_no_other_origin_may_read_a_page_or_the_authorization_endpoint(house: House) -> None:
    for path in ("/authorize?client_id=x", "/sign-in", "/apps", "/manage"):
        for origin in ("https://app.example", "https://evil.example", "null"):
            response = await house.http.get(house.issuer + path, headers={"origin": origin})
            assert not [name for name in response.headers if name.startswith("access-control-")]


# Guessing passwords.


async def test_after_some_wrong_passwords_even_the_right_one_waits(wary: House) -> None:
    person = wary.person()
    page = await person.go(wary.app().authorization_url("openid"))
    for _ in range(2):
        page = await person.sign_in(page, "nurse", "wrong")
        assert "The user name or the password is not right." in page.text
    page = await person.sign_in(page, "nurse", "demo")
    assert "Too many tries. Please wait five minutes." in page.text
    elsewhere = await wary.person().go(f"{wary.issuer}/sign-in")
    page = await wary.people[-1].sign_in(elsewhere, "nurse", "demo")
    assert "Too many tries." in page.text, "the lock is on the name, whichever page asks"
    page = await person.sign_in(await person.go(wary.app().authorization_url("openid")), "doctor", "demo")
    assert page.form("/consent").action, "other people are not held back"


async def test_a_right_password_begins_the_count_anew(wary: House) -> None:
    for _ in range(2):
        person = wary.person()
        page = await person.go(wary.app().authorization_url("openid"))
        page = await person.sign_in(page, "patient", "wrong")
        page = await person.sign_in(page, "patient", "demo")
        assert page.form("/consent").action


async def test_an_unknown_name_is_answered_like_a_wrong_password(wary: House) -> None:
    person = wary.person()
    page = await person.go(wary.app().authorization_url("openid"))
    known = await person.sign_in(page, "clerk", "wrong")
    unknown = await person.sign_in(page, "nobody", "wrong")
    assert known.text.replace("clerk", "") == unknown.text.replace("nobody", "")


async def test_many_names_from_one_address_are_held_back_too(wary: House) -> None:
    person = wary.person()
    page = await person.go(wary.app().authorization_url("openid"))
    said = [(await person.sign_in(page, f"name-{index}", "wrong")).text for index in range(21)]
    assert "not right" in said[0]
    assert "Too many tries." in said[-1]


@pytest.mark.parametrize(
    ("username", "password"), [("", "demo"), ("doctor", ""), ("x" * 201, "demo"), ("doctor", "x" * 1001), ("\0", "\0")]
)
async def test_no_name_or_password_breaks_the_login(house: House, username: str, password: str) -> None:
    person, page = await begun(house)
    page = await person.sign_in(page, username, password)
    assert page.status == 200
    assert page.form("/login").action


# What comes in too large or broken.


@pytest.mark.parametrize("path", ["/authorize", "/sign-in", "/token", "/launch", "/introspect", "/revoke"])
async def test_an_oversized_form_is_refused(house: House, path: str) -> None:
    proof = base64.b64encode(b"ehr:a-long-secret-of-the-ehr").decode()
    headers = {"content-type": "application/x-www-form-urlencoded", "authorization": f"Basic {proof}"}
    response = await house.http.post(house.issuer + path, content=b"a=" + b"x" * 200_000, headers=headers)
    assert response.status_code in {400, 413}


async def test_an_oversized_form_of_a_step_is_refused(house: House) -> None:
    person, page = await begun(house)
    action = page.form("/login").action
    csrf = ("csrf", page.form("/login").value("csrf") or "")
    assert (await person.go(action, data=[csrf, ("username", "x" * 200_000)])).status == 400
    assert (await person.go(action, data=[csrf, *[("use", "1")] * 5000])).status == 400
    assert (await person.go(page.url)).form("/login").action


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"csrf=%ff", b"csrf=%c3%28&decision=allow", b"", b"&&&&", b"csrf", b"=&="]
)
async def test_a_broken_form_is_refused(house: House, content: bytes) -> None:
    person, page = await begun(house)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    response = await person.client.post(page.form("/login").action, content=content, headers=headers)
    assert response.status_code == 400
    assert "location" not in response.headers


# Error pages and logs.

MARKUP = "<script>zap(1)</script>"


@pytest.mark.parametrize(
    "query",
    [
        {"client_id": MARKUP},
        {"client_id": "public-app", "redirect_uri": f"https://evil.example/{MARKUP}"},
        {
            "client_id": "public-app",
            "redirect_uri": CALLBACK,
            "state": MARKUP,
            "response_type": MARKUP,
            "scope": MARKUP,
        },
    ],
    ids=["client_id", "redirect_uri", "everything else"],
)
async def test_an_error_says_nothing_in_the_words_of_the_request(house: House, query: dict[str, str]) -> None:
    response = await house.http.get(f"{house.issuer}/authorize", params=query)
    assert "zap" not in response.text
    assert "evil.example" not in response.text
    location = response.headers.get("location", "")
    assert "<" not in location
    assert "zap" not in location.replace("state=%3Cscript%3Ezap%281%29%3C%2Fscript%3E", "")


@pytest.mark.parametrize(
    "path", ["/nothing", "/authorize/nothing", "/authorize/nothing/consent", "/authorize/%2e%2e/x"]
)
async def test_unknown_addresses_reflect_nothing(house: House, path: str) -> None:
    for method in ("GET", "POST"):
        response = await house.http.request(method, f"{house.issuer}{path}?{urlencode({'x': MARKUP})}")
        assert response.status_code in {400, 404, 405}
        assert "zap" not in response.text


async def test_no_log_line_holds_a_secret_of_any_kind(house: House, caplog: pytest.LogCaptureFixture) -> None:
    secrets = {"hunter2-is-wrong", "demo-is-wrong", "state-of-a-request", "nonce-of-a-request", SECRET}
    app = house.app("https://symmetric.example", state="state-of-a-request")
    caplog.set_level("INFO", logger="gateway")
    person = house.person()
    page = await person.go(app.authorization_url(f"{SCOPE} offline_access", nonce="nonce-of-a-request"))
    secrets |= {page.form("/login").value("csrf") or ""}
    page = await person.sign_in(page, "doctor", "hunter2-is-wrong")
    page = await person.choose(await person.sign_in(page), "pat-a")
    code = (await person.agree(page)).parameters["code"]
    answer = (await app.exchange(code)).json()
    await app.exchange(code)
    renewed = (await app.refresh(answer["refresh_token"])).json()
    secrets |= {code, app.verifier, *(one for name, one in {**answer, **renewed}.items() if name.endswith("token"))}
    secrets |= {one.value or "" for one in person.client.cookies.jar}
    handle = await launch(house, user="doctor", context={"patient": "pat-a"})
    await person.go(house.app().authorization_url("launch openid", launch=handle))
    await house.http.post(f"{house.issuer}/launch", json={}, auth=("ehr", "demo-is-wrong"))
    await app.post("/token", {"grant_type": "refresh_token", "refresh_token": "x"}, authorization="Basic ZGVtbzp4")
    secrets.add(handle)
    lines = log_lines(caplog)
    events = house.seen.events
    told = {event.kind.value for event in events}
    assert {"sign_in_failed", "signed_in", "granted", "token_issued", "token_refused", "launched"} <= told
    assert "token refused" in {line["event"] for line in lines}
    text = f"{lines} {events}"
    assert [one for one in secrets if one in text] == []
    assert "demo" not in text


async def test_no_log_line_can_be_forged_by_what_is_sent(house: House, caplog: pytest.LogCaptureFixture) -> None:
    forged = "x\r\n2026-01-01 [critical] all is well\x1b[31m"
    caplog.set_level("INFO", logger="gateway")
    person, page = await begun(house)
    await person.sign_in(page, forged, forged)
    await house.http.get(f"{house.issuer}/authorize", params={"client_id": forged, "state": forged})
    app = house.app()
    await app.post("/token", {"grant_type": forged, "code": forged, "client_id": forged})
    await app.post("/token", {"grant_type": "refresh_token", "refresh_token": forged})
    await house.http.post(f"{house.issuer}/launch", json={forged: 1}, auth=("ehr", forged))
    lines = log_lines(caplog)
    assert lines
    assert not [
        value for line in lines for value in line.values() if isinstance(value, str) and not value.isprintable()
    ]
    assert "all is well" not in str(lines)
