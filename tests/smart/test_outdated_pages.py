"""Two tabs in one request for access: an answer counts only for what its page showed, and else for nothing."""

import asyncio
from dataclasses import dataclass

import pytest

from gateway.oauth.authorization import User
from gateway.web.smart.directory import Directory, Found
from tests.smart.admin import administer, register
from tests.smart.app import App
from tests.smart.house import House
from tests.smart.launcher import launch
from tests.smart.person import Page, Person

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "openid patient/Observation.rs patient/Condition.rs"
ANOTHER_USER = "Somebody else has signed in since you opened this page. Please look again."
ANOTHER_PATIENT = "The patient has changed since you opened this page. Please look again."
ANOTHER_VISIT = "The visit has changed since you opened this page. Please look again."
ANOTHER_APP = "What the app says of itself has changed since you opened this page. Please look again."
ANOTHER_OFFER = "What the app can be given has changed. Please look again."


@dataclass
class Tabs:
    """One browser with two tabs in the same request: `login` is the page that a tab still shows from its beginning."""

    app: App
    person: Person
    login: Page

    async def sign_in(self, user: str = "doctor") -> Page:
        """Sign in from the login page that is still open; the step that follows."""
        return await self.person.sign_in(self.login, user)

    async def choose(self, patient: str, user: str = "doctor") -> Page:
        """Sign in from there and choose that patient; the step that follows."""
        return await self.person.choose(await self.sign_in(user), patient)

    async def visit(self, encounter: str, patient: str = "pat-a") -> Page:
        """Choose that visit as well."""
        page = await self.choose(patient)
        return await self.person.send(page, "/encounter", encounter=encounter, decision="choose")

    async def granted(self, page: Page) -> dict[str, str]:
        """What the app is told once the consent page is agreed to."""
        page = await self.person.agree(page)
        return dict((await self.app.exchange(page.parameters["code"])).json())


async def tabs(house: House, scope: str = SCOPE, client_id: str = "public-app", **changes: str) -> Tabs:
    """A request at its login page, to be gone on with in one tab and the other."""
    app, person = house.app(client_id), house.person()
    return Tabs(app, person, await person.go(app.authorization_url(scope, **changes)))


def shown(page: Page, problem: str, *words: str) -> bool:
    """Whether the browser stayed, on a page that says this and names those."""
    return page.left_for is None and page.status == 200 and all(one in page.text for one in (problem, *words))


# The consent page.


@pytest.mark.requirement("G-2", "edge-45")
async def test_a_page_for_one_patient_grants_nothing_for_another(house: House) -> None:
    browser = await tabs(house)
    page = await browser.choose("pat-a")
    assert "Berta" not in page.text
    await browser.choose("pat-b")
    answer = await browser.person.agree(page)
    assert shown(answer, ANOTHER_PATIENT, "Berta")
    assert "Gale" not in answer.text
    assert (await browser.granted(answer))["patient"] == "pat-b", "whom the last page showed"


@pytest.mark.requirement("G-2")
async def test_a_page_of_one_user_grants_nothing_of_another(house: House) -> None:
    browser = await tabs(house)
    page = await browser.choose("pat-a")
    await browser.choose("pat-a", "nurse")
    assert shown(await browser.person.agree(page), ANOTHER_USER, "Nina Nurse")


@pytest.mark.requirement("G-2")
async def test_a_page_of_a_clinician_grants_nothing_of_a_patient_who_is_that_patient(house: House) -> None:
    browser = await tabs(house)
    page = await browser.choose("pat-a")
    await browser.sign_in("patient")
    assert shown(await browser.person.agree(page), ANOTHER_USER, "Share your records")


@pytest.mark.requirement("G-2", "S-2")
async def test_a_page_for_one_visit_grants_nothing_for_another(house: House) -> None:
    browser = await tabs(house, f"launch/patient launch/encounter {SCOPE}")
    visit = (await browser.choose("pat-a")).form("/encounter").choices["encounter"][0]
    page = await browser.visit(visit)
    await browser.visit("")
    answer = await browser.person.agree(page)
    assert shown(answer, ANOTHER_VISIT)
    assert "encounter" not in await browser.granted(answer)


@pytest.mark.requirement("A-3")
@pytest.mark.parametrize("told", ["name", "purpose", "logo"])
async def test_a_page_that_names_one_app_grants_nothing_to_what_it_has_become(house: House, told: str) -> None:
    client_id = f"app-of-another-{told}"
    await register(house, client_id, purpose="Draws.")
    browser = await tabs(house, client_id=client_id)
    page = await browser.choose("pat-a")
    await administer(house, "DELETE", f"/clients/{client_id}")
    await register(house, client_id, **{"purpose": "Draws.", told: "https://logos.example/another.png"})
    assert shown(await browser.person.agree(page), ANOTHER_APP)


@pytest.mark.requirement("edge-45", "edge-56")
async def test_lines_are_never_taken_for_those_of_a_newer_page(house: House) -> None:
    """The first line goes, and another tab shows what is left: every answer would be taken for its neighbour's."""
    await register(house, "app-of-fewer-lines")
    browser = await tabs(house, "patient/Observation.rs patient/Condition.rs", "app-of-fewer-lines")
    page = await browser.choose("pat-a")
    await administer(house, "DELETE", "/clients/app-of-fewer-lines")
    await register(house, "app-of-fewer-lines", scopes="patient/Condition.rs")
    await browser.person.go(page.form("/consent").action.removesuffix("/consent"))
    answer = await browser.person.send(page, "/consent", decision="allow", **{"use-0": "all", "use-1": "none"})
    assert shown(answer, ANOTHER_OFFER)


async def test_what_was_ticked_for_one_patient_is_ticked_for_the_other(house: House) -> None:
    browser = await tabs(house)
    page = await browser.choose("pat-a")
    await browser.choose("pat-b")
    uses = {"use-1": "none", "use-2": "all"}
    answer = await browser.person.send(page, "/consent", decision="allow", **uses)
    assert {name: answer.form("/consent").value(name) for name in uses} == uses
    await browser.choose("pat-a", "nurse")
    answer = await browser.person.send(page, "/consent", decision="allow", **uses)
    assert answer.form("/consent").value("use-1") == "all", "but not for somebody else"


async def test_a_page_whose_request_went_back_leads_to_where_it_is_and_says_why(house: House) -> None:
    browser = await tabs(house)
    page = await browser.choose("pat-a")
    await browser.sign_in()
    answer = await browser.person.agree(page)
    assert shown(answer, ANOTHER_PATIENT)
    assert answer.form("/patient").action


async def test_a_page_that_shows_what_holds_now_counts_whatever_happened_meanwhile(house: House) -> None:
    browser = await tabs(house)
    page = await browser.choose("pat-a")
    await browser.choose("pat-b", "nurse")
    await browser.choose("pat-a")
    assert (await browser.granted(page))["patient"] == "pat-a"


async def test_saying_no_counts_whatever_happened_meanwhile(house: House) -> None:
    browser = await tabs(house)
    page = await browser.choose("pat-a")
    await browser.choose("pat-b", "nurse")
    answer = await browser.person.send(page, "/consent", decision="deny")
    assert answer.parameters["error"] == "access_denied"


# The pickers. Our own app is asked about nothing: what is chosen there is granted at once.


@pytest.mark.requirement("G-2", "S-5")
async def test_nobody_chooses_a_patient_for_somebody_else(house: House) -> None:
    browser = await tabs(house, client_id="house-app")
    page = await browser.sign_in("doctor")
    await browser.sign_in("nurse")
    answer = await browser.person.choose(page, "pat-b")
    assert shown(answer, ANOTHER_USER)
    assert "code" in (await browser.person.choose(answer, "pat-b")).parameters


@pytest.mark.requirement("G-2", "S-2")
@pytest.mark.parametrize(
    ("patient", "user", "why"), [("pat-b", "doctor", ANOTHER_PATIENT), ("pat-a", "nurse", ANOTHER_USER)]
)
async def test_nobody_chooses_a_visit_for_another_patient_or_user(
    house: House, patient: str, user: str, why: str
) -> None:
    browser = await tabs(house, f"launch/patient launch/encounter {SCOPE}", "house-app")
    page = await browser.choose("pat-a")
    await browser.choose(patient, user)
    answer = await browser.person.send(page, "/encounter", encounter="", decision="choose")
    assert shown(answer, why)
    assert answer.form("/encounter").action


@pytest.mark.requirement("S-5")
async def test_a_patient_is_chosen_once_and_a_second_click_leads_to_the_step_that_follows(house: House) -> None:
    browser = await tabs(house)
    page = await browser.sign_in()
    consent = await browser.person.choose(page, "pat-a")
    for patient in ("pat-a", "pat-b"):
        answer = await browser.person.choose(page, patient)
        assert shown(answer, ANOTHER_PATIENT)
        assert answer.form("/consent").action
    assert (await browser.granted(consent))["patient"] == "pat-a"


@pytest.mark.requirement("E-4", "G-2")
@pytest.mark.parametrize(("first", "second"), [("doctor", "nurse"), ("patient", "doctor")])
async def test_a_launch_without_a_patient_keeps_none_for_the_next_user(house: House, first: str, second: str) -> None:
    handle = await launch(house)
    browser = await tabs(house, "launch launch/patient patient/Observation.rs", launch=handle)
    page = await browser.sign_in(first)
    if first == "doctor":
        page = await browser.person.choose(page, "pat-a")
    assert page.form("/consent").action
    assert (await browser.sign_in(second)).form("/patient").action


@pytest.mark.requirement("E-4", "G-2")
async def test_a_launch_with_a_patient_keeps_it_for_the_next_user(house: House) -> None:
    handle = await launch(house, context={"patient": "pat-a"})
    browser = await tabs(house, "launch patient/Observation.rs", launch=handle)
    page = await browser.sign_in("doctor")
    await browser.sign_in("nurse")
    answer = await browser.person.agree(page)
    assert shown(answer, ANOTHER_USER)
    assert (await browser.granted(answer))["patient"] == "pat-a"


# A page that is slow.


@pytest.mark.requirement("S-6", "edge-45")
async def test_a_request_that_was_answered_is_not_brought_back_by_a_page_that_was_slow(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patients are looked for in one tab while the person says no in the other."""
    browser = await tabs(house)
    page = await browser.sign_in()
    real, asked, go = Directory.patients, asyncio.Event(), asyncio.Event()

    async def slow(directory: Directory, user: User, name: str) -> tuple[list[Found], bool]:
        asked.set()
        await go.wait()
        return await real(directory, user, name)

    with monkeypatch.context() as during:
        during.setattr(Directory, "patients", slow)
        search = asyncio.ensure_future(browser.person.go(page.url))
        await asked.wait()
        answer = await browser.person.send(page, "/patient", decision="cancel")
        go.set()
        found = await search
    assert answer.parameters["error"] == "access_denied"
    assert "request_over" in found.html
    assert "request_over" in (await browser.person.go(page.url)).html
