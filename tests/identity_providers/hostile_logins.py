"""Logins at the hostile provider."""

import time

from tests.identity_providers.browser_login import (
    leave_for_provider,
)
from tests.identity_providers.hostile_provider import HostileProvider
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer

SCOPE = "openid fhirUser launch/patient patient/Patient.rs"
NOBODY = "https://elsewhere.example"
NOW = int(time.time())


async def follow_provider_link(server: RunningServer, index: int) -> Page:
    """Click on the link to the provider with this index; the page that follows."""
    person = server.person()
    page = await person.open(server.app().authorization_url(SCOPE))
    return await person.open(f"{page.url}/provider/{index}")


async def log_in(
    server: RunningServer,
    hostile: HostileProvider,
    index: int = 0,
    *,
    scope: str = SCOPE,
    prompt: str | None = None,
    max_age: str | None = None,
) -> tuple[Person, Page]:
    """Log in at the provider; the person, and the page after the callback."""
    person = server.person()
    page = await person.open(server.app().authorization_url(scope, prompt=prompt, max_age=max_age))
    return person, await person.open(hostile.callback_url(await leave_for_provider(person, page, index)))
