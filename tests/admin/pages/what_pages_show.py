"""What tests read of an admin page: its links, its notice, and what is wrong with its fields."""

import html
import re

from tests.admin.running_admin import RunningAdmin
from tests.pages.html_document import Document, parse_page
from tests.smart_server.person_in_browser import Page, Person


def document(page: Page) -> Document:
    """The elements of the page, which must be well formed."""
    return parse_page(page.html.encode())


def links(page: Page) -> list[str]:
    """Where the links of the page lead, without the sections of every page."""
    return [
        link.get("href")
        for link in document(page).all("a")
        if link.ancestor("nav") is None and not link.get("href").startswith("#")
    ]


def notice(page: Page) -> str:
    """What the page says that has been done."""
    said = [element.text.strip() for element in document(page).elements if element.get("class") == "notice"]
    return " ".join(said)


def problem_of(page: Page, field: str) -> str:
    """What is wrong with a field."""
    return document(page).by_id(f"problem-{field}").text.strip()


def heading(page: Page) -> str:
    """The first heading, without badges."""
    text = re.sub(r"\s+", " ", document(page).one("h1").text)
    return text.strip()


def main_text(page: Page) -> str:
    """The text of the page without what stands around it; there is a space between elements."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.html[page.html.index("<main") :])).split())


async def confirm(admin: RunningAdmin, person: Person, path: str, **fields: str) -> Page:
    """Open the page that asks, and say yes."""
    page = await admin.open(person, path)
    assert page.status == 200, page.text
    return await person.submit(page, path.partition("?")[0], **fields)
