"""Steps and checks for attacks on the pages."""

from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer

SCOPE = "openid patient/Observation.rs"


async def open_login_page(server: RunningServer, scope: str = SCOPE) -> tuple[Person, Page]:
    """Start a request; the user and the login page."""
    person = server.person()
    return person, await person.open(server.app().authorization_url(scope))


def is_refused(page: Page, reason: str) -> bool:
    """Whether the browser stays on an error page with this reason."""
    return page.left_for is None and page.status == 400 and reason in page.text


async def open_request(person: Person, server: RunningServer) -> Page:
    """Start another request in the same browser."""
    return await person.open(server.app().authorization_url(SCOPE))


async def sign_in_to_portal(server: RunningServer, user: str = "doctor") -> Person:
    """A user who has signed in to the portal."""
    person = server.person()
    page = await person.sign_in(await person.open(f"{server.issuer}/manage"), user)
    assert page.title.startswith("Apps with access")
    return person
