"""EHR launches from the handle to the token response: context, users, and consent that skips pages."""

from typing import Any

import pytest

from tests.smart_server.ehr_launcher import create_launch, launch_error
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch patient/Observation.rs"
WHOLE: dict[str, Any] = {
    "patient": "pat-a",
    "need_patient_banner": False,
    "intent": "reconcile-medications",
    "smart_style_url": "https://gw.example/style/3f9c.json",
    "tenant": "org-1",
    "appContext": '{"a": "ä"}',
    "fhirContext": [
        {"reference": "ImagingStudy/9"},
        {"reference": "List/1", "role": "https://ehr.example/role/med-list-at-home"},
        {"canonical": "https://x.example/Questionnaire/q|1", "type": "Questionnaire"},
        {"identifier": {"system": "urn:x", "value": "7"}, "type": "ServiceRequest", "role": "launch"},
        {"reference": "Patient/pat-b", "role": "https://ehr.example/role/mother"},
    ],
    "__ward": "3b",
    "https://ehr.example/context/flags": {"isolated": False, "level": 0},
}


@pytest.mark.requirement("E-4", "E-6", "E-10", "LC-1", "LC-2", "LC-3", "LC-4", "LC-5", "LC-6", "LC-7", "LC-8", "LC-11",
                         "LC-13", "LC-18", "LC-20", "LC-21", "LC-22", "T-11", "edge-36", "edge-37", "edge-38",
                         "EX-1")  # fmt: skip
async def test_the_context_is_told_verbatim_and_again_on_refresh(server: RunningServer, visits: dict[str, str]) -> None:
    context = {**WHOLE, "encounter": visits["pat-a"]}
    handle = await create_launch(server, client_id="https://symmetric.example", user="doctor", context=context)
    app = server.app("https://symmetric.example")
    answer = await server.request_tokens(app, f"{SCOPE} offline_access", launch=handle)
    assert {name: answer.get(name) for name in context} == context
    assert answer["need_patient_banner"] is False
    refreshed = (await app.refresh(answer["refresh_token"])).json()
    assert {name: refreshed.get(name) for name in context} == context
    introspected = (await app.post("/introspect", {"token": answer["access_token"]})).json()
    assert {name: introspected.get(name) for name in context} == context
    assert (await app.read("/Observation", answer["access_token"])).status_code == 200
    assert (await app.read("/Patient/pat-b", answer["access_token"])).status_code in {403, 404}


@pytest.mark.requirement("E-5", "edge-31", "edge-32")
async def test_launch_patient_and_launch_encounter_are_hints(server: RunningServer) -> None:
    handle = await create_launch(server, user="doctor", context={"patient": "pat-b"})
    app = server.app()
    person, page = await server.open_consent_page(app, f"{SCOPE} launch/patient launch/encounter", launch=handle)
    assert page.title.startswith("Your decision"), "no picker where the launch brings the patient"
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert answer["patient"] == "pat-b"
    assert "encounter" not in answer, "no null for a visit that is not open"
    assert "launch/encounter" not in answer["scope"].split()


@pytest.mark.requirement("E-6", "edge-35")
async def test_a_launch_without_a_patient_leads_to_the_picker(server: RunningServer) -> None:
    handle = await create_launch(server, user="doctor", context={"intent": "worklist"})
    answer = await server.request_tokens(server.app(), SCOPE, launch=handle, patient="pat-b")
    assert answer["patient"] == "pat-b"
    assert answer["intent"] == "worklist"


@pytest.mark.requirement("edge-34", "edge-35")
async def test_a_launch_without_patient_scopes_needs_no_patient(server: RunningServer) -> None:
    handle = await create_launch(server, user="doctor")
    answer = await server.request_tokens(server.app(), "launch user/Patient.rs", launch=handle)
    assert "patient" not in answer
    assert set(answer["scope"].split()) == {"launch", "user/Patient.rs"}


@pytest.mark.requirement("A-5", "edge-27", "edge-28")
@pytest.mark.parametrize(
    ("scope", "with_handle"),
    [("launch patient/Patient.r", False), ("patient/Patient.r", True), ("launch/patient patient/Patient.r", True)],
    ids=["the scope without the parameter", "the parameter without the scope", "the parameter with launch/patient"],
)
async def test_launch_needs_both_the_scope_and_the_parameter(
    server: RunningServer, scope: str, with_handle: bool
) -> None:
    handle = await create_launch(server, context={"patient": "pat-a"}) if with_handle else None
    page = await server.person().open(server.app().authorization_url(scope, launch=handle))
    assert page.parameters["error"] == "invalid_request"


@pytest.mark.requirement("E-9", "edge-29")
@pytest.mark.parametrize("handle", ["xyz999", "sgl_" + "A" * 43, "../../x", "\x00", "eyJhbGciOiJub25lIn0.e30.", "é"])
async def test_a_forged_handle_is_refused(server: RunningServer, handle: str) -> None:
    assert await launch_error(server, handle) == "invalid_request"


@pytest.mark.requirement("E-9", "edge-29")
async def test_a_handle_is_used_once(server: RunningServer) -> None:
    handle = await create_launch(server, user="doctor", context={"patient": "pat-a"})
    await server.request_code(server.app(), SCOPE, launch=handle)
    assert await launch_error(server, handle) == "invalid_request"


@pytest.mark.requirement("E-9", "edge-29")
async def test_a_handle_lasts_some_minutes(server: RunningServer, later: AdjustableClock) -> None:
    handle = await create_launch(server, user="doctor", context={"patient": "pat-a"})
    later.advance(301)
    assert await launch_error(server, handle) == "invalid_request"


@pytest.mark.requirement("E-9", "edge-30")
async def test_a_handle_of_another_app_is_refused_and_used_up(server: RunningServer) -> None:
    handle = await create_launch(server, user="doctor", context={"patient": "pat-a"})
    assert await launch_error(server, handle, client_id="other-app") == "invalid_request"
    assert await launch_error(server, handle) == "invalid_request", "who tried it may be an attacker"


@pytest.mark.requirement("E-9", "edge-30")
async def test_a_handle_of_another_user_is_refused_at_login(server: RunningServer) -> None:
    handle = await create_launch(server, user="doctor", context={"patient": "pat-a"})
    assert await launch_error(server, handle, user="nurse") == "invalid_request"


@pytest.mark.requirement("edge-30")
async def test_a_handle_of_another_user_is_refused_in_a_session(server: RunningServer) -> None:
    handle, person = await create_launch(server, user="doctor", context={"patient": "pat-a"}), server.person()
    await server.open_consent_page(server.app(), "openid", user="nurse", person=person)
    page = await person.open(server.app().authorization_url(SCOPE, launch=handle))
    assert page.parameters["error"] == "invalid_request"


async def skipping_consent(person: Person, page: Page, username: str) -> Page:
    """Sign in and post a consent without opening any page after the login page."""
    login = page.form("/login")
    csrf = login.value("csrf") or ""
    secret = [("csrf", csrf), ("username", username), ("password", "demo")]
    data = "&".join(f"{name}={value}" for name, value in secret)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    await person.client.post(login.action, content=data, headers=headers)
    blind = [("csrf", csrf), ("decision", "allow"), *[(f"use-{index}", "all") for index in range(5)]]
    return await person.open(login.action.removesuffix("/login") + "/consent", data=blind)


@pytest.mark.requirement("G-2", "edge-30", "edge-45")
async def test_a_blind_consent_skips_neither_the_check_of_the_user_nor_of_the_patient(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    handle = await create_launch(server, user="doctor", context={"patient": "pat-a"})
    page = await skipping_consent(person, await person.open(app.authorization_url(SCOPE, launch=handle)), "nurse")
    assert page.parameters["error"] == "invalid_request", "the launch was the doctor's"
    handle, person = await create_launch(server, context={"patient": "pat-b"}), server.person()
    page = await skipping_consent(person, await person.open(app.authorization_url(SCOPE, launch=handle)), "patient")
    assert page.parameters["error"] in {"access_denied", "invalid_request"}, "pat-b is not this patient"


@pytest.mark.requirement("edge-45")
async def test_a_blind_consent_leads_to_the_picker_that_it_wanted_to_skip(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    page = await skipping_consent(person, await person.open(app.authorization_url("patient/*.rs openid")), "doctor")
    assert page.left_for is None
    assert page.form("/patient").action


@pytest.mark.requirement("G-2", "edge-30")
async def test_the_patient_of_a_launch_must_be_one_that_the_user_may_see(server: RunningServer) -> None:
    handle = await create_launch(server, context={"patient": "pat-b"})
    assert await launch_error(server, handle, user="patient") == "access_denied"
