"""Login to the portal at a hostile provider."""

import pytest
from starlette.responses import Response

from tests.identity_providers.browser_login import (
    is_signed_in,
    reason_of,
)
from tests.identity_providers.hostile_logins import NOBODY
from tests.identity_providers.hostile_provider import HostileProvider, Tampering
from tests.smart_server.person_in_browser import Person
from tests.smart_server.running_server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def leave_portal_for_provider(server: RunningServer, person: Person, target: str = "manage") -> str:
    """Leave the login page of the portal for the provider; the URL there."""
    page = await person.open(f"{server.issuer}/{target}")
    assert f"/sign-in/provider/0?to={target}" in page.html
    redirected = await person.open(f"{server.issuer}/sign-in/provider/0?to={target}")
    assert redirected.left_for is not None, redirected.text
    return redirected.left_for


@pytest.mark.parametrize("target", ["manage", "apps"])
async def test_our_own_pages_are_reached_through_it_as_well(
    server: RunningServer, hostile: HostileProvider, target: str
) -> None:
    person = server.person()
    page = await person.open(hostile.callback_url(await leave_portal_for_provider(server, person, target)))
    assert page.url == f"{server.issuer}/{target}"
    assert "Dr Dora Demo" in page.text


async def test_the_way_to_our_own_pages_serves_its_browser_once(
    server: RunningServer, hostile: HostileProvider
) -> None:
    person, thief = server.person(), server.person()
    await leave_portal_for_provider(server, thief)
    callback = hostile.callback_url(await leave_portal_for_provider(server, person))
    assert reason_of(await thief.open(callback)) == "login_foreign"
    assert not await is_signed_in(server, thief)
    assert reason_of(await person.open(callback)) == "login_foreign", "somebody has shown it already"


async def test_a_browser_that_never_saw_the_sign_in_page_is_shown_it(
    server: RunningServer, hostile: HostileProvider
) -> None:
    page = await server.person().open(f"{server.issuer}/sign-in/provider/0?to=https://elsewhere.example")
    assert page.url == f"{server.issuer}/sign-in?to=apps"
    assert hostile.requested_documents == []


@pytest.mark.parametrize(
    ("lies", "reason"),
    [
        (Tampering(claims={"nonce": "another"}), "provider_not_believed"),
        (Tampering(callback={"iss": NOBODY}), "provider_not_believed"),
        (Tampering(responses={"token": Response("no", 500)}), "provider_unavailable"),
    ],
    ids=["another login", "another issuer", "no answer"],
)
async def test_no_lie_leads_to_our_own_pages(
    server: RunningServer, hostile: HostileProvider, lies: Tampering, reason: str
) -> None:
    hostile.tampering = lies
    person = server.person()
    page = await person.open(hostile.callback_url(await leave_portal_for_provider(server, person)))
    assert reason_of(page) == reason
    assert not await is_signed_in(server, person)


async def test_who_declines_there_may_choose_again_here(server: RunningServer, hostile: HostileProvider) -> None:
    hostile.tampering = Tampering(callback={"code": None, "error": "access_denied"})
    person = server.person()
    page = await person.open(hostile.callback_url(await leave_portal_for_provider(server, person)))
    assert page.url == f"{server.issuer}/sign-in?to=manage"
