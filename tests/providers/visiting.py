"""The way of a browser to a provider and back, and whether somebody is signed in after it."""

from typing import Any

from tests.smart.house import House
from tests.smart.person import Page, Person

CLIENT_ID, CLIENT_SECRET = "smart:gateway", "a +secret/with:every%kind&of=sign"
"""With characters that HTTP Basic would carry wrongly unless they are encoded first (RFC 6749 2.3.1)."""


def signing_in_at(*issuers: str, local_users: bool = False, **changes: Any) -> Any:
    """A change of the house's settings: people sign in at the issuers, and here only if `local_users` says so."""

    def change(settings: dict[str, Any]) -> None:
        server = settings["smart_server"]
        provider = {"name": "The Clinic", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **changes}
        server["identity_providers"] = [{"issuer": issuer, **provider} for issuer in issuers]
        if not local_users:
            server["users"] = []

    return change


async def depart(person: Person, page: Page, index: int = 0) -> str:
    """Follow the link of the sign-in page; the address at the provider."""
    link = f"{page.url.partition('?')[0]}/provider/{index}"
    assert link in page.html, page.text
    away = await person.go(link)
    assert away.left_for is not None, away.text
    return away.left_for


async def is_signed_in(house: House, person: Person) -> bool:
    """Whether the browser has a session here."""
    page = await person.go(f"{house.issuer}/manage")
    return "sign-in" not in page.url


def reason_of(page: Page) -> str:
    """The stable word on an error page."""
    assert page.left_for is None, page.left_for
    return page.html.rpartition("<dd><code>")[2].partition("</code>")[0]
