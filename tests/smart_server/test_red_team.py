"""Attacks that failed: each case is a guarantee, with the requests that tried to break it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.smart_server.admin_client import register_client
from tests.smart_server.ehr_launcher import create_launch, launch_handle
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import CALLBACK, LAUNCHER_SECRET, RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "openid patient/Patient.rs"
HOSTILE = "\"'></h1><script src=//evil.example></script><img src=x onerror=alert(1)>{{7*7}}"
Attempt = Callable[[RunningServer], Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_house(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server with open registration that allows two wrong passwords for a user name."""

    def change(settings: dict[str, Any]) -> None:
        settings["smart_server"] |= {"registration": True, "login_attempts": 2}

    async with run_smart_server(fhir_server, change=change) as running:
        yield running


async def at_consent(server: RunningServer) -> tuple[Person, Page]:
    """A user at a consent page."""
    return await server.open_consent_page(server.app(), SCOPE)


async def cookie_after_sign_out(server: RunningServer) -> None:
    person, _ = await at_consent(server)
    before = {cookie.name: cookie.value or "" for cookie in person.client.cookies.jar}
    await person.submit(await person.open(f"{server.issuer}/manage"), "/sign-out")
    thief = server.person()
    for name, value in before.items():
        thief.client.cookies.set(name, value, domain=urlsplit(server.root).hostname or "")
    assert "/sign-in" in (await thief.open(f"{server.issuer}/manage")).url
    silent_login = await thief.open(server.app().authorization_url("openid", prompt="none"))
    assert silent_login.parameters["error"] == "login_required"


async def session_token_at_a_request(server: RunningServer) -> None:
    person, page = await at_consent(server)
    manage = await person.open(f"{server.issuer}/manage")
    token = manage.form("/sign-out").value("csrf") or ""
    answer = await person.submit(page, "/consent", csrf=token, decision="allow")
    assert (answer.left_for, answer.status) == (None, 400)
    other = await person.submit(manage, "/sign-out", csrf=page.form("/consent").value("csrf") or "")
    assert other.status == 400


async def forwarded_for(server: RunningServer) -> None:
    for number in range(2):
        await wrong_password(server, f"203.0.113.{number}")
    assert "Too many tries" in (await wrong_password(server, "203.0.113.9")).text


async def wrong_password(server: RunningServer, claimed: str) -> Page:
    """A login attempt from a browser that claims another IP address."""
    person = server.person()
    person.client.headers.update({"x-forwarded-for": claimed, "forwarded": f"for={claimed}", "x-real-ip": claimed})
    return await person.sign_in(await person.open(f"{server.issuer}/sign-in?to=manage"), "nurse", "wrong")


async def id_of_another_app(server: RunningServer) -> None:
    wanted = {"client_id": "public-app", "skip_consent": True, "may_introspect": True, "disabled": False}
    registration = {**wanted, "redirect_uris": ["https://evil.example/cb"], "token_endpoint_auth_method": "none"}
    registered = (await server.http.post(f"{server.issuer}/register", json=registration)).json()
    assert registered["client_id"] != "public-app"
    app = server.app(registered["client_id"], redirect_uri="https://evil.example/cb")
    _, page = await server.open_consent_page(app, SCOPE)
    assert page.left_for is None, "users are asked about it"
    page = await server.person().open(server.app(redirect_uri="https://evil.example/cb").authorization_url(SCOPE))
    assert page.left_for is None


async def hostile_names(server: RunningServer) -> None:
    await register_client(
        server, "hostile-name", name=HOSTILE, purpose=HOSTILE, launch_uris=["https://evil.example/launch"]
    )
    app = server.app("hostile-name")
    person, consent = await server.open_consent_page(app, SCOPE)
    code = (await person.agree(consent)).parameters["code"]
    assert (await app.exchange(code)).status_code == 200
    login = await server.person().open(app.authorization_url(SCOPE, login_hint=HOSTILE))
    portal_pages = [
        await person.open(f"{server.issuer}/{path}") for path in ("apps", "manage", "apps?name=%22%3E%3Cimg%3E")
    ]
    for page in (login, consent, *portal_pages):
        assert "<script" not in page.html and "<img src=x" not in page.html and '"><img>' not in page.html
        assert "script-src" not in page.headers["content-security-policy"], "default-src 'none' holds for scripts"
        assert page.headers["cache-control"] == "no-store"
    assert "{{7*7}}" in consent.text, "shown as it is, and never taken for a template"


async def revoked_by_other_handles(server: RunningServer) -> None:
    app = server.app()
    code, handle = await server.request_code(app, SCOPE), await create_launch(server, context={"patient": "pat-a"})
    for token in (code, handle):
        assert (await app.post("/revoke", {"token": token})).status_code == 200
    assert (await app.exchange(code)).status_code == 200
    _, page = await server.open_consent_page(app, "launch openid", launch=handle)
    assert "error" not in (page.left_for or "")


async def signed_documents_as_tokens(server: RunningServer) -> None:
    tokens = await server.request_tokens(server.app(), f"{SCOPE} fhirUser")
    body = {"method": "aidbox.smart/get-launch-uri", "params": {"client": "public-app", "iss": server.base}}
    answer = await server.http.post(f"{server.root}/rpc", json=body, auth=("ehr", LAUNCHER_SECRET))
    for jwt in (tokens["id_token"], launch_handle(answer.json()["result"]["uri"])):
        assert (await server.app().read("/Patient/pat-a", jwt)).status_code == 401
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form: dict[str, str | None] = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
        form |= {"client_assertion_type": kind, "client_assertion": jwt}
        assert (await server.app("backend").post("/token", form)).json()["error"] == "invalid_client"


async def texts_that_are_no_unicode(server: RunningServer) -> None:
    body = b'{"grant_type": "authorization_code", "client_id": "\\ud800", "code": "\\udfff", "redirect_uri": "x"}'
    for path in ("/token", "/revoke", "/introspect"):
        answer = await server.http.post(
            server.issuer + path, content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400, path
    for path in ("/authorize/%ff%00%ed%a0%80", "/authorize/a%0d%0aSet-Cookie:%20x=y"):
        assert (await server.http.get(server.issuer + path)).status_code in {400, 404}


async def hosts_that_cannot_be(server: RunningServer) -> None:
    for host in ("[", "a]b", "evil.example", "x?y#z", "evil.example:99999"):
        answer = await server.http.get(f"{server.issuer}/sign-in?to=apps", headers={"host": host})
        assert answer.status_code < 500
        assert "evil.example" not in answer.text


async def two_proofs_in_two_headers(server: RunningServer) -> None:
    tokens = await server.request_tokens(server.app(), SCOPE)
    forged = [("authorization", "Bearer sga_forged"), ("authorization", f"Bearer {tokens['access_token']}")]
    answer = await server.http.get(f"{server.base}/Patient/pat-a", headers=forged)
    assert answer.status_code in {400, 401}


async def pick_after_the_launch_settled_it(server: RunningServer) -> None:
    handle = await create_launch(server, context={"patient": "pat-a"})
    app = server.app()
    person, page = await server.open_consent_page(app, "launch openid patient/Patient.rs", launch=handle)
    form = page.form("/consent")
    fields = [("csrf", form.value("csrf") or ""), ("patient", "pat-b"), ("decision", "choose")]
    chosen = await person.open(form.action.replace("/consent", "/patient"), data=fields)
    assert chosen.status == 400
    code = (await person.agree(page)).parameters["code"]
    assert (await app.exchange(code)).json()["patient"] == "pat-a"


async def answers_of_another_step(server: RunningServer) -> None:
    person, page = await at_consent(server)
    pairs = [("csrf", page.form("/consent").value("csrf") or ""), ("decision", "allow"), ("decision", "allow")]
    answer = await person.open(page.form("/consent").action, data=[*pairs, ("use-1", "all")])
    assert answer.parameters["error"] == "access_denied", "an answer that came twice is no yes"
    assert urlsplit(answer.left_for or "").netloc == urlsplit(CALLBACK).netloc


ATTEMPTS: dict[str, Attempt] = {
    "a cookie that was stolen before the sign-out signs nobody in": cookie_after_sign_out,
    "the token of a session's forms is none of a request's, nor the reverse": session_token_at_a_request,
    "an app that registers itself takes neither an id nor a privilege": id_of_another_app,
    "a name that is HTML stays text on every page": hostile_names,
    "a code or launch that is sent for revocation stands": revoked_by_other_handles,
    "what we signed for another purpose is neither a token nor a proof": signed_documents_as_tokens,
    "text that is no Unicode is refused without a fault": texts_that_are_no_unicode,
    "a Host header that cannot be changes no page": hosts_that_cannot_be,
    "a second Authorization header does not count": two_proofs_in_two_headers,
    "the patient of a launch cannot be chosen anew": pick_after_the_launch_settled_it,
    "a decision that came twice is a no": answers_of_another_step,
    "tries are counted by the address that is, not by one that is claimed": forwarded_for,
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
async def test_it_was_tried_in_vain(open_house: RunningServer, attempt: Attempt) -> None:
    await attempt(open_house)
