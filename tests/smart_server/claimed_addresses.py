"""A server behind a trusted proxy, so that tests come from any address."""

from collections.abc import Callable
from typing import Any

from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer


def behind_a_proxy(**smart_server: Any) -> Callable[[dict[str, Any]], None]:
    """A change of the settings: the tests are the trusted proxy. `smart_server` are settings of that section."""

    def change(settings: dict[str, Any]) -> None:
        settings["listen"] = {"trusted_proxies": ["127.0.0.1"]}
        settings["smart_server"] |= smart_server

    return change


def come_from(address: str) -> dict[str, str]:
    """The headers of a request from that address."""
    return {"x-forwarded-for": address}


def person_at(server: RunningServer, address: str) -> Person:
    """A person with a new browser at that address."""
    person = server.person()
    person.client.headers.update(come_from(address))
    return person


async def try_password(person: Person, server: RunningServer, username: str, password: str = "demo") -> Page:
    """One sign-in at the portal. A browser that is signed in signs in anew."""
    return await person.sign_in(await person.open(f"{server.issuer}/sign-in?to=manage"), username, password)


async def sign_in_from(server: RunningServer, address: str, username: str, password: str = "demo") -> Page:
    """One sign-in with a new browser at that address."""
    return await try_password(person_at(server, address), server, username, password)


def is_signed_in(page: Page) -> bool:
    """Whether the page is the one after the sign-in."""
    return page.status == 200 and page.url.endswith("/manage")


def has_to_wait(page: Page) -> bool:
    """Whether the page says, to people and to programs, that there were too many tries."""
    told = "Too many tries. Please wait" in page.text
    assert told == (page.status == 429) == ("retry-after" in page.headers)
    return told
