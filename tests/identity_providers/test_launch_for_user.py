"""An EHR launch that names a user of an OpenID provider serves that user alone, who signs in there."""

from typing import Any

import pytest

from tests.identity_providers.browser_login import leave_for_provider
from tests.identity_providers.hostile_provider import HostileProvider, Tampering
from tests.smart_server.ehr_launcher import SCOPE, create_launch, post_launch
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer
from tests.smart_server.smart_app import App

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def log_in_for(
    server: RunningServer, app: App, hostile: HostileProvider, handle: str, sub: str
) -> tuple[Person, Page]:
    """Open the app with the launch, and sign in at the provider as this user."""
    person = server.person()
    page = await person.open(app.authorization_url(SCOPE, launch=handle))
    hostile.tampering = Tampering(claims={"sub": sub})
    return person, await person.open(hostile.callback_url(await leave_for_provider(person, page)))


@pytest.mark.parametrize("launcher", ["ehr", "trusted-ehr"])
async def test_a_launch_for_a_user_of_a_provider_serves_who_signs_in_there_as_that_user(
    server: RunningServer, hostile: HostileProvider, launcher: str
) -> None:
    """Nobody vouches for such a user: the provider says who it is, and which resource is theirs."""
    named = {"provider": hostile.issuer, "subject": "dora"}
    launch = await post_launch(server, launcher, user=named, context={"patient": "pat-a"})
    assert launch.status_code == 201, launch.text
    app = server.app()
    person, page = await log_in_for(server, app, hostile, launch.json()["launch"], "dora")
    page = await person.agree(page)
    tokens = (await app.exchange(page.parameters["code"])).json()
    assert tokens.get("patient") == "pat-a", tokens


async def test_a_launch_for_a_user_of_a_provider_serves_nobody_else(
    server: RunningServer, hostile: HostileProvider
) -> None:
    named = {"provider": hostile.issuer, "subject": "dora"}
    for sub in ("Dora", "somebody else", "dora "):
        handle = await create_launch(server, user=named, context={"patient": "pat-a"})
        _, page = await log_in_for(server, server.app(), hostile, handle, sub)
        assert page.parameters["error"] == "invalid_request"


@pytest.mark.parametrize(
    "user",
    [
        {"provider": "https://elsewhere.example", "subject": "dora"},
        {"provider": None, "subject": "dora"},
        {"provider": "", "subject": "dora"},
        {"provider": "{issuer}"},
        {"provider": "{issuer}", "subject": ""},
        {"provider": "{issuer}", "subject": 7},
        {"provider": "{issuer}", "subject": "dora", "fhirUser": "Practitioner/practitioner-1"},
        {"provider": "{issuer}/", "subject": "dora"},
    ],
    ids=str,
)
async def test_a_user_of_a_provider_who_is_not_named_as_it_must_be_is_refused(
    server: RunningServer, hostile: HostileProvider, user: dict[str, Any]
) -> None:
    provider = user["provider"]
    named = {**user, "provider": provider and provider.replace("{issuer}", hostile.issuer)}
    response = await post_launch(server, user=named)
    assert response.status_code == 400
    assert "user" in response.json()["problems"][0]
