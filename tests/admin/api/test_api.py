"""The API of the admin port: who may call it, what it answers, and what it leaves in the audit log."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from gateway.telemetry.server_event import EventKind
from tests.admin.running_admin import AUDITOR, AUDITOR_TOKEN, OPERATOR, PASSWORD, RunningAdmin
from tests.smart_server.running_server import SECRET

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

APP: dict[str, Any] = {
    "client_id": "new-app", "name": "New App", "type": "confidential-symmetric",
    "redirect_uris": ["https://new.example/callback"], "launch_uris": ["https://new.example/launch"],
}  # fmt: skip


@pytest_asyncio.fixture(loop_scope="module")
async def browser(admin: RunningAdmin) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser at the API, which keeps cookies."""
    async with httpx2.AsyncClient(base_url=f"{admin.url}/api", timeout=30, trust_env=False) as client:
        yield client


async def sign_in(browser: httpx2.AsyncClient, name: str = OPERATOR) -> str:
    """Sign in; the token of changes."""
    response = await browser.post("/session", json={"name": name, "password": PASSWORD})
    assert response.status_code == 201, response.text
    return str(response.json()["csrf"])


def problem(response: httpx2.Response) -> tuple[int, str]:
    """Status and code of an error."""
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["status"] == response.status_code
    return response.status_code, response.json()["code"]


# Who may call.


@pytest.mark.parametrize(
    ("header", "because"),
    [
        pytest.param({}, "not_authenticated", id="nobody"),
        pytest.param({"authorization": "Bearer wrong"}, "not_authenticated", id="a wrong token"),
        pytest.param({"authorization": "Basic b2xnYTpkZW1v"}, "not_authenticated", id="a password without a session"),
        pytest.param({"cookie": "smart-admin=x"}, "not_authenticated", id="an invented cookie"),
        pytest.param({"cookie": f"smart-admin={'x' * 43}"}, "not_authenticated", id="a cookie of the right form"),
    ],
)
async def test_nobody_else_may_read(
    admin: RunningAdmin, browser: httpx2.AsyncClient, header: dict[str, str], because: str
) -> None:
    response = await browser.get("/clients", headers=header)
    assert problem(response) == (401, because)
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert admin.server.telemetry.events[-1].kind is EventKind.ADMIN_REFUSED


async def test_an_auditor_reads_and_changes_nothing(admin: RunningAdmin) -> None:
    assert (await admin.call("GET", "/clients", token=AUDITOR_TOKEN)).status_code == 200
    refused = await admin.call("POST", "/clients", APP, token=AUDITOR_TOKEN)
    assert problem(refused) == (403, "not_permitted")
    assert problem(await admin.call("GET", "/clients/new-app")) == (404, "not_found")
    event = admin.server.telemetry.events[-2]
    assert (event.kind, event.administrator, event.reason) == (EventKind.ADMIN_REFUSED, "watcher", "not_permitted")


async def test_a_session_begins_with_a_strict_cookie_and_ends_with_the_sign_out(
    admin: RunningAdmin, browser: httpx2.AsyncClient
) -> None:
    response = await browser.post("/session", json={"name": OPERATOR, "password": PASSWORD})
    cookie = response.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/"))
    assert "domain" not in cookie
    shown = (await browser.get("/session")).json()
    assert shown == {"name": OPERATOR, "role": "operator", "origin": "account", "csrf": response.json()["csrf"]}
    first = browser.cookies["smart-admin"]
    csrf = await sign_in(browser)
    assert browser.cookies["smart-admin"] != first, "a sign-in makes a new secret (session fixation)"
    old = await browser.get("/session", headers={"cookie": f"smart-admin={first}"})
    assert problem(old) == (401, "not_authenticated")
    ended = browser.cookies["smart-admin"]
    assert (await browser.delete("/session", headers={"x-csrf-token": csrf})).status_code == 204
    assert problem(await browser.get("/session", headers={"cookie": f"smart-admin={ended}"})) == (
        401, "not_authenticated"
    )  # fmt: skip
    kinds = [event.kind for event in admin.server.telemetry.events if event.administrator == OPERATOR]
    assert {EventKind.ADMIN_SIGNED_IN, EventKind.ADMIN_SIGNED_OUT} <= set(kinds)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param({}, "foreign_request", id="without the token of the session"),
        pytest.param({"x-csrf-token": "x"}, "foreign_request", id="with another token"),
        pytest.param({"x-csrf-token": "\u00e9"}, "foreign_request", id="with a token that is no ASCII"),
    ],
)
async def test_a_page_of_somebody_else_changes_nothing(
    browser: httpx2.AsyncClient, headers: dict[str, str], code: str
) -> None:
    await sign_in(browser)
    response = await browser.post("/keys", headers=[(n.encode(), v.encode()) for n, v in headers.items()])
    assert problem(response) == (403, code)


async def test_a_wrong_password_is_an_event_without_the_password(
    admin: RunningAdmin, browser: httpx2.AsyncClient
) -> None:
    response = await browser.post("/session", json={"name": AUDITOR, "password": "not-her-password"})
    assert problem(response) == (401, "wrong_credentials")
    event = admin.server.telemetry.events[-1]
    assert (event.kind, event.typed_user) == (EventKind.ADMIN_SIGN_IN_FAILED, AUDITOR)
    assert "not-her-password" not in str(event)
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("evil.example", 421, id="a name that resolves to this machine (DNS rebinding)"),
        pytest.param("127.0.0.1.evil.example", 421, id="a name that begins like an address"),
        pytest.param("[::1", 421, id="what is no host at all"),
        pytest.param("localhost:1", 401, id="this machine by its name, behind a forwarded port"),
        pytest.param("[::1]:1", 401, id="this machine by its IPv6 address"),
    ],
)
async def test_other_names_do_not_reach_the_admin_port(browser: httpx2.AsyncClient, host: str, status: int) -> None:
    assert (await browser.get("/clients", headers={"host": host})).status_code == status


async def test_no_other_origin_is_let_in(admin: RunningAdmin, browser: httpx2.AsyncClient) -> None:
    origin = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    preflight = await browser.options("/clients", headers=origin)
    answer = await admin.call("GET", "/clients", headers=origin)
    for response in (preflight, answer):
        assert not [name for name in response.headers if name.startswith("access-control")]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_the_public_port_has_no_admin_port(admin: RunningAdmin) -> None:
    for path in ("/api/clients", "/auth/api/clients", "/fhir/api/clients"):
        response = await admin.server.http.get(admin.server.root + path)
        assert response.status_code in {401, 404}
        assert "records" not in response.text


# What it does.


async def test_an_app_is_registered_changed_tried_and_removed(admin: RunningAdmin) -> None:
    added = await admin.call("POST", "/clients", APP)
    assert added.status_code == 201, added.text
    secret = added.json()["secret"]
    assert problem(await admin.call("POST", "/clients", APP)) == (409, "conflict")
    assert (await admin.call("PATCH", "/clients/new-app", {"purpose": "To try."})).status_code == 200
    shown = await admin.call("GET", "/clients/new-app")
    assert shown.json()["entry"]["purpose"] == "To try."
    assert secret not in shown.text
    rotated = (await admin.call("POST", "/clients/new-app/secret")).json()["client_secret"]
    assert rotated != secret
    launch = (await admin.call("POST", "/clients/new-app/launch", {"context": {"patient": "pat-a"}})).json()
    assert launch["location"].startswith("https://new.example/launch?iss=")
    waiting = (await admin.call("GET", "/launches")).json()["launches"]
    assert [(one["client_id"], one["patient"]) for one in waiting] == [("new-app", "pat-a")]
    assert launch["handle"] not in (await admin.call("GET", "/launches")).text
    unknown = await admin.call("POST", "/clients/new-app/launch", {"context": {"patient": "nobody"}})
    assert problem(unknown) == (400, "invalid_request")
    for action, disabled in (("disable", True), ("enable", False)):
        assert (await admin.call("POST", f"/clients/new-app/{action}")).status_code == 204
        assert (await admin.call("GET", "/clients/new-app")).json()["summary"]["disabled"] is disabled
    assert (await admin.call("DELETE", "/clients/new-app")).status_code == 204
    assert problem(await admin.call("GET", "/clients/new-app")) == (404, "not_found")
    of_app = [event for event in admin.server.telemetry.events if event.client_id == "new-app"]
    assert {event.administrator for event in of_app} == {"deployer"}
    assert [event.kind for event in of_app] == [
        EventKind.CLIENT_REGISTERED, EventKind.CLIENT_UPDATED, EventKind.CLIENT_UPDATED, EventKind.LAUNCHED,
        EventKind.CLIENT_DISABLED, EventKind.CLIENT_UPDATED, EventKind.CLIENT_REMOVED,
    ]  # fmt: skip


async def test_an_app_that_is_disabled_while_its_secret_is_replaced_stays_disabled(admin: RunningAdmin) -> None:
    assert (await admin.call("POST", "/clients", APP)).status_code == 201
    # Hashing the new secret takes longer than the change of somebody else.
    rotated, disabled = await asyncio.gather(
        admin.call("POST", "/clients/new-app/secret"), admin.call("POST", "/clients/new-app/disable")
    )
    assert disabled.status_code == 204
    assert rotated.status_code in {201, 409}
    assert (await admin.call("GET", "/clients/new-app")).json()["summary"]["disabled"] is True
    assert (await admin.call("DELETE", "/clients/new-app")).status_code == 204


async def test_a_user_who_is_changed_while_their_password_is_replaced_is_both_or_one_is_told(
    admin: RunningAdmin,
) -> None:
    user = {"username": "newcomer", "name": "Nora New", "password": "a good password", "roles": ["staff"]}
    assert (await admin.call("POST", "/users", user)).status_code == 201
    password = admin.call("POST", "/users/newcomer/password", {"password": "another good password"})
    changed, renamed = await asyncio.gather(password, admin.call("PATCH", "/users/newcomer", {"name": "Nora Old"}))
    name = (await admin.call("GET", "/users/newcomer")).json()["name"]
    assert (name == "Nora Old") == renamed.is_success
    assert changed.is_success or changed.status_code == 409
    assert (await admin.call("DELETE", "/users/newcomer")).status_code == 204


async def test_a_client_id_may_be_a_url(admin: RunningAdmin) -> None:
    shown = await admin.call("GET", "/clients/https%3A%2F%2Fsymmetric.example")
    assert shown.json()["summary"]["client_id"] == "https://symmetric.example"
    assert SECRET not in shown.text
    refused = await admin.call("POST", "/clients/https%3A%2F%2Fsymmetric.example/disable")
    assert problem(refused) == (409, "conflict"), "it is changed in the configuration"


async def test_a_user_is_added_changed_disabled_and_removed(admin: RunningAdmin) -> None:
    user = {"username": "newcomer", "name": "Nora New", "password": "a good password", "roles": ["staff"]}
    added = await admin.call("POST", "/users", user)
    assert added.status_code == 201, added.text
    assert "argon2" not in added.text
    changed = await admin.call("PATCH", "/users/newcomer", {"fhir_user": "Practitioner/practitioner-1"})
    assert changed.json() == {
        "user": "newcomer", "name": "Nora New", "fhir_user": "Practitioner/practitioner-1", "roles": ["staff"],
        "disabled": False, "origin": "registration",
    }  # fmt: skip
    assert problem(await admin.call("PATCH", "/users/newcomer", {"password_hash": "x"})) == (400, "invalid_request")
    assert (await admin.call("POST", "/users/newcomer/password", {"password": "another one"})).status_code == 204
    assert (await admin.call("POST", "/users/newcomer/disable")).status_code == 204
    assert (await admin.call("GET", "/users/newcomer")).json()["disabled"] is True
    assert problem(await admin.call("POST", "/users/newcomer/disable?provider=https://other.example")) == (
        400, "invalid_request"
    )  # fmt: skip
    assert (await admin.call("POST", "/users/newcomer/enable")).status_code == 204
    assert (await admin.call("DELETE", "/users/newcomer")).status_code == 204
    assert problem(await admin.call("GET", "/users/newcomer")) == (404, "not_found")
    of_user = [event for event in admin.server.telemetry.events if event.subject == "newcomer"]
    assert {event.administrator for event in of_user} == {"deployer"}


async def test_sessions_and_grants_are_found_and_ended(admin: RunningAdmin) -> None:
    tokens = await admin.server.request_tokens(admin.server.app(), "launch/patient patient/Patient.rs")
    found = (await admin.call("GET", "/grants?user=doctor&client=public-app&patient=pat-a")).json()["records"]
    assert len(found) == 1
    assert (await admin.call("GET", f"/grants/{found[0]['id']}")).json() == found[0]
    assert problem(await admin.call("GET", "/grants")) == (400, "invalid_request")
    sessions = (await admin.call("GET", "/sessions?user=doctor")).json()["sessions"]
    assert [session["subject"] for session in sessions] == ["doctor"]
    fhir = f"{admin.server.base}/Patient/pat-a"
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert (await admin.server.http.get(fhir, headers=bearer)).status_code == 200
    assert (await admin.call("DELETE", f"/grants/{found[0]['id']}")).status_code == 204
    assert (await admin.server.http.get(fhir, headers=bearer)).status_code == 401
    assert (await admin.call("DELETE", f"/sessions/{sessions[0]['session_id']}")).status_code == 204
    assert (await admin.call("GET", "/sessions?user=doctor")).json() == {"sessions": []}
    await admin.server.request_tokens(admin.server.app(), "launch/patient patient/Patient.rs")
    assert (await admin.call("DELETE", "/grants?client=public-app")).json() == {"ended": 1}


async def test_an_app_that_registered_itself_is_reviewed_once(admin: RunningAdmin) -> None:
    registrations = admin.server.gateway._smart_server
    assert registrations is not None
    entry = {"client_id": "self-made", "name": "Self Made", "redirect_uris": ["https://self.example/callback"]}
    storage = registrations.dependencies.storage.registrations
    assert await storage.add_client("self-made", {**entry, "self_registered": True})
    assert (await admin.call("GET", "/clients/self-made")).json()["summary"]["self_registered"] is True
    assert (await admin.call("POST", "/clients/self-made/approve")).status_code == 204
    assert (await admin.call("GET", "/clients/self-made")).json()["summary"]["self_registered"] is False
    assert problem(await admin.call("POST", "/clients/self-made/approve")) == (409, "conflict")


async def test_keys_are_listed_and_rotated(admin: RunningAdmin) -> None:
    before = (await admin.call("GET", "/keys")).json()["keys"]
    assert [key["signs_now"] for key in before] == [True]
    after = (await admin.call("POST", "/keys")).json()["keys"]
    assert [key["signs_now"] for key in after] == [True, False]
    at_once = (await admin.call("POST", "/keys?at_once=true")).json()["keys"]
    assert len(at_once) == 1
    published = (await admin.server.http.get(f"{admin.server.issuer}/jwks")).json()["keys"]
    assert [key["kid"] for key in published] == [at_once[0]["kid"]]


async def test_health_names_each_part(admin: RunningAdmin) -> None:
    parts = (await admin.call("GET", "/health", token=AUDITOR_TOKEN)).json()["parts"]
    assert [(part["name"], part["state"]) for part in parts] == [("fhir_server", "up"), ("store", "up")]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        pytest.param("GET", "/clients?limit=0", None, (400, "invalid_request"), id="a limit that is none"),
        pytest.param("GET", "/clients?limit=1&limit=2", None, (400, "invalid_request"), id="a repeated parameter"),
        pytest.param("GET", "/clients?other=1", None, (400, "invalid_request"), id="an unknown parameter"),
        pytest.param("POST", "/clients", ["x"], (400, "invalid_request"), id="a body that is no object"),
        pytest.param("POST", "/clients", {"name": "x", "other": 1}, (400, "invalid_request"), id="an unknown member"),
        pytest.param("POST", "/session", {"name": "x"}, (400, "invalid_request"), id="a missing member"),
        pytest.param("POST", "/clients", {"name": "x" * 200_000}, (413, "too_large"), id="a body that is too large"),
        pytest.param("PUT", "/clients", {}, (405, "method_not_allowed"), id="a method that is not there"),
        pytest.param("GET", "/nowhere", None, (404, "not_found"), id="a path that is not there"),
        pytest.param("GET", "/clients/%ff", None, (400, "invalid_request"), id="a path that is not UTF-8"),
        pytest.param("GET", "/decisions/unknown", None, (404, "not_found"), id="a decision that nobody made"),
        pytest.param("GET", "/configuration", None, (409, "conflict"), id="a gateway that cannot be reloaded"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said(
    admin: RunningAdmin, method: str, path: str, body: object, expected: tuple[int, str]
) -> None:
    assert problem(await admin.call(method, path, body)) == expected


async def test_a_body_that_is_not_json_is_refused(admin: RunningAdmin) -> None:
    response = await admin.call("POST", "/clients", content=b"name=x", headers={"content-type": "text/plain"})
    assert problem(response) == (415, "unsupported_media_type")
