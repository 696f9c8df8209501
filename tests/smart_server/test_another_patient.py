"""Returning from the consent page to the patient picker, with the ticks kept."""

import pytest

from tests.smart_server.admin_client import admin_request
from tests.smart_server.ehr_launcher import create_launch
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer
from tests.smart_server.smart_app import App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "openid patient/Observation.rs patient/Condition.rs"
USES = {"use-1": "none", "use-2": "all"}


def offers(page: Page) -> bool:
    """Whether the consent page offers another patient."""
    assert page.form("/consent").action
    return "Choose another patient" in page.text


async def choose_another(person: Person, page: Page) -> Page:
    """Tick something, and choose another patient."""
    return await person.submit(page, "/consent", decision="another-patient", **USES)


@pytest.mark.requirement("S-3", "BP-7")
async def test_another_patient_can_be_chosen_and_what_was_ticked_stays(server: RunningServer) -> None:
    app = server.app()
    person, page = await server.open_consent_page(app, SCOPE)
    assert offers(page)
    picker = await choose_another(person, page)
    assert picker.form("/patient").value("patient") is None, "nobody is chosen beforehand"
    other = await person.choose_patient(picker, "pat-b")
    assert {name: other.form("/consent").value(name) for name in USES} == USES
    assert offers(other), "as often as they like"
    early = await person.agree(page)
    assert "The patient has changed" in early.text
    answer = (await app.exchange((await person.submit(other, "/consent", decision="allow")).parameters["code"])).json()
    assert answer["patient"] == "pat-b"
    assert set(answer["scope"].split()) == {"openid", "launch/patient", "patient/Condition.rs"}


async def test_it_is_offered_where_one_was_found_among_several(server: RunningServer) -> None:
    person = server.person()
    picker = await person.sign_in(await person.open(server.app().authorization_url(SCOPE)))
    picker_with_name = await person.open(f"{picker.form('/patient').action}?name=Fakeworth")
    assert (
        0 < len(picker_with_name.form("/patient").choices["patient"]) < len(picker.form("/patient").choices["patient"])
    )
    page = await person.choose_patient(picker_with_name, "pat-a")
    assert offers(page)
    picker_with_name = await person.open(f"{picker.form('/patient').action}?name=Fakeworth")
    assert offers(picker_with_name), "a search has no place on the consent page"


@pytest.mark.requirement("S-2")
async def test_the_visit_is_of_the_patient_that_was_chosen_last(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    scope = f"launch/patient launch/encounter {SCOPE}"
    page = await person.choose_patient(await person.sign_in(await person.open(app.authorization_url(scope))), "pat-a")
    visit = page.form("/encounter").choices["encounter"][0]
    page = await person.submit(page, "/encounter", encounter=visit, decision="choose")
    page = await person.choose_patient(await choose_another(person, page), "pat-b")
    assert visit not in page.form("/encounter").choices["encounter"]
    page = await person.submit(page, "/encounter", encounter="", decision="choose")
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert answer["patient"] == "pat-b"
    assert "encounter" not in answer


@pytest.mark.requirement("edge-26")
async def test_what_was_agreed_to_for_the_other_patient_is_asked_again(server: RunningServer) -> None:
    """A user who has just refused a row may choose a patient for whom they once agreed to it."""
    person, page = await server.open_consent_page(server.app(), SCOPE, patient="pat-4", user="doctor", prompt="consent")
    assert "code" in (await person.agree(page, remember="yes")).parameters
    _, page = await server.open_consent_page(server.app(), SCOPE, person=person, patient="pat-4")
    assert page.left_for is not None, "it is remembered"
    _, page = await server.open_consent_page(server.app(), SCOPE, person=person, patient="pat-a")
    page = await person.choose_patient(await choose_another(person, page), "pat-4")
    assert {name: page.form("/consent").value(name) for name in USES} == USES


# Requests in which the patient cannot be changed.


async def keeps(app: App, person: Person, page: Page) -> str | None:
    """The patient of the token after a form asks for another patient nevertheless."""
    assert not offers(page)
    answer = await choose_another(person, page)
    assert answer.left_for is None
    assert answer.status == 400
    assert "choice_not_offered" in answer.text
    answer = await person.agree(await person.open(page.form("/consent").action.removesuffix("/consent")))
    token_response = (await app.exchange(answer.parameters["code"])).json()
    return dict(token_response).get("patient")


@pytest.mark.requirement("E-4", "G-2")
@pytest.mark.parametrize("launcher", ["ehr", "trusted-ehr"])
async def test_the_patient_of_an_ehr_launch_stays(server: RunningServer, launcher: str) -> None:
    handle = await create_launch(server, launcher, user="doctor", context={"patient": "pat-a"})
    app = server.app()
    person, page = await server.open_consent_page(app, f"launch {SCOPE}", launch=handle)
    assert await keeps(app, person, page) == "pat-a"


@pytest.mark.requirement("E-6", "S-3")
async def test_a_launch_without_a_patient_lets_choose_and_keeps_the_rest(server: RunningServer) -> None:
    handle = await create_launch(server, user="doctor", context={"tenant": "north"})
    app = server.app()
    person, page = await server.open_consent_page(app, f"launch launch/patient {SCOPE}", launch=handle)
    assert offers(page)
    page = await person.choose_patient(await choose_another(person, page), "pat-b")
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert (answer["patient"], answer["tenant"]) == ("pat-b", "north")


@pytest.mark.requirement("S-5", "G-2")
async def test_a_patient_is_nobody_else(server: RunningServer) -> None:
    app = server.app()
    person, page = await server.open_consent_page(app, SCOPE, user="patient")
    assert await keeps(app, person, page) == "pat-a"


async def test_where_there_is_only_one_there_is_no_other(server: RunningServer) -> None:
    mother = {"username": "mother", "name": "Maya Mother", "password": "demo-of-mother",
              "fhir_user": "RelatedPerson/pat-a-relative"}  # fmt: skip
    assert (await admin_request(server, "POST", "/users", mother)).status_code == 201
    app, person = server.app(), server.person()
    picker = await person.sign_in(await person.open(app.authorization_url(SCOPE)), "mother", "demo-of-mother")
    assert picker.form("/patient").choices["patient"] == ["pat-a"]
    assert await keeps(app, person, await person.choose_patient(picker, "pat-a")) == "pat-a"


async def test_where_the_request_is_about_no_patient_there_is_none_to_choose(server: RunningServer) -> None:
    app = server.app()
    person, page = await server.open_consent_page(app, "openid user/Observation.rs user/Condition.rs")
    assert await keeps(app, person, page) is None


async def test_the_next_user_chooses_among_those_of_their_own(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    login = await person.open(app.authorization_url(SCOPE))
    assert offers(await person.choose_patient(await person.sign_in(login), "pat-b"))
    page = await person.sign_in(login, "patient")
    assert await keeps(app, person, page) == "pat-a"
