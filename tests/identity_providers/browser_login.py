"""Steps of a login at a provider in a browser."""

from typing import Any

from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer

CLIENT_ID, CLIENT_SECRET = "smart:gateway", "a +secret/with:every%kind&of=sign"
"""With characters that must be encoded before they are used in HTTP Basic (RFC 6749 2.3.1)."""


def with_providers(*issuers: str, local_users: bool = False, **changes: Any) -> Any:
    """A change of settings: users sign in at these issuers, and with a password only if `local_users`."""

    def change(settings: dict[str, Any]) -> None:
        server = settings["smart_server"]
        provider = {"name": "The Clinic", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **changes}
        server["identity_providers"] = [{"issuer": issuer, **provider} for issuer in issuers]
        if not local_users:
            server["users"] = []

    return change


async def leave_for_provider(person: Person, page: Page, index: int = 0) -> str:
    """Follow the link on the login page; the URL at the provider."""
    link = f"{page.url.partition('?')[0]}/provider/{index}"
    assert link in page.html, page.text
    redirected = await person.open(link)
    assert redirected.left_for is not None, redirected.text
    return redirected.left_for


async def is_signed_in(server: RunningServer, person: Person) -> bool:
    """Whether the browser has a session of the gateway."""
    page = await person.open(f"{server.issuer}/manage")
    return "sign-in" not in page.url


def reason_of(page: Page) -> str:
    """The reason on an error page."""
    assert page.left_for is None, page.left_for
    return page.html.rpartition("<dd><code>")[2].partition("</code>")[0]
