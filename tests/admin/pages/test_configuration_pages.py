"""The pages of the configuration, in front of a real process: reload, refusal of broken files, and the way back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.admin.pages.what_pages_show import document, heading, links, main_text, notice
from tests.admin.running_admin import AUDITOR, OPERATOR, PASSWORD
from tests.commands.reload.changed_process import read_settings, write_settings
from tests.commands.serving_process import ServingProcess, serving_process
from tests.proxy.lenient_server import lenient_server
from tests.servers.ports import free_port
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import PASSWORD_HASH

PATIENT = {"resourceType": "Patient", "id": "A"}


@dataclass
class AdminInBrowser:
    """A serving process, and an operator at its admin port."""

    process: ServingProcess
    url: str
    person: Person

    async def open(self, path: str) -> Page:
        return await self.person.open(self.url + path)

    async def carry_out(self, path: str) -> Page:
        return await self.person.submit(await self.open(path), path)

    async def version(self) -> str:
        """The version in force, as the page says."""
        return document(await self.open("/configuration")).all("dd")[0].text.strip()


@pytest.fixture
async def operator() -> AsyncIterator[AdminInBrowser]:
    port = free_port()
    accounts = [
        {"name": name, "password_hash": PASSWORD_HASH, "role": role}
        for name, role in ((OPERATOR, "operator"), (AUDITOR, "auditor"))
    ]
    settings = {
        "reload": {"watch_seconds": None},
        "smart_server": {},
        "admin": {"port": port, "accounts": accounts},
    }
    async with lenient_server(PATIENT) as upstream, serving_process(upstream.base_url, settings) as process:
        url = f"http://127.0.0.1:{port}"
        person = Person(url)
        await person.sign_in(await person.open(f"{url}/sign-in"), OPERATOR, PASSWORD)
        yield AdminInBrowser(process, url, person)
        await person.aclose()


async def test_changed_files_come_into_force_and_there_is_a_way_back(operator: AdminInBrowser) -> None:
    before = await operator.version()
    write_settings(operator.process, log_level="warning")
    asked = await operator.open("/configuration/reload")
    assert "If something is wrong with them, nothing changes." in main_text(asked)
    page = await operator.person.submit(asked, "/configuration/reload")
    assert notice(page) == "The configuration was read again, and is in force everywhere."
    after = await operator.version()
    assert after != before
    assert f"The one before {before}" in main_text(page)
    assert "log_level: warning" in main_text(page)
    assert f"{after} In force since" in main_text(page)
    again = await operator.person.submit(asked, "/configuration/reload")
    assert (again.status, "has changed since the page was shown" in main_text(again)) == (409, True)
    assert "/configuration/roll-back" in links(page)
    page = await operator.carry_out("/configuration/roll-back")
    assert notice(page) == "The earlier configuration is in force again."
    assert await operator.version() == before
    assert "/configuration/roll-back" not in links(page)
    assert "The files are not in force as they are now" in main_text(page)


async def test_files_that_have_not_changed_are_said_to_be_the_same(operator: AdminInBrowser) -> None:
    page = await operator.carry_out("/configuration/reload")
    assert notice(page) == "The configuration was read again. Nothing in it has changed."


async def test_broken_files_change_nothing_and_their_problem_is_shown(operator: AdminInBrowser) -> None:
    before = await operator.version()
    write_settings(operator.process, log_level="loud")
    page = await operator.carry_out("/configuration/reload")
    assert page.status == 422
    assert "log_level: must be" in main_text(page)
    assert await operator.version() == before
    page = await operator.open("/configuration")
    assert "Why the files are not in force" in main_text(page)
    assert "log_level: must be" in main_text(page)


async def test_whoever_loses_their_role_by_a_reload_changes_nothing_more(operator: AdminInBrowser) -> None:
    asked = await operator.open("/keys/rotate")
    admin = read_settings(operator.process)["admin"]
    accounts = [{**account, "role": "auditor"} for account in admin["accounts"]]
    write_settings(operator.process, admin={**admin, "accounts": accounts})
    await operator.carry_out("/configuration/reload")
    page = await operator.open("/keys")
    assert heading(page) in {"Keys", "Sign in"}
    assert "/keys/rotate" not in links(page)
    refused = await operator.person.submit(asked, "/keys/rotate")
    assert refused.status == 403
