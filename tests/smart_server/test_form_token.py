"""Two tabs in one authorization request: a form counts only for what its page showed."""

import asyncio
from dataclasses import dataclass

import pytest

from gateway.oauth.authorization import User
from gateway.smart_server.patients.patient_directory import PatientDirectory, PickerEntry
from tests.smart_server.admin_client import admin_request, register_client, replace_client
from tests.smart_server.ehr_launcher import create_launch
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer
from tests.smart_server.smart_app import App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "openid patient/Observation.rs patient/Condition.rs"
ANOTHER_USER = "Somebody else has signed in since you opened this page. Please look again."
ANOTHER_PATIENT = "The patient has changed since you opened this page. Please look again."
ANOTHER_VISIT = "The visit has changed since you opened this page. Please look again."
ANOTHER_APP = "The description of the app has changed since you opened this page. Please look again."
ANOTHER_OFFER = "What the app can be given has changed. Please look again."


@dataclass
class TwoTabs:
    """One browser with two tabs in the same request. `login` is the first page, which one tab still shows."""

    app: App
    person: Person
    login: Page

    async def sign_in(self, user: str = "doctor") -> Page:
        """Sign in from the login page that is still open; the next step."""
        return await self.person.sign_in(self.login, user)

    async def choose_patient(self, patient: str, user: str = "doctor") -> Page:
        """Sign in from there and choose a patient; the next step."""
        return await self.person.choose_patient(await self.sign_in(user), patient)

    async def choose_visit(self, encounter: str, patient: str = "pat-a") -> Page:
        """Choose a visit as well; the next step."""
        page = await self.choose_patient(patient)
        return await self.person.submit(page, "/encounter", encounter=encounter, decision="choose")

    async def agree_and_exchange(self, page: Page) -> dict[str, str]:
        """The token response after consent on this page."""
        page = await self.person.agree(page)
        return dict((await self.app.exchange(page.parameters["code"])).json())


async def open_tabs(
    server: RunningServer, scope: str = SCOPE, client_id: str = "public-app", **changes: str
) -> TwoTabs:
    """A request at its login page, to continue in two tabs."""
    app, person = server.app(client_id), server.person()
    return TwoTabs(app, person, await person.open(app.authorization_url(scope, **changes)))


def shows(page: Page, problem: str, *words: str) -> bool:
    """Whether the browser stays on a page with this problem and these words."""
    return (
        page.left_for is None
        and page.status == 200
        and all(words_on_page in page.text for words_on_page in (problem, *words))
    )


# The consent page.


@pytest.mark.requirement("G-2", "edge-45")
async def test_a_page_for_one_patient_grants_nothing_for_another(server: RunningServer) -> None:
    browser = await open_tabs(server)
    page = await browser.choose_patient("pat-a")
    assert "Berta" not in page.text
    await browser.choose_patient("pat-b")
    answer = await browser.person.agree(page)
    assert shows(answer, ANOTHER_PATIENT, "Berta")
    assert "Gale" not in answer.text
    assert (await browser.agree_and_exchange(answer))["patient"] == "pat-b", "whom the last page showed"


@pytest.mark.requirement("G-2")
async def test_a_page_of_one_user_grants_nothing_of_another(server: RunningServer) -> None:
    browser = await open_tabs(server)
    page = await browser.choose_patient("pat-a")
    await browser.choose_patient("pat-a", "nurse")
    assert shows(await browser.person.agree(page), ANOTHER_USER, "Nina Nurse")


@pytest.mark.requirement("G-2")
async def test_a_page_of_a_clinician_grants_nothing_of_a_patient_who_is_that_patient(server: RunningServer) -> None:
    browser = await open_tabs(server)
    page = await browser.choose_patient("pat-a")
    await browser.sign_in("patient")
    assert shows(await browser.person.agree(page), ANOTHER_USER, "Share your records")


@pytest.mark.requirement("G-2", "S-2")
async def test_a_page_for_one_visit_grants_nothing_for_another(server: RunningServer) -> None:
    browser = await open_tabs(server, f"launch/patient launch/encounter {SCOPE}")
    visit = (await browser.choose_patient("pat-a")).form("/encounter").choices["encounter"][0]
    page = await browser.choose_visit(visit)
    await browser.choose_visit("")
    answer = await browser.person.agree(page)
    assert shows(answer, ANOTHER_VISIT)
    assert "encounter" not in await browser.agree_and_exchange(answer)


@pytest.mark.requirement("A-3")
@pytest.mark.parametrize("field", ["name", "purpose", "logo"])
async def test_a_page_that_names_one_app_grants_nothing_to_what_it_has_become(
    server: RunningServer, field: str
) -> None:
    client_id = f"app-of-another-{field}"
    await register_client(server, client_id, purpose="Draws.")
    browser = await open_tabs(server, client_id=client_id)
    page = await browser.choose_patient("pat-a")
    await admin_request(server, "DELETE", f"/clients/{client_id}")
    await replace_client(server, client_id, **{"purpose": "Draws.", field: "https://logos.example/another.png"})
    assert shows(await browser.person.agree(page), ANOTHER_APP)


@pytest.mark.requirement("edge-45", "edge-56")
async def test_lines_are_never_taken_for_those_of_a_newer_page(server: RunningServer) -> None:
    """The first row is removed, and another tab shows the rest: every answer would count for the next row."""
    await register_client(server, "app-of-fewer-lines")
    browser = await open_tabs(server, "patient/Observation.rs patient/Condition.rs", "app-of-fewer-lines")
    page = await browser.choose_patient("pat-a")
    await admin_request(server, "DELETE", "/clients/app-of-fewer-lines")
    await replace_client(server, "app-of-fewer-lines", scopes="patient/Condition.rs")
    await browser.person.open(page.form("/consent").action.removesuffix("/consent"))
    answer = await browser.person.submit(page, "/consent", decision="allow", **{"use-0": "all", "use-1": "none"})
    assert shows(answer, ANOTHER_OFFER)


async def test_what_was_ticked_for_one_patient_is_ticked_for_the_other(server: RunningServer) -> None:
    browser = await open_tabs(server)
    page = await browser.choose_patient("pat-a")
    await browser.choose_patient("pat-b")
    uses = {"use-1": "none", "use-2": "all"}
    answer = await browser.person.submit(page, "/consent", decision="allow", **uses)
    assert {name: answer.form("/consent").value(name) for name in uses} == uses
    await browser.choose_patient("pat-a", "nurse")
    answer = await browser.person.submit(page, "/consent", decision="allow", **uses)
    assert answer.form("/consent").value("use-1") == "all", "but not for somebody else"


async def test_a_page_whose_request_went_back_leads_to_where_it_is_and_says_why(server: RunningServer) -> None:
    browser = await open_tabs(server)
    page = await browser.choose_patient("pat-a")
    await browser.sign_in()
    answer = await browser.person.agree(page)
    assert shows(answer, ANOTHER_PATIENT)
    assert answer.form("/patient").action


async def test_a_page_that_shows_what_holds_now_counts_whatever_happened_meanwhile(server: RunningServer) -> None:
    browser = await open_tabs(server)
    page = await browser.choose_patient("pat-a")
    await browser.choose_patient("pat-b", "nurse")
    await browser.choose_patient("pat-a")
    assert (await browser.agree_and_exchange(page))["patient"] == "pat-a"


async def test_saying_no_counts_whatever_happened_meanwhile(server: RunningServer) -> None:
    browser = await open_tabs(server)
    page = await browser.choose_patient("pat-a")
    await browser.choose_patient("pat-b", "nurse")
    answer = await browser.person.submit(page, "/consent", decision="deny")
    assert answer.parameters["error"] == "access_denied"


# The pickers. `house-app` needs no consent: the choice leads to a code at once.


@pytest.mark.requirement("G-2", "S-5")
async def test_nobody_chooses_a_patient_for_somebody_else(server: RunningServer) -> None:
    browser = await open_tabs(server, client_id="house-app")
    page = await browser.sign_in("doctor")
    await browser.sign_in("nurse")
    answer = await browser.person.choose_patient(page, "pat-b")
    assert shows(answer, ANOTHER_USER)
    assert "code" in (await browser.person.choose_patient(answer, "pat-b")).parameters


@pytest.mark.requirement("G-2", "S-2")
@pytest.mark.parametrize(
    ("patient", "user", "why"), [("pat-b", "doctor", ANOTHER_PATIENT), ("pat-a", "nurse", ANOTHER_USER)]
)
async def test_nobody_chooses_a_visit_for_another_patient_or_user(
    server: RunningServer, patient: str, user: str, why: str
) -> None:
    browser = await open_tabs(server, f"launch/patient launch/encounter {SCOPE}", "house-app")
    page = await browser.choose_patient("pat-a")
    await browser.choose_patient(patient, user)
    answer = await browser.person.submit(page, "/encounter", encounter="", decision="choose")
    assert shows(answer, why)
    assert answer.form("/encounter").action


@pytest.mark.requirement("S-5")
async def test_a_patient_is_chosen_once_and_a_second_click_leads_to_the_step_that_follows(
    server: RunningServer,
) -> None:
    browser = await open_tabs(server)
    page = await browser.sign_in()
    consent = await browser.person.choose_patient(page, "pat-a")
    for patient in ("pat-a", "pat-b"):
        answer = await browser.person.choose_patient(page, patient)
        assert shows(answer, ANOTHER_PATIENT)
        assert answer.form("/consent").action
    assert (await browser.agree_and_exchange(consent))["patient"] == "pat-a"


@pytest.mark.requirement("E-4", "G-2")
@pytest.mark.parametrize(("first", "second"), [("doctor", "nurse"), ("patient", "doctor")])
async def test_a_launch_without_a_patient_keeps_none_for_the_next_user(
    server: RunningServer, first: str, second: str
) -> None:
    handle = await create_launch(server)
    browser = await open_tabs(server, "launch launch/patient patient/Observation.rs", launch=handle)
    page = await browser.sign_in(first)
    if first == "doctor":
        page = await browser.person.choose_patient(page, "pat-a")
    assert page.form("/consent").action
    assert (await browser.sign_in(second)).form("/patient").action


@pytest.mark.requirement("E-4", "G-2")
async def test_a_launch_with_a_patient_keeps_it_for_the_next_user(server: RunningServer) -> None:
    handle = await create_launch(server, context={"patient": "pat-a"})
    browser = await open_tabs(server, "launch patient/Observation.rs", launch=handle)
    page = await browser.sign_in("doctor")
    await browser.sign_in("nurse")
    answer = await browser.person.agree(page)
    assert shows(answer, ANOTHER_USER)
    assert (await browser.agree_and_exchange(answer))["patient"] == "pat-a"


# A slow page.


@pytest.mark.requirement("S-6", "edge-45")
async def test_a_request_that_was_answered_is_not_brought_back_by_a_page_that_was_slow(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A patient search runs in one tab while the user cancels in the other."""
    browser = await open_tabs(server)
    page = await browser.sign_in()
    search_patients, search_began, cancelled = PatientDirectory.search_patients, asyncio.Event(), asyncio.Event()

    async def search_slowly(directory: PatientDirectory, user: User, name: str) -> tuple[list[PickerEntry], bool]:
        search_began.set()
        await cancelled.wait()
        return await search_patients(directory, user, name)

    with monkeypatch.context() as during:
        during.setattr(PatientDirectory, "search_patients", search_slowly)
        search = asyncio.ensure_future(browser.person.open(page.url))
        await search_began.wait()
        answer = await browser.person.submit(page, "/patient", decision="cancel")
        cancelled.set()
        slow_page = await search
    assert answer.parameters["error"] == "access_denied"
    for shown in (slow_page, await browser.person.open(page.url)):
        assert shown.title.startswith("The app got no access")
