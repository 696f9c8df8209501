"""Password guessing, malformed forms, injection into pages, and secrets in log lines."""

import base64
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from tests.smart_server.ehr_launcher import create_launch
from tests.smart_server.page_attacks import SCOPE, open_login_page
from tests.smart_server.running_server import CALLBACK, SECRET, RunningServer, run_smart_server
from tests.telemetry.log_lines import log_lines

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wary(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server that allows two wrong passwords for a user name, and twenty from one network."""

    def change(settings: dict[str, Any]) -> None:
        limits = {"login_attempts": 2, "rate_limits": {"failed_logins_per_network": 20}}
        settings["smart_server"] |= limits

    async with run_smart_server(fhir_server, change=change) as running:
        yield running


async def test_after_some_wrong_passwords_even_the_right_one_waits(wary: RunningServer) -> None:
    person = wary.person()
    page = await person.open(wary.app().authorization_url("openid"))
    for _ in range(2):
        page = await person.sign_in(page, "nurse", "wrong")
        assert "The user name or the password is not right." in page.text
    page = await person.sign_in(page, "nurse", "demo")
    assert "Too many tries. Please wait 5 minutes." in page.text
    assert page.status == 429
    assert 0 < int(page.headers["retry-after"]) <= 300
    elsewhere = await wary.person().open(f"{wary.issuer}/sign-in")
    page = await wary.people[-1].sign_in(elsewhere, "nurse", "demo")
    assert "Too many tries." in page.text, "the lock is on the name and the address, whichever page asks"
    assert page.status == 429
    page = await person.sign_in(await person.open(wary.app().authorization_url("openid")), "doctor", "demo")
    assert page.form("/consent").action, "other people are not held back"


async def test_a_right_password_begins_the_count_anew(wary: RunningServer) -> None:
    for _ in range(2):
        person = wary.person()
        page = await person.open(wary.app().authorization_url("openid"))
        page = await person.sign_in(page, "patient", "wrong")
        page = await person.sign_in(page, "patient", "demo")
        assert page.form("/consent").action


async def test_an_unknown_name_is_answered_like_a_wrong_password(wary: RunningServer) -> None:
    person = wary.person()
    page = await person.open(wary.app().authorization_url("openid"))
    known_user = await person.sign_in(page, "clerk", "wrong")
    unknown = await person.sign_in(page, "nobody", "wrong")
    assert known_user.text.replace("clerk", "") == unknown.text.replace("nobody", "")


async def test_many_names_from_one_address_are_held_back_too(wary: RunningServer) -> None:
    person = wary.person()
    page = await person.open(wary.app().authorization_url("openid"))
    texts = [(await person.sign_in(page, f"name-{index}", "wrong")).text for index in range(21)]
    assert "not right" in texts[0]
    assert "Too many tries." in texts[-1]


@pytest.mark.parametrize(
    ("username", "password"), [("", "demo"), ("doctor", ""), ("x" * 201, "demo"), ("doctor", "x" * 1001), ("\0", "\0")]
)
async def test_no_name_or_password_breaks_the_login(server: RunningServer, username: str, password: str) -> None:
    person, page = await open_login_page(server)
    page = await person.sign_in(page, username, password)
    assert page.status == 200
    assert page.form("/login").action


@pytest.mark.parametrize("path", ["/authorize", "/sign-in", "/token", "/launch", "/introspect", "/revoke"])
async def test_an_oversized_form_is_refused(server: RunningServer, path: str) -> None:
    proof = base64.b64encode(b"ehr:a-long-secret-of-the-ehr").decode()
    headers = {"content-type": "application/x-www-form-urlencoded", "authorization": f"Basic {proof}"}
    response = await server.http.post(server.issuer + path, content=b"a=" + b"x" * 200_000, headers=headers)
    assert response.status_code in {400, 413}


async def test_an_oversized_form_of_a_step_is_refused(server: RunningServer) -> None:
    person, page = await open_login_page(server)
    action = page.form("/login").action
    csrf = ("csrf", page.form("/login").value("csrf") or "")
    assert (await person.open(action, data=[csrf, ("username", "x" * 200_000)])).status == 400
    assert (await person.open(action, data=[csrf, *[("use", "1")] * 5000])).status == 400
    assert (await person.open(page.url)).form("/login").action


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"csrf=%ff", b"csrf=%c3%28&decision=allow", b"", b"&&&&", b"csrf", b"=&="]
)
async def test_a_broken_form_is_refused(server: RunningServer, content: bytes) -> None:
    person, page = await open_login_page(server)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    response = await person.client.post(page.form("/login").action, content=content, headers=headers)
    assert response.status_code == 400
    assert "location" not in response.headers


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
async def test_an_error_says_nothing_in_the_words_of_the_request(server: RunningServer, query: dict[str, str]) -> None:
    response = await server.http.get(f"{server.issuer}/authorize", params=query)
    assert "zap" not in response.text
    assert "evil.example" not in response.text
    location = response.headers.get("location", "")
    assert "<" not in location
    assert "zap" not in location.replace("state=%3Cscript%3Ezap%281%29%3C%2Fscript%3E", "")


@pytest.mark.parametrize(
    "path", ["/nothing", "/authorize/nothing", "/authorize/nothing/consent", "/authorize/%2e%2e/x"]
)
async def test_unknown_addresses_reflect_nothing(server: RunningServer, path: str) -> None:
    for method in ("GET", "POST"):
        response = await server.http.request(method, f"{server.issuer}{path}?{urlencode({'x': MARKUP})}")
        assert response.status_code in {400, 404, 405}
        assert "zap" not in response.text


async def test_no_log_line_holds_a_secret_of_any_kind(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    secrets = {"hunter2-is-wrong", "demo-is-wrong", "state-of-a-request", "nonce-of-a-request", SECRET}
    app = server.app("https://symmetric.example", state="state-of-a-request")
    caplog.set_level("INFO", logger="gateway")
    person = server.person()
    page = await person.open(app.authorization_url(f"{SCOPE} offline_access", nonce="nonce-of-a-request"))
    secrets |= {page.form("/login").value("csrf") or ""}
    page = await person.sign_in(page, "doctor", "hunter2-is-wrong")
    page = await person.choose_patient(await person.sign_in(page), "pat-a")
    code = (await person.agree(page)).parameters["code"]
    answer = (await app.exchange(code)).json()
    await app.exchange(code)
    renewed = (await app.refresh(answer["refresh_token"])).json()
    secrets |= {code, app.verifier, *(value for name, value in {**answer, **renewed}.items() if name.endswith("token"))}
    secrets |= {cookie.value or "" for cookie in person.client.cookies.jar}
    handle = await create_launch(server, user="doctor", context={"patient": "pat-a"})
    await person.open(server.app().authorization_url("launch openid", launch=handle))
    await server.http.post(f"{server.issuer}/launch", json={}, auth=("ehr", "demo-is-wrong"))
    form: dict[str, str | None] = {"grant_type": "refresh_token", "refresh_token": "x"}
    await app.post("/token", form, authorization="Basic bm9ib2R5OmRlbW8=")
    secrets.add(handle)
    lines = log_lines(caplog)
    events = server.telemetry.events
    kinds = {event.kind.value for event in events}
    assert {"sign_in_failed", "signed_in", "granted", "token_issued", "token_refused", "launched"} <= kinds
    assert "token refused" in {line["event"] for line in lines}
    text = f"{lines} {events}"
    assert [secret for secret in secrets if secret in text] == []
    assert "demo" not in text


async def test_no_log_line_can_be_forged_by_what_is_sent(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    forged = "x\r\n2026-01-01 [critical] all is well\x1b[31m"
    caplog.set_level("INFO", logger="gateway")
    person, page = await open_login_page(server)
    await person.sign_in(page, forged, forged)
    await server.http.get(f"{server.issuer}/authorize", params={"client_id": forged, "state": forged})
    app = server.app()
    await app.post("/token", {"grant_type": forged, "code": forged, "client_id": forged})
    await app.post("/token", {"grant_type": "refresh_token", "refresh_token": forged})
    await server.http.post(f"{server.issuer}/launch", json={forged: 1}, auth=("ehr", forged))
    lines = log_lines(caplog)
    assert lines
    assert not [
        value for line in lines for value in line.values() if isinstance(value, str) and not value.isprintable()
    ]
    assert "all is well" not in str(lines)
