"""Whatever the SMART server refuses, at whichever endpoint, is exactly one event that says who asked and why."""

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import pytest_asyncio
from starlette.routing import BaseRoute, Mount, Route

from gateway.storage.tokens.opaque_tokens import TokenKind
from gateway.telemetry.server_event import EVENT_TEXTS, MAX_CLAIM_LENGTH, EventKind
from tests.servers.ports import free_port
from tests.smart_server.running_server import ADMIN_TOKEN, CALLBACK, LAUNCHER_SECRET, RunningServer, run_smart_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

EHR = ("ehr", LAUNCHER_SECRET)
OPERATOR = {"authorization": f"Bearer {ADMIN_TOKEN}"}
STEP = "/auth/authorize/x"
ADDRESS = "127.0.0.1"
# Never in an event: a wrong secret, password, token or code.
WRONG = "hunter2-the-wrong-one"
FORM = {"csrf": "x"}


def authorization(**changes: str) -> str:
    """The path of an authorization request of the public app."""
    parameters = {"client_id": "public-app", "redirect_uri": CALLBACK, "response_type": "code", "state": "x" * 32}
    return "/auth/authorize?" + urlencode({**parameters, **changes})


Case = tuple[str, str, dict[str, Any], EventKind, str, dict[str, str]]
CASES: dict[str, Case] = {
    "an app that nobody registered": ("GET", "/auth/authorize?client_id=nobody", {}, EventKind.AUTHORIZATION_REFUSED,
        "client_unknown", {"client_id": "nobody"}),
    "a redirect URI that is not the app's": ("GET", authorization(redirect_uri="https://evil.example/"), {},
        EventKind.AUTHORIZATION_REFUSED, "redirect_uri_not_registered", {"client_id": "public-app"}),
    "a response type that is told to the app": ("GET", authorization(response_type="token"), {},
        EventKind.AUTHORIZATION_REFUSED, "unsupported_response_type", {"client_id": "public-app"}),
    "another audience": ("GET", authorization(scope="openid", aud="https://other.example/fhir"), {},
        EventKind.AUTHORIZATION_REFUSED, "invalid_request", {"audience": "https://other.example/fhir"}),
    "a request by POST that is no form": ("POST", "/auth/authorize", {"json": {}}, EventKind.AUTHORIZATION_REFUSED,
        "form_malformed", {}),
    "a step of no request": ("GET", STEP, {}, EventKind.AUTHORIZATION_REFUSED, "request_over", {}),
    "a sign-in form of no request": ("POST", f"{STEP}/login", {"data": FORM}, EventKind.AUTHORIZATION_REFUSED,
        "request_over", {}),
    "a provider of no request": ("GET", f"{STEP}/provider/0", {}, EventKind.AUTHORIZATION_REFUSED, "request_over", {}),
    "another user for no request": ("POST", f"{STEP}/switch-user", {"data": FORM}, EventKind.AUTHORIZATION_REFUSED,
        "request_over", {}),
    "patients of no request": ("GET", f"{STEP}/patient", {}, EventKind.AUTHORIZATION_REFUSED, "request_over", {}),
    "a patient of no request": ("POST", f"{STEP}/patient", {"data": FORM}, EventKind.AUTHORIZATION_REFUSED,
        "request_over", {}),
    "a visit of no request": ("POST", f"{STEP}/encounter", {"data": FORM}, EventKind.AUTHORIZATION_REFUSED,
        "request_over", {}),
    "a consent to no request": ("POST", f"{STEP}/consent", {"data": FORM}, EventKind.AUTHORIZATION_REFUSED,
        "request_over", {}),
    "a provider's response without a login": ("GET", "/auth/signed-in?state=x", {}, EventKind.SIGN_IN_FAILED,
        "login_foreign", {}),
    "a provider's response at its own place": ("GET", "/auth/signed-in/1?state=x", {}, EventKind.SIGN_IN_FAILED,
        "login_foreign", {}),
    "a sign-in that is no form": ("POST", "/auth/sign-in", {"json": {}}, EventKind.SIGN_IN_FAILED,
        "form_malformed", {}),
    "a sign-in from another site": ("POST", "/auth/sign-in", {"data": FORM}, EventKind.SIGN_IN_FAILED,
        "form_foreign", {}),
    "a sign-in at an unknown provider": ("GET", "/auth/sign-in/provider/7", {"headers": {"cookie": "smart-browser=x"}},
        EventKind.SIGN_IN_FAILED, "provider_unknown", {}),
    "a sign-out from another site": ("POST", "/auth/sign-out", {"data": FORM}, EventKind.REQUEST_REFUSED,
        "form_foreign", {}),
    "a launch that is over": ("GET", "/auth/launch/x", {}, EventKind.LAUNCH_REFUSED, "launch_over", {}),
    "a wrong launcher secret": ("POST", "/auth/launch", {"json": {}, "auth": ("ehr", WRONG)},
        EventKind.LAUNCH_REFUSED, "not_authenticated", {"client_id": "ehr"}),
    "a launch of an unknown app": ("POST", "/auth/launch", {"json": {"client_id": "nobody"}, "auth": EHR},
        EventKind.LAUNCH_REFUSED, "invalid_request", {"client_id": "ehr"}),
    "a wrong launcher secret at Medplum's door": ("GET", "/fhir/ClientApplication/public-app/$smart-launch",
        {"auth": ("ehr", WRONG)}, EventKind.LAUNCH_REFUSED, "not_authenticated", {"client_id": "ehr"}),
    "an unknown app at Medplum's door": ("POST", "/fhir/ClientApplication/nobody/$smart-launch", {"auth": EHR},
        EventKind.LAUNCH_REFUSED, "not_found", {"client_id": "ehr"}),
    "no app at Medplum's door": ("GET", "/fhir/ClientApplication/$smart-launch", {"auth": EHR},
        EventKind.LAUNCH_REFUSED, "invalid_request", {"client_id": "ehr"}),
    "no app at Medplum's door by POST": ("POST", "/fhir/ClientApplication/$smart-launch", {"auth": EHR},
        EventKind.LAUNCH_REFUSED, "invalid_request", {"client_id": "ehr"}),
    "a wrong launcher secret at Aidbox's door": ("POST", "/rpc", {"json": {}, "auth": ("ehr", WRONG)},
        EventKind.LAUNCH_REFUSED, "not_authenticated", {"client_id": "ehr"}),
    "a grant type that nobody knows": ("POST", "/auth/token", {"data": {"grant_type": "x", "client_id": "public-app"}},
        EventKind.TOKEN_REFUSED, "unsupported_grant_type", {"client_id": "public-app"}),
    "a wrong code": ("POST", "/auth/token", {"data": {"grant_type": "authorization_code", "code": WRONG,
        "redirect_uri": CALLBACK, "client_id": "public-app", "code_verifier": "v" * 43}},
        EventKind.TOKEN_REFUSED, "invalid_grant", {"client_id": "public-app"}),
    "a wrong client secret": ("POST", "/auth/token", {"data": {"grant_type": "refresh_token", "refresh_token": WRONG},
        "auth": ("old-app", WRONG)}, EventKind.TOKEN_REFUSED, "invalid_client", {"client_id": "old-app"}),
    "a wrong secret of a client whose id is a URL": ("POST", "/auth/token", {"data": {"grant_type": "refresh_token",
        "refresh_token": WRONG}, "auth": ("https://symmetric.example", WRONG)}, EventKind.TOKEN_REFUSED,
        "invalid_client", {"client_id": "https://symmetric.example"}),
    "an introspection by nobody": ("POST", "/auth/introspect", {"data": {"token": WRONG}},
        EventKind.INTROSPECTION_REFUSED, "invalid_client", {}),
    "an introspection by an app that may not": ("POST", "/auth/introspect", {"data": {"token": WRONG,
        "client_id": "public-app"}}, EventKind.INTROSPECTION_REFUSED, "unauthorized_client",
        {"client_id": "public-app"}),
    "an introspection with a wrong token": ("POST", "/auth/introspect", {"data": {"token": WRONG},
        "headers": {"authorization": f"Bearer {WRONG}"}}, EventKind.INTROSPECTION_REFUSED, "not_authenticated", {}),
    "a revocation with a wrong secret": ("POST", "/auth/revoke", {"data": {"token": WRONG}, "auth": ("old-app", WRONG)},
        EventKind.REVOCATION_REFUSED, "invalid_client", {"client_id": "old-app"}),
    "a logout token that is none": ("POST", "/auth/backchannel-logout", {"data": {"logout_token": WRONG}},
        EventKind.PROVIDER_LOGOUT_REFUSED, "invalid_request", {}),
    "a logout token of an unknown issuer": ("POST", "/auth/backchannel-logout", {"data": {"logout_token": ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=")
        for part in (b'{"alg":"RS256"}', b'{"iss":"https://unknown.example"}', b"x"))}},
        EventKind.PROVIDER_LOGOUT_REFUSED, "invalid_request", {"issuer": "https://unknown.example"}),
    "a registration without a redirect URI": ("POST", "/auth/register", {"json": {}}, EventKind.REGISTRATION_REFUSED,
        "invalid_request", {}),
    "a picture that is none": ("GET", "/auth/branding/x", {}, EventKind.REQUEST_REFUSED, "not_found", {}),
    "an unknown app for the operator": ("GET", "/auth/admin/clients/nobody", {"headers": OPERATOR},
        EventKind.ADMIN_REFUSED, "not_found", {}),
    "an unknown user for the operator": ("POST", "/auth/admin/users/disable", {"headers": OPERATOR,
        "json": {"user": 7}}, EventKind.ADMIN_REFUSED, "invalid_request", {}),
}  # fmt: skip
ADMIN_PATHS = {
    "clients": ("GET", "POST"),
    "clients/x": ("GET", "PATCH", "DELETE"),
    "users": ("GET", "POST"),
    "users/disable": ("POST",),
    "users/enable": ("POST",),
    "users/remove": ("POST",),
    "users/password": ("POST",),
    "sessions/end": ("POST",),
    "grants": ("GET",),
    "grants/end": ("POST",),
    "token": ("POST",),
    "keys/rotate": ("POST",),
    "configuration": ("GET",),
    "configuration/reload": ("POST",),
    "configuration/rollback": ("POST",),
}
CASES |= {
    f"a wrong admin token for {method} {path}": (
        method, f"/auth/admin/{path}", {"headers": {"authorization": f"Bearer {WRONG}"}},
        EventKind.ADMIN_REFUSED, "not_authenticated", {},
    )
    for path, methods in ADMIN_PATHS.items()
    for method in methods
}  # fmt: skip
CASES |= {
    f"a page of no request where the form of {form} stands": (
        "GET", f"{STEP}/{form}", {}, EventKind.AUTHORIZATION_REFUSED, "request_over", {},
    )
    for form in ("login", "switch-user", "encounter", "consent")
}  # fmt: skip
# What they refuse needs a signed-in user, or a store that is away (below); the documents refuse nothing.
WITHOUT_CASE = {
    ("GET", "/auth/sign-in"), ("GET", "/auth/apps"), ("POST", "/auth/apps"), ("GET", "/auth/manage"),
    ("POST", "/auth/manage"), ("GET", "/auth/jwks"), ("GET", "/auth/.well-known/openid-configuration"),
    ("GET", "/"), ("GET", "/auth"), ("GET", "/auth/"),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def refusing() -> AsyncIterator[RunningServer]:
    """A server in front of no FHIR server, where apps may register themselves."""

    def change(settings: dict[str, Any]) -> None:
        smart_server = settings["smart_server"]
        smart_server["registration"] = True
        smart_server["rate_limits"] |= {"wrong_secrets": 0, "launches": 0, "registrations": 0}

    async with run_smart_server(f"http://127.0.0.1:{free_port()}/fhir", change=change) as running:
        yield running


def routes_below(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, Route]]:
    """Every route with the path of its mount."""
    for route in routes:
        if isinstance(route, Mount):
            yield from routes_below(route.routes, prefix + route.path)
        elif isinstance(route, Route):
            yield prefix, route


async def test_every_route_of_the_server_has_a_refusal_here(refusing: RunningServer) -> None:
    assert refusing.gateway._smart_server is not None
    asked = {(method, urlsplit(path).path) for method, path, *_ in CASES.values()} | WITHOUT_CASE
    for prefix, route in routes_below(refusing.gateway._smart_server.routes("/fhir")):
        for method in (route.methods or set()) - {"HEAD", "OPTIONS"}:
            assert any(
                asked_method == method and path.startswith(prefix) and route.path_regex.match(path.removeprefix(prefix))
                for asked_method, path in asked
            ), f"{method} {prefix}{route.path}"


@pytest.mark.parametrize(("method", "path", "options", "kind", "reason", "claims"), CASES.values(), ids=CASES)
async def test_a_refusal_is_exactly_one_event(
    refusing: RunningServer,
    method: str,
    path: str,
    options: dict[str, Any],
    kind: EventKind,
    reason: str,
    claims: dict[str, str],
) -> None:
    refusing.telemetry.events.clear()
    await refusing.http.request(method, refusing.root + path, **options)
    (event,) = refusing.telemetry.events
    assert (event.kind, event.reason, event.remote_address) == (kind, reason, ADDRESS)
    said = {name: getattr(event, name) for name in EVENT_TEXTS[kind].fields if getattr(event, name) is not None}
    assert said == {**said, **claims}
    assert WRONG not in repr(event)
    assert {name for name in event.__struct_fields__ if getattr(event, name) is not None} <= {
        "kind", "at", "remote_address", *EVENT_TEXTS[kind].fields,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("username", "password", "reason"),
    [("doctor", WRONG, "wrong_credentials"), ("nobody", WRONG, "wrong_credentials"), ("doctor", "", "incomplete")],
)
async def test_a_failed_sign_in_says_which_name_was_typed(
    refusing: RunningServer, username: str, password: str, reason: str
) -> None:
    person = refusing.person()
    page = await person.open(f"{refusing.issuer}/sign-in")
    refusing.telemetry.events.clear()
    await person.sign_in(page, username, password)
    (event,) = refusing.telemetry.events
    assert (event.kind, event.typed_user, event.reason) == (EventKind.SIGN_IN_FAILED, username, reason)
    assert WRONG not in repr(event)


async def test_a_sign_in_for_an_app_names_the_app_and_a_limit_names_the_typed_user(refusing: RunningServer) -> None:
    app, person = refusing.app(), refusing.person()
    page = await person.open(app.authorization_url("openid"))
    refusing.telemetry.events.clear()
    for _ in range(11):
        page = await person.sign_in(page, "nurse", WRONG)
    events = refusing.telemetry.events
    assert [event.kind for event in events] == [EventKind.SIGN_IN_FAILED] * 10 + [EventKind.RATE_LIMITED]
    assert {(event.client_id, event.typed_user) for event in events} == {("public-app", "nurse")}


async def test_a_name_of_any_length_is_cut(refusing: RunningServer) -> None:
    refusing.telemetry.events.clear()
    await refusing.http.get(f"{refusing.root}/auth/authorize", params={"client_id": "x" * 5000, "aud": "y" * 5000})
    (event,) = refusing.telemetry.events
    assert (event.client_id, event.audience) == ("x" * MAX_CLAIM_LENGTH, "y" * MAX_CLAIM_LENGTH)


async def test_what_a_store_that_is_away_prevents_is_one_event_too() -> None:
    async with run_smart_server(f"http://127.0.0.1:{free_port()}/fhir") as server:
        assert server.gateway._smart_server is not None
        await server.gateway._smart_server.store.aclose()
        for method, path, reason in [
            ("GET", "/auth/apps", "store_unavailable"),
            ("GET", "/auth/manage", "store_unavailable"),
            ("GET", "/auth/authorize?client_id=nobody", "store_unavailable"),
            ("POST", "/auth/introspect", "temporarily_unavailable"),
        ]:
            server.telemetry.events.clear()
            headers = {"cookie": "smart-session=x; smart-browser=x"}
            headers["authorization"] = f"Bearer {TokenKind.ACCESS_TOKEN}x"
            data = {"token": "x"} if method == "POST" else None
            await server.http.request(method, server.root + path, headers=headers, data=data)
            assert [event.reason for event in server.telemetry.events] == [reason], path
