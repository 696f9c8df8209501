"""The patient and encounter pickers of standalone launches."""

import pytest

from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest.mark.requirement("S-1", "S-2", "S-3", "S-4", "S-5", "edge-33")
async def test_patient_scopes_alone_bring_the_picker_and_tell_the_patient(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    page = await person.sign_in(await person.open(app.authorization_url("patient/*.rs")))
    assert page.form("/patient").action
    answer = (
        await app.exchange((await person.agree(await person.choose_patient(page, "pat-b"))).parameters["code"])
    ).json()
    assert answer["patient"] == "pat-b"
    assert set(answer["scope"].split()) == {"launch/patient", "patient/*.rs"}


@pytest.mark.requirement("edge-34")
async def test_user_scopes_alone_need_no_picker(server: RunningServer) -> None:
    answer = await server.request_tokens(server.app(), "user/*.rs")
    assert "patient" not in answer
    assert answer["scope"] == "user/*.rs"


@pytest.mark.requirement("S-2", "LC-3", "edge-32")
async def test_the_encounter_picker_offers_the_patients_visits(server: RunningServer, visits: dict[str, str]) -> None:
    scope = "launch/patient launch/encounter patient/Encounter.rs"
    for chosen in (visits["pat-a"], ""):
        app, person = server.app(), server.person()
        page = await person.choose_patient(
            await person.sign_in(await person.open(app.authorization_url(scope))), "pat-a"
        )
        form = page.form("/encounter")
        assert visits["pat-a"] in form.choices["encounter"]
        assert visits["pat-b"] not in form.choices["encounter"]
        page = await person.agree(await person.submit(page, "/encounter", encounter=chosen, decision="choose"))
        answer = (await app.exchange(page.parameters["code"])).json()
        assert answer.get("encounter") == (chosen or None)
        assert ("encounter" in answer) is bool(chosen)
        assert ("launch/encounter" in answer["scope"].split()) is bool(chosen)


@pytest.mark.requirement("edge-41", "edge-42", "SC-39", "SC-40", "SC-41")
async def test_other_launch_scopes_are_understood_and_do_no_harm(server: RunningServer) -> None:
    scope = "launch/list?role=https://ex.example/unknown launch/ImagingStudy launch/list?role=a&role=b openid"
    answer = await server.request_tokens(server.app(), scope)
    assert "launch/ImagingStudy" not in answer["scope"]
    assert "role=a" not in answer["scope"]
    assert "openid" in answer["scope"].split()


@pytest.mark.requirement("S-5", "edge-45")
@pytest.mark.parametrize("patient", ["pat-b", "nobody", "Patient/pat-a", "../pat-b", "pat-a,pat-b", "é", "openid"])
async def test_a_patient_that_was_not_offered_cannot_be_chosen(server: RunningServer, patient: str) -> None:
    app, person = server.app(), server.person()
    page = await person.sign_in(await person.open(app.authorization_url("patient/*.rs openid")))
    nobody = await person.open(f"{page.form('/patient').action}?name=Nobodyatall")
    assert not [form for form in nobody.forms if "patient" in form.choices]
    refused = await person.open(
        page.form("/patient").action,
        data=[("csrf", page.form("/patient").value("csrf") or ""), ("patient", patient), ("decision", "choose")],
    )
    assert refused.status == 400
    assert "choice_not_offered" in refused.text
    assert refused.left_for is None


@pytest.mark.requirement("S-5", "edge-45")
async def test_a_patient_that_is_sent_to_another_form_is_not_taken(
    server: RunningServer, visits: dict[str, str]
) -> None:
    app, person = server.app(), server.person()
    scope = "launch/patient launch/encounter patient/*.rs openid"
    page = await person.sign_in(await person.open(app.authorization_url(scope)))
    form = page.form("/patient")
    csrf = ("csrf", form.value("csrf") or "")
    request_url = form.action.removesuffix("/patient")
    for step, pairs in (
        ("/encounter", [csrf, ("encounter", "pat-a"), ("decision", "choose")]),
        ("/encounter", [csrf, ("encounter", visits["pat-a"]), ("decision", "choose")]),
        ("/patient", [csrf, ("patient", "pat-a"), ("patient", "pat-b"), ("decision", "choose")]),
        ("/consent", [csrf, ("patient", "pat-b"), ("use-0", "all"), ("decision", "allow")]),
        ("/login", [csrf, ("patient", "pat-b"), ("username", "doctor"), ("password", "wrong")]),
    ):
        answer = await person.open(request_url + step, data=pairs)
        assert answer.left_for is None
        assert answer.status == 400 or answer.form("/patient").action, step
    page = await person.choose_patient(await person.open(request_url), "pat-a")
    refused = await person.submit(page, "/encounter", encounter=visits["pat-b"], decision="choose")
    assert refused.status == 400
    page = await person.submit(
        await person.open(request_url), "/encounter", encounter=visits["pat-a"], decision="choose"
    )
    page = await person.submit(page, "/consent", patient="pat-b", encounter=visits["pat-b"], **{"use-0": "all"},
                             decision="allow")  # fmt: skip
    answer = (await app.exchange(page.parameters["code"])).json()
    assert (answer["patient"], answer["encounter"]) == ("pat-a", visits["pat-a"])


@pytest.mark.requirement("S-5", "G-2")
async def test_a_patient_sees_no_picker_and_cannot_be_another(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    page = await person.sign_in(await person.open(app.authorization_url("launch/patient patient/*.rs")), "patient")
    assert page.title.startswith("Your decision")
    request_url = page.form("/consent").action.removesuffix("/consent")
    pairs = [("csrf", page.form("/consent").value("csrf") or ""), ("patient", "pat-b"), ("decision", "choose")]
    assert (await person.open(f"{request_url}/patient", data=pairs)).status == 400
    answer = (await app.exchange((await person.agree(await person.open(request_url))).parameters["code"])).json()
    assert answer["patient"] == "pat-a"


@pytest.mark.requirement("S-6")
@pytest.mark.parametrize("step", ["/login", "/patient", "/encounter"])
async def test_who_cancels_sends_the_app_away(server: RunningServer, step: str) -> None:
    app, person = server.app(), server.person()
    page = await person.open(app.authorization_url("launch/patient launch/encounter patient/*.rs"))
    if step != "/login":
        page = await person.sign_in(page)
    if step == "/encounter":
        page = await person.choose_patient(page, "pat-a")
    answer = await person.submit(page, step, decision="cancel")
    assert answer.parameters["error"] == "access_denied"
    second = await person.open(page.url)
    assert second.title.startswith("The app got no access"), "a request that was answered is over"


async def test_a_picker_without_a_choice_asks_once_more(server: RunningServer) -> None:
    person = server.person()
    page = await person.sign_in(await person.open(server.app().authorization_url("patient/*.rs")))
    page = await person.submit(page, "/patient", decision="choose")
    assert "Please choose a patient." in page.text


@pytest.mark.requirement("G-2", "S-5")
async def test_another_login_within_a_request_chooses_and_is_checked_anew(server: RunningServer) -> None:
    """After the doctor chose pat-b, the patient signs in on the same page: pat-b is discarded."""
    app, person = server.app(), server.person()
    start = await person.open(app.authorization_url("patient/*.rs"))
    login = start.form("/login")
    await person.choose_patient(await person.sign_in(start, "doctor"), "pat-b")
    pairs = [("csrf", login.value("csrf") or ""), ("username", "patient"), ("password", "demo")]
    page = await person.open(login.action, data=pairs)
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert answer["patient"] == "pat-a"
