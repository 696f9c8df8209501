"""Session fixation, sign-out, cookies, and framing of the pages."""

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import pytest_asyncio

from tests.smart_server.page_attacks import open_login_page, sign_in_to_portal
from tests.smart_server.person_in_browser import Page
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

EHR = "https://ehr.example"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedded(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server with an https issuer whose pages an EHR shows in a frame."""

    def change(settings: dict[str, Any]) -> None:
        settings["smart_server"] |= {"issuer": "https://gw.example/auth", "frame_ancestors": [EHR]}

    async with run_smart_server(fhir_server, change=change) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secure(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server with an https issuer whose pages cannot be framed."""

    def change(settings: dict[str, Any]) -> None:
        settings["smart_server"] |= {"issuer": "https://gw.example/auth"}

    async with run_smart_server(fhir_server, change=change) as running:
        yield running


async def test_a_login_never_takes_over_a_session_secret_that_was_there(server: RunningServer) -> None:
    """Session fixation: after login, the browser has another secret than the one an attacker planted."""
    person, page = await open_login_page(server)
    person.client.cookies.set("smart-session", "planted", domain=urlsplit(server.root).hostname or "")
    await person.sign_in(page)
    values = {
        cookie.value
        for cookie in person.client.cookies.jar
        if cookie.name == "smart-session" and cookie.value != "planted"
    }
    assert len(values) == 1
    spy = server.person()
    spy.client.cookies.set("smart-session", "planted", domain=urlsplit(server.root).hostname or "")
    assert (await spy.open(f"{server.issuer}/manage")).form("/sign-in").action


async def test_a_new_login_ends_the_session_before(server: RunningServer) -> None:
    person = await sign_in_to_portal(server)
    before = {cookie.name: cookie.value or "" for cookie in person.client.cookies.jar}
    page = await person.open(server.app().authorization_url("openid", prompt="login"))
    await person.sign_in(page, "nurse")
    spy = server.person()
    for name, value in before.items():
        spy.client.cookies.set(name, value, domain=urlsplit(server.root).hostname or "")
    assert (await spy.open(f"{server.issuer}/manage")).form("/sign-in").action


@pytest.mark.requirement("RF-2", "E-8", "edge-62")
async def test_signing_out_ends_online_access_and_leaves_offline_access(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    online = await server.request_tokens(app, "openid online_access", person=person)
    offline = await server.request_tokens(app, "openid offline_access", person=person)
    assert "online_access" in online["scope"].split()
    renewed = (await app.refresh(online["refresh_token"])).json()
    assert "refresh_token" in renewed, "while the session lives"
    page = await person.open(f"{server.issuer}/manage")
    page = await person.submit(page, "/sign-out")
    assert "You are signed out." in page.text
    assert not [cookie for cookie in person.client.cookies.jar if "session" in cookie.name]
    over = await app.refresh(renewed["refresh_token"])
    assert (over.status_code, over.json()["error"]) == (400, "invalid_grant")
    assert (await app.refresh(offline["refresh_token"])).status_code == 200


def cookies_of(response: httpx2.Response) -> dict[str, Any]:
    """The cookies that the response sets, with their attributes."""
    cookies: dict[str, Any] = {}
    for line in response.headers.get_list("set-cookie"):
        cookies |= SimpleCookie(line)
    return cookies


async def set_cookies(server: RunningServer) -> dict[str, Any]:
    """All cookies set on the way to the consent page; the issuer may have another host name than the server."""
    path = urlsplit(server.app().authorization_url("openid", aud=server.base)).path
    parameters = server.app().authorization_parameters("openid")
    async with httpx2.AsyncClient(base_url=server.root, timeout=30, trust_env=False) as client:
        first = await client.get(path, params=parameters)
        cookies = cookies_of(first)
        pairs = "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())
        path_of_request = urlsplit(first.headers["location"]).path
        client.cookies.clear()
        page = await client.get(path_of_request, headers={"cookie": pairs})
        csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        form = {"csrf": csrf, "username": "doctor", "password": "demo"}
        second = await client.post(f"{path_of_request}/login", data=form, headers={"cookie": pairs})
        assert second.status_code == 303
        return cookies | cookies_of(second)


async def test_cookies_over_http_are_lax_and_unseen_by_scripts(server: RunningServer) -> None:
    cookies = await set_cookies(server)
    assert set(cookies) == {"smart-browser", "smart-session", "smart-known-browser"}
    for morsel in cookies.values():
        assert (morsel["path"], morsel["httponly"], morsel["samesite"]) == ("/", True, "lax")
        assert not morsel["secure"]
        assert not morsel["domain"]
        assert len(morsel.value) >= 43


@pytest.mark.requirement("A-17", "edge-25")
async def test_cookies_over_https_are_of_this_host_alone(secure: RunningServer, embedded: RunningServer) -> None:
    for server, same_site in ((secure, "lax"), (embedded, "none")):
        cookies = await set_cookies(server)
        assert set(cookies) == {"__Host-smart-browser", "__Host-smart-session", "__Host-smart-known-browser"}
        for morsel in cookies.values():
            assert (morsel["path"], morsel["httponly"], morsel["secure"]) == ("/", True, True)
            assert (morsel["samesite"], morsel["domain"]) == (same_site, "")


def csp_directives(response: httpx2.Response | Page) -> dict[str, str]:
    """The directives of the Content-Security-Policy."""
    parts = (directive.strip().partition(" ") for directive in response.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


@pytest.mark.requirement("A-17", "edge-25")
async def test_no_page_can_be_framed_unless_the_operator_says_by_whom(
    server: RunningServer, embedded: RunningServer
) -> None:
    person, login = await open_login_page(server)
    picker = await person.sign_in(login)
    consent = await person.choose_patient(picker, "pat-a")
    error = await server.person().open(f"{server.issuer}/authorize")
    for page in (login, picker, consent, error, await server.person().open(f"{server.issuer}/sign-in")):
        policy = csp_directives(page)
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
        assert csp_directives(response)["frame-ancestors"] == EHR
        assert "x-frame-options" not in response.headers


@pytest.mark.requirement("CO-4")
async def test_no_other_origin_may_read_a_page_or_the_authorization_endpoint(server: RunningServer) -> None:
    for path in ("/authorize?client_id=x", "/sign-in", "/apps", "/manage"):
        for origin in ("https://app.example", "https://evil.example", "null"):
            response = await server.http.get(server.issuer + path, headers={"origin": origin})
            assert not [name for name in response.headers if name.startswith("access-control-")]
