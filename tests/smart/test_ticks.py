"""What a person ticked on a consent page is ticked when the page has to be shown to them once more."""

import re
from dataclasses import dataclass
from html import unescape

import pytest

from tests.smart.admin import administer, register
from tests.smart.app import App
from tests.smart.house import House
from tests.smart.person import Page, Person

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
class Shown:
    """A consent page that was answered with `ANSWERS` and is shown again: the app may have less than it was told."""

    app: App
    person: Person
    page: Page

    @property
    def way(self) -> str:
        """The address of the request under way."""
        return self.page.form("/consent").action.removesuffix("/consent")

    async def sign_in(self, user: str) -> Page:
        """Sign in within the same request, as from a page that is still open in another tab."""
        csrf = self.page.form("/consent").value("csrf") or ""
        return await self.person.go(
            f"{self.way}/login", data=[("csrf", csrf), ("username", user), ("password", "demo")]
        )


async def shown_again(house: House, client_id: str) -> Shown:
    """The first line goes, so that all the others stand in another place than where they were answered."""
    await register(house, client_id)
    app = house.app(client_id)
    person, page = await house.consent_page(app, SCOPE)
    assert lines_of(page)[0] == "openid"
    uses: dict[str, str | list[str]] = {}
    for index, scope in enumerate(lines_of(page)):
        use, *parts = ANSWERS.get(scope, [""])
        uses |= {f"use-{index}": use, f"part-{index}": [*parts, "patient/*.rs", "nonsense"]}
    await administer(house, "DELETE", f"/clients/{client_id}")
    await register(house, client_id, scopes=SCOPE.removeprefix("openid "))
    page = await person.send(page, "/consent", decision="allow", remember="yes", **uses)
    assert "Please look again." in page.text
    return Shown(app, person, page)


def lines_of(page: Page) -> list[str]:
    """The scopes of the page in order, from the list for technical readers."""
    return [unescape(one) for one in re.findall(r"<li><code><bdi>(.*?)</bdi></code></li>", page.html)]


def ticked(page: Page) -> dict[str, list[str]]:
    """What is ticked beforehand in the line of each scope."""
    found: dict[str, list[str]] = {}
    for name, value in page.form("/consent").fields:
        if name.startswith(("use-", "part-")):
            found.setdefault(lines_of(page)[int(name.partition("-")[2])], []).append(value)
    return found


@pytest.mark.requirement("BP-7", "edge-56")
async def test_a_page_that_is_shown_again_has_the_ticks_of_the_person_and_means_them(house: House) -> None:
    shown = await shown_again(house, "ticks-of-a-person")
    assert ticked(shown.page) == ANSWERS
    assert shown.page.form("/consent").value("remember") == "yes"
    looked_at = await shown.person.go(shown.way)
    assert ticked(looked_at) == ANSWERS, "and when it is only looked at"
    answer = await shown.person.send(looked_at, "/consent", decision="allow")
    tokens = (await shown.app.exchange(answer.parameters["code"])).json()
    assert set(tokens["scope"].split()) == {"launch/patient", "patient/Patient.rs", LABORATORY}


async def test_they_are_kept_for_another_patient(house: House) -> None:
    shown = await shown_again(house, "ticks-for-another-patient")
    picker = await shown.sign_in("doctor")
    early = await shown.person.send(shown.page, "/consent", decision="allow", **{"use-0": "all", "use-1": "all"})
    assert early.form("/patient").action, "an answer to a page that is not the next one counts for nothing"
    page = await shown.person.choose(picker, "pat-b")
    assert ticked(page) == ANSWERS
    answer = await shown.person.send(page, "/consent", decision="allow")
    assert (await shown.app.exchange(answer.parameters["code"])).json()["patient"] == "pat-b"


async def test_they_are_nobody_elses(house: House) -> None:
    shown = await shown_again(house, "ticks-of-somebody-else")
    page = await shown.person.choose(await shown.sign_in("nurse"), "pat-a")
    assert ticked(page) == {scope: ["all"] for scope in ANSWERS}
    assert shown.page.form("/consent").value("remember") == "yes"
    assert page.form("/consent").value("remember") is None


async def test_another_request_of_the_app_begins_without_them(house: House) -> None:
    shown = await shown_again(house, "ticks-of-one-request")
    _, page = await house.consent_page(shown.app, SCOPE, person=shown.person)
    assert ticked(page) == {scope: ["all"] for scope in ANSWERS}
