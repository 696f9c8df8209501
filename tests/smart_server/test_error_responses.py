"""Errors of each endpoint: a page for people, JSON for programs."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from gateway.storage.tokens.opaque_tokens import TokenKind
from tests.servers.ports import free_port
from tests.smart_server.running_server import ADMIN_TOKEN, CALLBACK, LAUNCHER_SECRET, RunningServer, run_smart_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

EHR = "https://ehr.example"
# A token in our format, which only the store could resolve.
TOKEN = f"{TokenKind.ACCESS_TOKEN}x"
FORM = {
    "client_id": "nobody",
    "csrf": "x",
    "token": TOKEN,
    "grant_type": "authorization_code",
    "code": "x",
    "redirect_uri": CALLBACK,
}
LAUNCHER: dict[str, Any] = {"auth": ("ehr", LAUNCHER_SECRET)}
ADMIN: dict[str, Any] = {"headers": {"authorization": f"Bearer {ADMIN_TOKEN}"}}
WAY = "/auth/authorize/x"

FOR_PEOPLE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a request": ("GET", "/auth/authorize?client_id=nobody", {}),
    "a request by POST": ("POST", "/auth/authorize", {"data": FORM}),
    "a request under way": ("GET", WAY, {}),
    "the sign-in form": ("POST", f"{WAY}/login", {"data": FORM}),
    "the way to a provider": ("GET", f"{WAY}/provider/0", {}),
    "the way back from a provider": ("GET", "/auth/signed-in?state=x", {}),
    "a search for patients": ("GET", f"{WAY}/patient?name=x", {}),
    "the form of patients": ("POST", f"{WAY}/patient", {"data": FORM}),
    "the form of visits": ("POST", f"{WAY}/encounter", {"data": FORM}),
    "the form of consent": ("POST", f"{WAY}/consent", {"data": FORM}),
    "signing out": ("POST", "/auth/sign-out", {"data": FORM}),
    "the apps": ("GET", "/auth/apps", {}),
    "starting an app": ("POST", "/auth/apps", {"data": FORM}),
    "what was granted": ("GET", "/auth/manage", {}),
    "ending what was granted": ("POST", "/auth/manage", {"data": FORM}),
}
FOR_MACHINES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "tokens": ("POST", "/auth/token", {"data": FORM}),
    "introspection": ("POST", "/auth/introspect", {"data": FORM, "headers": {"authorization": f"Bearer {TOKEN}"}}),
    "revocation": ("POST", "/auth/revoke", {"data": FORM}),
    "a launch": ("POST", "/auth/launch", {"json": {"client_id": "nobody"}, **LAUNCHER}),
    "registration": ("POST", "/auth/register", {"json": {}}),
    "the clients": ("GET", "/auth/admin/clients", ADMIN),
    "a client by an address like a page's": ("GET", "/auth/admin/clients/https://x.example/apps", ADMIN),
    "a token explained": ("POST", "/auth/admin/token", {"json": {"token": TOKEN}, **ADMIN}),
    "a new key": ("POST", "/auth/admin/keys/rotate", ADMIN),
    "the door of Medplum": ("GET", "/fhir/ClientApplication/nobody/$smart-launch", LAUNCHER),
    "the door of Aidbox": ("POST", "/rpc", {
        "json": {"method": "aidbox.smart/get-launch-uri", "params": {"client": "nobody"}}, **LAUNCHER,
    }),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedded() -> AsyncIterator[RunningServer]:
    """A server whose pages an EHR shows in a frame."""
    async with run_smart_server(f"http://127.0.0.1:{free_port()}/fhir", change=change) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forgetful() -> AsyncIterator[RunningServer]:
    """The same server, with its store unavailable."""
    async with run_smart_server(f"http://127.0.0.1:{free_port()}/fhir", change=change) as running:
        assert running.gateway._smart_server is not None
        await running.gateway._smart_server.store.aclose()
        yield running


def change(settings: dict[str, Any]) -> None:
    settings["smart_server"] |= {"frame_ancestors": [EHR], "registration": True}


async def ask(server: RunningServer, method: str, path: str, options: dict[str, Any]) -> httpx2.Response:
    """A request from a browser or a program, with a meaningless cookie."""
    headers = {"cookie": "smart-session=x; smart-browser=x", **options.get("headers", {})}
    return await server.http.request(method, server.root + path, **{**options, "headers": headers})


def is_page_of(response: httpx2.Response, reason: str) -> bool:
    """Whether it is a page with the reason, which the EHR may show in a frame."""
    return (
        response.headers["content-type"] == "text/html; charset=utf-8"
        and f"<code>{reason}</code>" in response.text
        and f"frame-ancestors {EHR}" in response.headers["content-security-policy"]
    )


@pytest.mark.parametrize(("method", "path", "options"), FOR_PEOPLE.values(), ids=FOR_PEOPLE)
async def test_people_see_a_page_while_the_store_is_away(
    forgetful: RunningServer, method: str, path: str, options: dict[str, Any]
) -> None:
    response = await ask(forgetful, method, path, options)
    assert response.status_code == 503
    assert is_page_of(response, "store_unavailable")
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(("method", "path", "options"), FOR_MACHINES.values(), ids=FOR_MACHINES)
async def test_machines_read_json_while_the_store_is_away(
    forgetful: RunningServer, method: str, path: str, options: dict[str, Any]
) -> None:
    response = await ask(forgetful, method, path, options)
    assert response.status_code == 503
    assert response.json()["error"] == "temporarily_unavailable"
    assert response.headers["cache-control"] == "no-store"
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "options", "reason"),
    [
        ("GET", "/auth/authorize?client_id=nobody", {}, "client_unknown"),
        ("GET", WAY, {}, "request_over"),
        ("GET", f"{WAY}/patient", {}, "request_over"),
        ("POST", f"{WAY}/login", {"data": FORM}, "request_over"),
        ("GET", f"{WAY}/provider/0", {}, "request_over"),
        ("GET", "/auth/signed-in?state=x", {}, "login_foreign"),
        ("GET", "/auth/signed-in?state=%ff", {}, "login_failed"),
        ("GET", "/auth/sign-in/provider/0", {}, "provider_unknown"),
        ("POST", "/auth/sign-in", {"json": {}}, "form_malformed"),
        ("POST", "/auth/sign-out", {"data": FORM}, "form_foreign"),
    ],
)
async def test_what_an_endpoint_raises_for_people_is_a_page(
    embedded: RunningServer, method: str, path: str, options: dict[str, Any], reason: str
) -> None:
    response = await ask(embedded, method, path, options)
    assert response.status_code == 400
    assert is_page_of(response, reason)
