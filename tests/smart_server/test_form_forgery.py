"""Cross-site request forgery, login CSRF, and unsafe redirects (RFC 9700)."""

import asyncio
from urllib.parse import urlencode, urljoin

import httpx2
import pytest

from tests.smart_server.page_attacks import SCOPE, is_refused, open_login_page, open_request, sign_in_to_portal
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest.mark.parametrize("csrf", [None, "", "guessed", "x" * 22])
@pytest.mark.parametrize("step", ["login", "patient", "encounter", "consent"])
async def test_no_step_is_taken_by_a_form_of_another_site(server: RunningServer, step: str, csrf: str | None) -> None:
    person, page = await open_login_page(server)
    request_url = page.form("/login").action.removesuffix("/login")
    pairs = [
        ("username", "doctor"),
        ("password", "demo"),
        ("decision", "allow"),
        ("patient", "pat-a"),
        ("use-0", "all"),
    ]
    answer = await person.open(f"{request_url}/{step}", data=pairs if csrf is None else [*pairs, ("csrf", csrf)])
    assert is_refused(answer, "form_foreign")
    assert (await person.open(request_url)).form("/login").action, "the request is where it was"


@pytest.mark.parametrize("step", ["login", "consent"])
async def test_the_token_of_another_request_is_no_good(server: RunningServer, step: str) -> None:
    """An attacker has own requests with valid tokens (login CSRF, consent CSRF)."""
    _, attackers = await open_login_page(server)
    person, page = await open_login_page(server)
    if step == "consent":
        page = await person.choose_patient(await person.sign_in(page), "pat-a")
    csrf = attackers.form("/login").value("csrf") or ""
    pairs = [("csrf", csrf), ("username", "nurse"), ("password", "demo"), ("decision", "allow")]
    assert is_refused(await person.open(page.form(f"/{step}").action, data=pairs), "form_foreign")


async def test_a_request_goes_on_only_in_the_browser_that_began_it(server: RunningServer) -> None:
    """An attacker sends the URL of an own request to a victim, or takes the victim's."""
    person, page = await open_login_page(server)
    csrf = page.form("/login").value("csrf") or ""
    stranger = server.person()
    assert is_refused(await stranger.open(page.url), "request_over")
    pairs = [("csrf", csrf), ("username", "doctor"), ("password", "demo")]
    assert is_refused(await stranger.open(page.form("/login").action, data=pairs), "request_over")
    await open_request(stranger, server)
    assert is_refused(await stranger.open(page.url), "request_over"), "its own cookie is another one"
    page = await person.choose_patient(await person.sign_in(page), "pat-a")
    assert "smart-session" in " ".join(cookie.name for cookie in person.client.cookies.jar)
    for cookie in list(person.client.cookies.jar):
        if "session" in cookie.name:
            stranger.client.cookies.set(cookie.name, cookie.value or "", domain=cookie.domain)
    assert is_refused(await stranger.open(page.url), "request_over"), "not even with the session"


async def test_two_requests_in_one_browser_go_on_side_by_side(server: RunningServer) -> None:
    person, first = await open_login_page(server)
    second = await open_request(person, server)
    first = await person.choose_patient(await person.sign_in(first), "pat-a")
    second = await person.open(second.url)
    assert second.form("/patient").action, "the login of the one counts for the other"
    assert "code" in (await person.agree(first)).parameters
    assert "code" in (await person.agree(await person.choose_patient(second, "pat-b"))).parameters


@pytest.mark.parametrize("path", ["/apps", "/manage", "/sign-out"])
@pytest.mark.parametrize("csrf", [None, "guessed"])
async def test_the_pages_of_a_session_act_on_their_own_forms_alone(
    server: RunningServer, path: str, csrf: str | None
) -> None:
    person = await sign_in_to_portal(server)
    pairs = [("client", "public-app"), ("patient", "pat-a"), ("grant", "x")]
    answer = await person.open(server.issuer + path, data=pairs if csrf is None else [*pairs, ("csrf", csrf)])
    assert is_refused(answer, "form_foreign")
    assert (await person.open(f"{server.issuer}/manage")).title.startswith("Apps with access"), "still signed in"


async def test_a_login_from_another_site_signs_nobody_in(server: RunningServer) -> None:
    person = server.person()
    pairs = [("csrf", "guessed"), ("username", "doctor"), ("password", "demo")]
    page = await person.open(f"{server.issuer}/sign-in?to=apps", data=pairs)
    assert page.form("/sign-in").action
    assert not [cookie for cookie in person.client.cookies.jar if "session" in cookie.name]
    attacker = await server.person().open(f"{server.issuer}/sign-in")
    pairs[0] = ("csrf", attacker.form("/sign-in").value("csrf") or "")
    page = await person.open(f"{server.issuer}/sign-in?to=apps", data=pairs)
    assert not [cookie for cookie in person.client.cookies.jar if "session" in cookie.name]


async def test_nobody_ends_what_somebody_else_granted(server: RunningServer) -> None:
    app = server.app()
    answer = await server.request_tokens(app, "openid offline_access", user="doctor")
    doctor = await sign_in_to_portal(server)
    grant = next(
        form.value("grant") for form in (await doctor.open(f"{server.issuer}/manage")).forms if form.value("grant")
    )
    nurse = await sign_in_to_portal(server, "nurse")
    page = await nurse.open(f"{server.issuer}/manage")
    csrf = next(form.value("csrf") for form in page.forms)
    await nurse.open(f"{server.issuer}/manage", data=[("csrf", csrf or ""), ("grant", grant or "")])
    assert (await app.refresh(answer["refresh_token"])).status_code == 200


@pytest.mark.requirement("A-20", "edge-22")
@pytest.mark.parametrize(
    "to",
    ["https://evil.example", "//evil.example", "/\\evil.example", "manage/../../x", "javascript:zap(1)", "", "admin",
     "apps\r\nLocation: https://evil.example", "%2f%2fevil.example"],
)  # fmt: skip
async def test_the_way_after_a_login_is_never_an_address_that_was_sent(server: RunningServer, to: str) -> None:
    person = server.person()
    page = await person.open(f"{server.issuer}/sign-in?{urlencode({'to': to})}")
    response = await person.client.post(
        urljoin(page.url, page.form("/sign-in").action),
        data={"csrf": page.form("/sign-in").value("csrf") or "", "username": "doctor", "password": "demo"},
    )
    assert response.status_code == 303
    assert response.headers["location"] == f"{server.issuer}/apps"


@pytest.mark.requirement("A-20", "edge-22")
async def test_every_redirect_of_a_whole_way_is_a_303_that_nobody_stores(server: RunningServer) -> None:
    seen: list[httpx2.Response] = []

    async def see(response: httpx2.Response) -> None:
        if response.is_redirect:
            seen.append(response)

    person = server.person()
    person.client.event_hooks["response"] = [see]
    page = await person.sign_in(await person.open(server.app().authorization_url(f"{SCOPE} launch/encounter")))
    page = await person.choose_patient(page, "pat-a")
    page = await person.agree(await person.submit(page, "/encounter", encounter="", decision="choose"))
    assert "code" in page.parameters
    page = await person.open(f"{server.issuer}/apps")
    await person.submit(page, "/apps", client="public-app", patient="pat-a")
    assert len(seen) >= 6
    assert {response.status_code for response in seen} == {303}
    assert {response.headers["cache-control"] for response in seen} == {"no-store"}
    assert {response.headers["referrer-policy"] for response in seen} == {"no-referrer"}


async def test_one_consent_makes_one_code_however_often_it_is_sent(server: RunningServer) -> None:
    person, page = await open_login_page(server)
    page = await person.choose_patient(await person.sign_in(page), "pat-a")
    form = page.form("/consent")
    pairs = [*form.fields, ("decision", "allow"), ("use-1", "all")]
    answers = await asyncio.gather(*(person.open(form.action, data=pairs) for _ in range(8)))
    assert len([answer for answer in answers if answer.left_for is not None and "code" in answer.parameters]) == 1
    assert all(is_refused(answer, "request_over") for answer in answers if answer.left_for is None)
    assert is_refused(await person.open(form.action, data=pairs), "request_over")
