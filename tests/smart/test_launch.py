"""EHR launches by `POST /launch`, standalone launches with their pickers, and the context that comes of either."""

from base64 import b64encode
from typing import Any

import httpx2
import orjson
import pytest
import pytest_asyncio

from tests.smart.house import CALLBACK, LAUNCH_URI, LAUNCHER_SECRET, House
from tests.smart.later import Later
from tests.smart.launcher import ask_launch, handle_in, launch, vouched_launch
from tests.smart.person import Page, Person

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch patient/Observation.rs"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visits(fhir_server: str) -> dict[str, str]:
    """One encounter of each of the two patients."""
    found = {}
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
        for patient in ("pat-a", "pat-b"):
            bundle = (await client.get(f"{fhir_server}/Encounter", params={"patient": f"Patient/{patient}"})).json()
            found[patient] = str(bundle["entry"][0]["resource"]["id"])
    return found


@pytest.fixture(scope="module")
def later(house: House) -> Later:
    """The one hand on the clocks of this house: two would put them back."""
    return Later(house)


def problems(response: httpx2.Response) -> str:
    """What a launcher is told, in one text."""
    assert response.status_code == 400, response.text
    assert response.json()["error"] == "invalid_request"
    return " ".join(response.json()["problems"])


async def error_of(house: House, handle: str, *, client_id: str = "public-app", user: str = "doctor") -> str:
    """The error of a request with this handle, whether it comes at once or after the login."""
    app, person = house.app(client_id), house.person()
    page = await person.go(app.authorization_url(SCOPE, launch=handle))
    if page.left_for is None:
        page = await person.sign_in(page, user)
    assert page.parameters["state"] == app.state
    return page.parameters["error"]


# The launcher.


@pytest.mark.requirement("E-1", "E-2", "E-3", "E-9")
async def test_a_launcher_is_told_where_to_open_the_app(house: House) -> None:
    response = await ask_launch(house, context={"patient": "pat-a"})
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    told = response.json()
    assert told["iss"] == house.base
    assert told["launch_uri"] == LAUNCH_URI
    url = httpx2.URL(told["location"])
    assert str(url.copy_with(query=None)) == LAUNCH_URI
    assert dict(url.params) == {"iss": house.base, "launch": told["launch"]}
    assert len(told["launch"]) >= 22, "at least 128 random bits"


@pytest.mark.requirement("E-1")
@pytest.mark.parametrize(
    "auth",
    [None, ("ehr", "wrong"), ("ehr", ""), ("nobody", LAUNCHER_SECRET), ("public-app", LAUNCHER_SECRET), ("", "")],
    ids=["no proof", "a wrong secret", "no secret", "an unknown launcher", "an app", "nothing"],
)
async def test_only_a_configured_launcher_makes_launches(house: House, auth: tuple[str, str] | None) -> None:
    proof = {} if auth is None else {"authorization": "Basic " + b64encode(":".join(auth).encode()).decode()}
    response = await house.http.post(f"{house.issuer}/launch", json={"client_id": "public-app"}, headers=proof)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic ")
    assert "launch" not in response.json()


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic /w==", "Bearer x", "Basic ZWhy"])
async def test_a_broken_authorization_header_is_no_proof(house: House, header: str) -> None:
    answer = await house.http.post(f"{house.issuer}/launch", json={}, headers={"authorization": header})
    assert answer.status_code == 401


BAD = {
    "no app": ({"client_id": None}, "client_id"),
    "an unknown app": ({"client_id": "nobody"}, "client_id"),
    "a number for an app": ({"client_id": 7}, "client_id"),
    "a launch URI that is not registered": ({"launch_uri": "https://evil.example/launch"}, "launch URI"),
    "a launch URI with more": ({"launch_uri": f"{LAUNCH_URI}?x=1"}, "launch URI"),
    "a launch URI that is no text": ({"launch_uri": [LAUNCH_URI]}, "launch_uri"),
    "an app that cannot be launched": ({"client_id": "backend"}, "launch URI"),
    "an unknown member": ({"redirect": "https://evil.example"}, "redirect"),
    "a context that is no object": ({"context": ["pat-a"]}, "context"),
    "a patient that is not there": ({"context": {"patient": "nobody"}}, "patient"),
    "a patient as a reference": ({"context": {"patient": "Patient/pat-a"}}, "bare id"),
    "a patient as a URL": ({"context": {"patient": "https://x.example/Patient/1"}}, "bare id"),
    "an encounter without its patient": ({"context": {"encounter": "nothing"}}, "encounter"),
    "a banner as a text": ({"context": {"need_patient_banner": "true"}}, "need_patient_banner"),
    "a member that SMART does not know": ({"context": {"access_token": "x"}}, "access_token"),
    "a reference of SMART 2.0": ({"context": {"fhirContext": ["ImagingStudy/1"]}}, "object"),
    "a patient in fhirContext": ({"context": {"fhirContext": [{"reference": "Patient/pat-a"}]}}, "Patient"),
    "an encounter in fhirContext": ({"context": {"fhirContext": [{"reference": "Encounter/1"}]}}, "Encounter"),
    "a patient by identifier in fhirContext": (
        {"context": {"fhirContext": [{"identifier": {"value": "1"}, "type": "Patient"}]}},
        "Patient",
    ),
    "an empty role": ({"context": {"fhirContext": [{"reference": "List/1", "role": ""}]}}, "role"),
    "a relative role": ({"context": {"fhirContext": [{"reference": "List/1", "role": "friend"}]}}, "role"),
    "an absolute reference": ({"context": {"fhirContext": [{"reference": "https://x.example/List/1"}]}}, "relative"),
    "an item that names nothing": ({"context": {"fhirContext": [{"type": "List"}]}}, "LC-9"),
    "an identifier as a text": ({"context": {"fhirContext": [{"identifier": "1"}]}}, "Identifier"),
    "a type that R4 does not know": ({"context": {"fhirContext": [{"canonical": "http://x", "type": "Foo"}]}}, "LC-13"),
    "a type that is no text": ({"context": {"fhirContext": [{"reference": "List/1", "type": []}]}}, "LC-13"),
    "an empty intent": ({"context": {"intent": ""}}, "intent"),
    "a style that is no URL": ({"context": {"smart_style_url": "javascript:alert(1)"}}, "smart_style_url"),
    "a user that is a number": ({"user": 7}, "user"),
    "a user without a name": ({"user": ""}, "user"),
    "a user with an endless name": ({"user": "x" * 151}, "user"),
    "a user without a subject": ({"user": {"name": "Dora"}}, "user"),
    "a user of a foreign server": (
        {"user": {"subject": "d", "fhirUser": "https://evil.example/fhir/Practitioner/1"}},
        "fhirUser",
    ),
    "a user who is a device": ({"user": {"subject": "d", "fhirUser": "Device/1"}}, "fhirUser"),
    "a patient that the user cannot see": ({"user": "patient", "context": {"patient": "pat-b"}}, "patient"),
    "a user who can see no patient": ({"user": "clerk", "context": {"patient": "pat-a"}}, "patient"),
}  # fmt: skip


@pytest.mark.requirement("E-1", "LC-2", "LC-9", "LC-10", "LC-12", "LC-14", "LC-15", "edge-36", "edge-37", "edge-38",
                         "edge-39", "edge-40", "edge-43")  # fmt: skip
@pytest.mark.parametrize(("body", "word"), BAD.values(), ids=BAD)
async def test_a_launch_that_cannot_be_is_refused_by_its_name(house: House, body: dict[str, Any], word: str) -> None:
    assert word in problems(await ask_launch(house, **body))


async def test_every_problem_is_told_at_once(house: House) -> None:
    context = {
        "patient": "Patient/pat-a",
        "need_patient_banner": 1,
        "fhirContext": [{}, {"reference": "List/1", "x": 1}],
    }
    told = problems(await ask_launch(house, context=context))
    assert all(word in told for word in ("patient", "need_patient_banner", "fhirContext[0]", "fhirContext[1]"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b'{"a":' * 400, b"\xff"])
async def test_a_body_that_is_no_json_object_is_refused(house: House, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    auth = ("ehr", LAUNCHER_SECRET)
    problems(await house.http.post(f"{house.issuer}/launch", content=content, headers=headers, auth=auth))
    form = await house.http.post(f"{house.issuer}/launch", data={"client_id": "public-app"}, auth=auth)
    assert "application/json" in problems(form)


@pytest.mark.requirement("edge-43")
async def test_the_encounter_must_be_the_patients_own(house: House, visits: dict[str, str]) -> None:
    assert "encounter" in problems(await ask_launch(house, context={"patient": "pat-a", "encounter": visits["pat-b"]}))
    assert "encounter" in problems(await ask_launch(house, context={"encounter": visits["pat-a"]}))
    await launch(house, context={"patient": "pat-a", "encounter": visits["pat-a"]})


# From the handle to the token.

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
async def test_the_context_is_told_verbatim_and_again_on_refresh(house: House, visits: dict[str, str]) -> None:
    context = {**WHOLE, "encounter": visits["pat-a"]}
    handle = await launch(house, client_id="https://symmetric.example", user="doctor", context=context)
    app = house.app("https://symmetric.example")
    answer = await house.tokens(app, f"{SCOPE} offline_access", launch=handle)
    assert {name: answer.get(name) for name in context} == context
    assert answer["need_patient_banner"] is False
    refreshed = (await app.refresh(answer["refresh_token"])).json()
    assert {name: refreshed.get(name) for name in context} == context
    asked = (await app.post("/introspect", {"token": answer["access_token"]})).json()
    assert {name: asked.get(name) for name in context} == context
    assert (await app.read("/Observation", answer["access_token"])).status_code == 200
    assert (await app.read("/Patient/pat-b", answer["access_token"])).status_code in {403, 404}


@pytest.mark.requirement("E-5", "edge-31", "edge-32")
async def test_launch_patient_and_launch_encounter_are_hints(house: House) -> None:
    handle = await launch(house, user="doctor", context={"patient": "pat-b"})
    app = house.app()
    person, page = await house.consent_page(app, f"{SCOPE} launch/patient launch/encounter", launch=handle)
    assert page.title.startswith("Your decision"), "no picker where the launch brings the patient"
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert answer["patient"] == "pat-b"
    assert "encounter" not in answer, "no null for a visit that is not open"
    assert "launch/encounter" not in answer["scope"].split()


@pytest.mark.requirement("E-6", "edge-35")
async def test_a_launch_without_a_patient_leads_to_the_picker(house: House) -> None:
    handle = await launch(house, user="doctor", context={"intent": "worklist"})
    answer = await house.tokens(house.app(), SCOPE, launch=handle, patient="pat-b")
    assert answer["patient"] == "pat-b"
    assert answer["intent"] == "worklist"


@pytest.mark.requirement("edge-34", "edge-35")
async def test_a_launch_without_patient_scopes_needs_no_patient(house: House) -> None:
    handle = await launch(house, user="doctor")
    answer = await house.tokens(house.app(), "launch user/Patient.rs", launch=handle)
    assert "patient" not in answer
    assert set(answer["scope"].split()) == {"launch", "user/Patient.rs"}


@pytest.mark.requirement("A-5", "edge-27", "edge-28")
@pytest.mark.parametrize(
    ("scope", "with_handle"),
    [("launch patient/Patient.r", False), ("patient/Patient.r", True), ("launch/patient patient/Patient.r", True)],
    ids=["the scope without the parameter", "the parameter without the scope", "the parameter with launch/patient"],
)
async def test_launch_needs_both_the_scope_and_the_parameter(house: House, scope: str, with_handle: bool) -> None:
    handle = await launch(house, context={"patient": "pat-a"}) if with_handle else None
    page = await house.person().go(house.app().authorization_url(scope, launch=handle))
    assert page.parameters["error"] == "invalid_request"


@pytest.mark.requirement("E-9", "edge-29")
@pytest.mark.parametrize("handle", ["xyz999", "sgl_" + "A" * 43, "../../x", "\x00", "eyJhbGciOiJub25lIn0.e30.", "é"])
async def test_a_forged_handle_is_refused(house: House, handle: str) -> None:
    assert await error_of(house, handle) == "invalid_request"


@pytest.mark.requirement("E-9", "edge-29")
async def test_a_handle_is_used_once(house: House) -> None:
    handle = await launch(house, user="doctor", context={"patient": "pat-a"})
    await house.code(house.app(), SCOPE, launch=handle)
    assert await error_of(house, handle) == "invalid_request"


@pytest.mark.requirement("E-9", "edge-29")
async def test_a_handle_lasts_some_minutes(house: House, later: Later) -> None:
    handle = await launch(house, user="doctor", context={"patient": "pat-a"})
    later.wait(301)
    assert await error_of(house, handle) == "invalid_request"


@pytest.mark.requirement("E-9", "edge-30")
async def test_a_handle_of_another_app_is_refused_and_used_up(house: House) -> None:
    handle = await launch(house, user="doctor", context={"patient": "pat-a"})
    assert await error_of(house, handle, client_id="other-app") == "invalid_request"
    assert await error_of(house, handle) == "invalid_request", "who tried it may be an attacker"


@pytest.mark.requirement("E-9", "edge-30")
async def test_a_handle_of_another_user_is_refused_at_login(house: House) -> None:
    handle = await launch(house, user="doctor", context={"patient": "pat-a"})
    assert await error_of(house, handle, user="nurse") == "invalid_request"


@pytest.mark.requirement("edge-30")
async def test_a_handle_of_another_user_is_refused_in_a_session(house: House) -> None:
    handle, person = await launch(house, user="doctor", context={"patient": "pat-a"}), house.person()
    await house.consent_page(house.app(), "openid", user="nurse", person=person)
    page = await person.go(house.app().authorization_url(SCOPE, launch=handle))
    assert page.parameters["error"] == "invalid_request"


async def skipping_consent(person: Person, page: Page, username: str) -> Page:
    """Sign in without ever looking at the pages that follow, and consent blindly with what the login page tells."""
    login = page.form("/login")
    csrf = login.value("csrf") or ""
    secret = [("csrf", csrf), ("username", username), ("password", "demo")]
    data = "&".join(f"{name}={value}" for name, value in secret)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    await person.client.post(login.action, content=data, headers=headers)
    blind = [("csrf", csrf), ("decision", "allow"), *[(f"use-{index}", "all") for index in range(5)]]
    return await person.go(login.action.removesuffix("/login") + "/consent", data=blind)


@pytest.mark.requirement("G-2", "edge-30", "edge-45")
async def test_a_blind_consent_skips_neither_the_check_of_the_user_nor_of_the_patient(house: House) -> None:
    app, person = house.app(), house.person()
    handle = await launch(house, user="doctor", context={"patient": "pat-a"})
    page = await skipping_consent(person, await person.go(app.authorization_url(SCOPE, launch=handle)), "nurse")
    assert page.parameters["error"] == "invalid_request", "the launch was the doctor's"
    handle, person = await launch(house, context={"patient": "pat-b"}), house.person()
    page = await skipping_consent(person, await person.go(app.authorization_url(SCOPE, launch=handle)), "patient")
    assert page.parameters["error"] in {"access_denied", "invalid_request"}, "pat-b is not this patient"


@pytest.mark.requirement("edge-45")
async def test_a_blind_consent_leads_to_the_picker_that_it_wanted_to_skip(house: House) -> None:
    app, person = house.app(), house.person()
    page = await skipping_consent(person, await person.go(app.authorization_url("patient/*.rs openid")), "doctor")
    assert page.left_for is None
    assert page.form("/patient").action


@pytest.mark.requirement("G-2", "edge-30")
async def test_the_patient_of_a_launch_must_be_one_that_the_user_may_see(house: House) -> None:
    handle = await launch(house, context={"patient": "pat-b"})
    assert await error_of(house, handle, user="patient") == "access_denied"


# A launcher that vouches.


@pytest.mark.requirement("E-4")
async def test_a_trusted_launcher_spares_its_user_the_login(house: House) -> None:
    app, person = house.app(), house.person()
    handle = await vouched_launch(house, person, user="doctor", context={"patient": "pat-a"})
    page = await person.go(app.authorization_url(f"{SCOPE} openid fhirUser", launch=handle))
    assert page.title.startswith("Your decision")
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert answer["patient"] == "pat-a"
    assert "id_token" in answer
    elsewhere = await person.go(app.authorization_url("openid"))
    assert elsewhere.form("/login").action, "the launch let nobody in but for itself"


async def test_a_trusted_launcher_may_name_users_of_its_own(house: House) -> None:
    user = {"subject": "d-7", "name": "Dr Dora of the EHR", "fhirUser": f"{house.base}/Practitioner/practitioner-2"}
    app, person = house.app("https://symmetric.example"), house.person()
    handle = await vouched_launch(house, person, client_id=app.client_id, user=user, context={"patient": "pat-a"})
    page = await person.go(app.authorization_url(f"{SCOPE} openid fhirUser", launch=handle))
    assert "Dr Dora of the EHR" in page.text
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    told = (await app.post("/introspect", {"token": answer["access_token"]})).json()
    assert told["sub"] == "trusted-ehr|d-7"
    assert told["fhirUser"] == f"{house.base}/Practitioner/practitioner-2"


async def test_a_launcher_that_is_not_trusted_spares_nobody_the_login(house: House) -> None:
    handle = await launch(house, "ehr", user="doctor", context={"patient": "pat-a"})
    page = await house.person().go(house.app().authorization_url(SCOPE, launch=handle))
    assert page.form("/login").action


@pytest.mark.requirement("E-9")
async def test_the_app_of_a_vouched_launch_cannot_agree_in_the_place_of_the_user(house: House) -> None:
    """It knows the handle, and opens the launch in a browser of its own."""
    app, person, robot = house.app(), house.person(), house.person()
    handle = await vouched_launch(house, person, user="doctor", context={"patient": "pat-a"})
    page = await robot.go(app.authorization_url(f"{SCOPE} openid fhirUser", launch=handle))
    assert page.form("/login").action


async def test_the_way_past_us_to_the_app_is_gone_once(house: House) -> None:
    told = (await ask_launch(house, "trusted-ehr", user="doctor")).json()
    assert told["launch"] not in told["location"], "whoever knows the handle cannot go that way"
    person = house.person()
    assert (await person.go(told["location"])).parameters["launch"] == told["launch"]
    again = await house.person().go(told["location"])
    assert (again.left_for, again.status) == (None, 400)
    assert "launch_over" in again.html


async def test_a_vouched_launch_lasts_a_minute(house: House, later: Later) -> None:
    handle = await launch(house, "trusted-ehr", user="doctor", context={"patient": "pat-a"})
    later.wait(61)
    assert await error_of(house, handle) == "invalid_request"


@pytest.mark.requirement("A-21")
@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}])
async def test_an_app_that_wants_a_login_gets_one_whoever_vouches(house: House, asked: dict[str, str]) -> None:
    app, person = house.app(), house.person()
    handle = await vouched_launch(house, person, user="doctor", context={"patient": "pat-a"})
    page = await person.go(app.authorization_url(SCOPE, launch=handle, **asked))
    page = await person.sign_in(page, "nurse")
    assert page.parameters["error"] == "invalid_request", "the launch is still the doctor's"


@pytest.mark.requirement("E-8", "RF-2", "edge-62")
async def test_online_access_of_a_vouched_user_ends_with_a_session_that_nobody_prolongs(
    house: House, later: Later
) -> None:
    app, person = house.app(), house.person()
    handle = await vouched_launch(house, person, user="doctor", context={"patient": "pat-a"})
    answer = await house.tokens(app, f"{SCOPE} online_access", launch=handle, person=person)
    assert "online_access" in answer["scope"].split()
    later.wait(1500)
    refreshed = await app.refresh(answer["refresh_token"])
    assert refreshed.status_code == 200
    later.wait(400)
    ended = await app.refresh(refreshed.json()["refresh_token"])
    assert (ended.status_code, ended.json()["error"]) == (400, "invalid_grant")


# Standalone.


@pytest.mark.requirement("S-1", "S-2", "S-3", "S-4", "S-5", "edge-33")
async def test_patient_scopes_alone_bring_the_picker_and_tell_the_patient(house: House) -> None:
    app, person = house.app(), house.person()
    page = await person.sign_in(await person.go(app.authorization_url("patient/*.rs")))
    assert page.form("/patient").action
    answer = (await app.exchange((await person.agree(await person.choose(page, "pat-b"))).parameters["code"])).json()
    assert answer["patient"] == "pat-b"
    assert set(answer["scope"].split()) == {"launch/patient", "patient/*.rs"}


@pytest.mark.requirement("edge-34")
async def test_user_scopes_alone_need_no_picker(house: House) -> None:
    answer = await house.tokens(house.app(), "user/*.rs")
    assert "patient" not in answer
    assert answer["scope"] == "user/*.rs"


@pytest.mark.requirement("S-2", "LC-3", "edge-32")
async def test_the_encounter_picker_offers_the_patients_visits(house: House, visits: dict[str, str]) -> None:
    scope = "launch/patient launch/encounter patient/Encounter.rs"
    for chosen in (visits["pat-a"], ""):
        app, person = house.app(), house.person()
        page = await person.choose(await person.sign_in(await person.go(app.authorization_url(scope))), "pat-a")
        form = page.form("/encounter")
        assert visits["pat-a"] in form.choices["encounter"]
        assert visits["pat-b"] not in form.choices["encounter"]
        page = await person.agree(await person.send(page, "/encounter", encounter=chosen, decision="choose"))
        answer = (await app.exchange(page.parameters["code"])).json()
        assert answer.get("encounter") == (chosen or None)
        assert ("encounter" in answer) is bool(chosen)
        assert ("launch/encounter" in answer["scope"].split()) is bool(chosen)


@pytest.mark.requirement("edge-41", "edge-42", "SC-39", "SC-40", "SC-41")
async def test_other_launch_scopes_are_understood_and_do_no_harm(house: House) -> None:
    scope = "launch/list?role=https://ex.example/unknown launch/ImagingStudy launch/list?role=a&role=b openid"
    answer = await house.tokens(house.app(), scope)
    assert "launch/ImagingStudy" not in answer["scope"]
    assert "role=a" not in answer["scope"]
    assert "openid" in answer["scope"].split()


@pytest.mark.requirement("S-5", "edge-45")
@pytest.mark.parametrize("patient", ["pat-b", "nobody", "Patient/pat-a", "../pat-b", "pat-a,pat-b", "é", "openid"])
async def test_a_patient_that_was_not_offered_cannot_be_chosen(house: House, patient: str) -> None:
    app, person = house.app(), house.person()
    page = await person.sign_in(await person.go(app.authorization_url("patient/*.rs openid")))
    nobody = await person.go(f"{page.form('/patient').action}?name=Nobodyatall")
    assert not [form for form in nobody.forms if "patient" in form.choices]
    refused = await person.go(
        page.form("/patient").action,
        data=[("csrf", page.form("/patient").value("csrf") or ""), ("patient", patient), ("decision", "choose")],
    )
    assert refused.status == 400
    assert "choice_not_offered" in refused.text
    assert refused.left_for is None


@pytest.mark.requirement("S-5", "edge-45")
async def test_a_patient_that_is_sent_to_another_form_is_not_taken(house: House, visits: dict[str, str]) -> None:
    app, person = house.app(), house.person()
    scope = "launch/patient launch/encounter patient/*.rs openid"
    page = await person.sign_in(await person.go(app.authorization_url(scope)))
    form = page.form("/patient")
    csrf = ("csrf", form.value("csrf") or "")
    way = form.action.removesuffix("/patient")
    for step, pairs in (
        ("/encounter", [csrf, ("encounter", "pat-a"), ("decision", "choose")]),
        ("/encounter", [csrf, ("encounter", visits["pat-a"]), ("decision", "choose")]),
        ("/patient", [csrf, ("patient", "pat-a"), ("patient", "pat-b"), ("decision", "choose")]),
        ("/consent", [csrf, ("patient", "pat-b"), ("use-0", "all"), ("decision", "allow")]),
        ("/login", [csrf, ("patient", "pat-b"), ("username", "doctor"), ("password", "wrong")]),
    ):
        answer = await person.go(way + step, data=pairs)
        assert answer.left_for is None
        assert answer.status == 400 or answer.form("/patient").action, step
    page = await person.choose(await person.go(way), "pat-a")
    refused = await person.send(page, "/encounter", encounter=visits["pat-b"], decision="choose")
    assert refused.status == 400
    page = await person.send(await person.go(way), "/encounter", encounter=visits["pat-a"], decision="choose")
    page = await person.send(page, "/consent", patient="pat-b", encounter=visits["pat-b"], **{"use-0": "all"},
                             decision="allow")  # fmt: skip
    answer = (await app.exchange(page.parameters["code"])).json()
    assert (answer["patient"], answer["encounter"]) == ("pat-a", visits["pat-a"])


@pytest.mark.requirement("S-5", "G-2")
async def test_a_patient_sees_no_picker_and_cannot_be_another(house: House) -> None:
    app, person = house.app(), house.person()
    page = await person.sign_in(await person.go(app.authorization_url("launch/patient patient/*.rs")), "patient")
    assert page.title.startswith("Your decision")
    way = page.form("/consent").action.removesuffix("/consent")
    pairs = [("csrf", page.form("/consent").value("csrf") or ""), ("patient", "pat-b"), ("decision", "choose")]
    assert (await person.go(f"{way}/patient", data=pairs)).status == 400
    answer = (await app.exchange((await person.agree(await person.go(way))).parameters["code"])).json()
    assert answer["patient"] == "pat-a"


@pytest.mark.requirement("S-6")
@pytest.mark.parametrize("step", ["/login", "/patient", "/encounter"])
async def test_who_cancels_sends_the_app_away(house: House, step: str) -> None:
    app, person = house.app(), house.person()
    page = await person.go(app.authorization_url("launch/patient launch/encounter patient/*.rs"))
    if step != "/login":
        page = await person.sign_in(page)
    if step == "/encounter":
        page = await person.choose(page, "pat-a")
    answer = await person.send(page, step, decision="cancel")
    assert answer.parameters["error"] == "access_denied"
    again = await person.go(page.url)
    assert again.status == 400, "a request that was answered is over"


async def test_a_picker_without_a_choice_asks_once_more(house: House) -> None:
    person = house.person()
    page = await person.sign_in(await person.go(house.app().authorization_url("patient/*.rs")))
    page = await person.send(page, "/patient", decision="choose")
    assert "Please choose a patient." in page.text


@pytest.mark.requirement("G-2", "S-5")
async def test_another_login_within_a_request_chooses_and_is_checked_anew(house: House) -> None:
    """The doctor chose pat-b; then the patient signs in on the same page: pat-b is gone."""
    app, person = house.app(), house.person()
    start = await person.go(app.authorization_url("patient/*.rs"))
    login = start.form("/login")
    await person.choose(await person.sign_in(start, "doctor"), "pat-b")
    pairs = [("csrf", login.value("csrf") or ""), ("username", "patient"), ("password", "demo")]
    page = await person.go(login.action, data=pairs)
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert answer["patient"] == "pat-a"


async def test_the_launch_is_told_in_json_that_can_be_read(house: House) -> None:
    told = orjson.loads((await ask_launch(house)).content)
    assert set(told) == {"launch", "iss", "launch_uri", "location"}
    assert handle_in(told["location"]) == told["launch"]
    assert CALLBACK not in told["location"]
