"""Ticks on a consent page are kept when the page is shown to the same user again."""

import re
from dataclasses import dataclass
from html import unescape

import pytest

from tests.smart_server.admin_client import admin_request, register_client, replace_client
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer
from tests.smart_server.smart_app import App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "openid offline_access patient/Patient.rs patient/Observation.rs patient/Condition.rs"
LABORATORY = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
ANSWERS = {
    "offline_access": ["none"],
    "patient/Patient.rs": ["all"],
    "patient/Observation.rs": ["some", LABORATORY],
    "patient/Condition.rs": ["none"],
}


@dataclass
class AnsweredConsentPage:
    """A consent page that was posted with `ANSWERS` and is shown again, because the app can now be given less."""

    app: App
    person: Person
    page: Page

    @property
    def request_url(self) -> str:
        """The URL of the authorization request."""
        return self.page.form("/consent").action.removesuffix("/consent")

    async def sign_in(self, user: str) -> Page:
        """Sign in to the same request, as from a page in another tab."""
        csrf = self.page.form("/consent").value("csrf") or ""
        return await self.person.open(
            f"{self.request_url}/login", data=[("csrf", csrf), ("username", user), ("password", "demo")]
        )


async def open_page_shown_again(server: RunningServer, client_id: str) -> AnsweredConsentPage:
    """Remove the first row, so that all others have another index than when they were posted."""
    await register_client(server, client_id)
    app = server.app(client_id)
    person, page = await server.open_consent_page(app, SCOPE)
    assert scopes_on_page(page)[0] == "openid"
    uses: dict[str, str | list[str]] = {}
    for index, scope in enumerate(scopes_on_page(page)):
        use, *parts = ANSWERS.get(scope, [""])
        uses |= {f"use-{index}": use, f"part-{index}": [*parts, "patient/*.rs", "nonsense"]}
    await admin_request(server, "DELETE", f"/clients/{client_id}")
    await replace_client(server, client_id, scopes=SCOPE.removeprefix("openid "))
    page = await person.submit(page, "/consent", decision="allow", remember="yes", **uses)
    assert "Please look again." in page.text
    return AnsweredConsentPage(app, person, page)


def scopes_on_page(page: Page) -> list[str]:
    """The scopes of the page in order, from its list for technical readers."""
    return [unescape(scope) for scope in re.findall(r"<li><code><bdi>(.*?)</bdi></code></li>", page.html)]


def ticked_choices(page: Page) -> dict[str, list[str]]:
    """What is preselected in the row of each scope."""
    ticked: dict[str, list[str]] = {}
    for name, value in page.form("/consent").fields:
        if name.startswith(("use-", "part-")):
            ticked.setdefault(scopes_on_page(page)[int(name.partition("-")[2])], []).append(value)
    return ticked


@pytest.mark.requirement("BP-7", "edge-56")
async def test_a_page_that_is_shown_again_has_the_ticks_of_the_person_and_means_them(server: RunningServer) -> None:
    shown = await open_page_shown_again(server, "ticks-of-a-person")
    assert ticked_choices(shown.page) == ANSWERS
    assert shown.page.form("/consent").value("remember") == "yes"
    looked_at = await shown.person.open(shown.request_url)
    assert ticked_choices(looked_at) == ANSWERS, "and when it is only looked at"
    answer = await shown.person.submit(looked_at, "/consent", decision="allow")
    tokens = (await shown.app.exchange(answer.parameters["code"])).json()
    assert set(tokens["scope"].split()) == {"launch/patient", "patient/Patient.rs", LABORATORY}


async def test_they_are_kept_for_another_patient(server: RunningServer) -> None:
    shown = await open_page_shown_again(server, "ticks-for-another-patient")
    picker = await shown.sign_in("doctor")
    early = await shown.person.submit(shown.page, "/consent", decision="allow", **{"use-0": "all", "use-1": "all"})
    assert early.form("/patient").action, "an answer to a page that is not the next one counts for nothing"
    page = await shown.person.choose_patient(picker, "pat-b")
    assert ticked_choices(page) == ANSWERS
    answer = await shown.person.submit(page, "/consent", decision="allow")
    assert (await shown.app.exchange(answer.parameters["code"])).json()["patient"] == "pat-b"


async def test_they_are_nobody_elses(server: RunningServer) -> None:
    shown = await open_page_shown_again(server, "ticks-of-somebody-else")
    page = await shown.person.choose_patient(await shown.sign_in("nurse"), "pat-a")
    assert ticked_choices(page) == {scope: ["all"] for scope in ANSWERS if scope != "offline_access"}
    assert shown.page.form("/consent").value("remember") == "yes"
    assert page.form("/consent").value("remember") is None


async def test_another_request_of_the_app_begins_without_them(server: RunningServer) -> None:
    shown = await open_page_shown_again(server, "ticks-of-one-request")
    _, page = await server.open_consent_page(shown.app, SCOPE, person=shown.person)
    assert ticked_choices(page) == {scope: ["all"] for scope in ANSWERS if scope != "offline_access"}
