"""Sessions of administrators who signed in at an OpenID provider: they end with what ends all sessions of that user."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import pytest_asyncio

from gateway.telemetry.server_event import EventKind
from tests.admin.running_admin import RunningAdmin, run_admin
from tests.identity_providers.browser_login import with_providers
from tests.identity_providers.hostile_provider import HostileProvider, Tampering, hostile_provider
from tests.proxy.lenient_server import lenient_server

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[HostileProvider]:
    """A provider that tells roles."""
    async with hostile_provider() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(provider: HostileProvider) -> AsyncIterator[RunningAdmin]:
    """An admin port whose operators have the role `gateway-operator` there."""

    def change(settings: dict[str, Any]) -> None:
        with_providers(provider.root)(settings)
        settings["smart_server"]["identity_providers"][0]["roles_claim"] = "roles"
        settings["admin"]["base_url"] = f"http://127.0.0.1:{settings['admin']['port']}"
        settings["admin"]["provider"] = {"issuer": provider.root, "operator_roles": ["gateway-operator"]}

    patient = {"resourceType": "Patient", "id": "pat-a"}
    async with lenient_server(patient) as upstream, run_admin(upstream.base_url, change=change) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def browser(admin: RunningAdmin, provider: HostileProvider) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser in which the provider's user Dora has signed in as an operator."""
    provider.impersonate(0)
    provider.tampering = Tampering(claims={"roles": ["gateway-operator"]})
    async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
        left = await client.get(f"{admin.url}/sign-in/provider")
        back = await client.get(provider.callback_url(left.headers["location"]))
        assert back.status_code == 200, back.text
        yield client


async def status(admin: RunningAdmin, browser: httpx2.AsyncClient) -> int:
    """The status of a look at the own session: 200 as long as it lasts."""
    return (await browser.get(f"{admin.url}/api/session")).status_code


async def test_the_audit_log_names_the_user_of_the_provider(
    admin: RunningAdmin, provider: HostileProvider, browser: httpx2.AsyncClient
) -> None:
    shown = (await browser.get(f"{admin.url}/api/session")).json()
    assert (shown["role"], shown["origin"]) == ("operator", "provider")
    changed = await browser.post(f"{admin.url}/api/keys", headers={"x-csrf-token": shown["csrf"]})
    assert changed.status_code == 201
    signed_in = [event for event in admin.server.telemetry.events if event.kind is EventKind.ADMIN_SIGNED_IN][-1]
    rotated = admin.server.telemetry.events[-1]
    assert rotated.administrator == signed_in.administrator == shown["name"]
    assert shown["name"].startswith("Dr Dora Demo (")
    assert signed_in.reason == provider.root


async def test_a_user_who_is_disabled_administers_nothing_any_more(
    admin: RunningAdmin, provider: HostileProvider, browser: httpx2.AsyncClient
) -> None:
    assert await status(admin, browser) == 200
    of_provider = f"?provider={quote(provider.root, safe='')}"
    assert (await admin.call("POST", f"/users/dora/disable{of_provider}")).status_code == 204
    assert await status(admin, browser) == 401
    left = await browser.get(f"{admin.url}/sign-in/provider")
    await browser.get(provider.callback_url(left.headers["location"]))
    assert await status(admin, browser) == 401
    assert (await admin.call("POST", f"/users/dora/enable{of_provider}")).status_code == 204


async def test_the_provider_ends_the_session_when_its_user_signs_out(
    admin: RunningAdmin, provider: HostileProvider, browser: httpx2.AsyncClient
) -> None:
    assert await status(admin, browser) == 200
    logout = {"logout_token": provider.logout_token()}
    response = await admin.server.http.post(f"{admin.server.issuer}/backchannel-logout", data=logout)
    assert response.status_code == 200, response.text
    assert await status(admin, browser) == 401


async def test_the_session_is_one_of_that_user_and_is_ended_as_such(
    admin: RunningAdmin, provider: HostileProvider, browser: httpx2.AsyncClient
) -> None:
    query = f"?user=dora&provider={quote(provider.root, safe='')}"
    [session] = (await admin.call("GET", f"/sessions{query}")).json()["sessions"]
    assert session["name"] == "Dr Dora Demo"
    assert (await admin.call("DELETE", f"/sessions/{session['session_id']}")).status_code == 204
    assert await status(admin, browser) == 401
