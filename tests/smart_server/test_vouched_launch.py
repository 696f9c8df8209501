"""Launches by a launcher that vouches for its user."""

import pytest

from tests.smart_server.ehr_launcher import create_launch, create_vouched_launch, launch_error, post_launch
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch patient/Observation.rs"


@pytest.mark.requirement("E-4")
async def test_a_trusted_launcher_spares_its_user_the_login(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    handle = await create_vouched_launch(server, person, user="doctor", context={"patient": "pat-a"})
    page = await person.open(app.authorization_url(f"{SCOPE} openid fhirUser", launch=handle))
    assert page.title.startswith("Your decision")
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert answer["patient"] == "pat-a"
    assert "id_token" in answer
    elsewhere = await person.open(app.authorization_url("openid"))
    assert elsewhere.form("/login").action, "the launch let nobody in but for itself"


async def test_a_trusted_launcher_may_name_users_of_its_own(server: RunningServer) -> None:
    user = {"subject": "d-7", "name": "Dr Dora of the EHR", "fhirUser": f"{server.base}/Practitioner/practitioner-2"}
    app, person = server.app("https://symmetric.example"), server.person()
    handle = await create_vouched_launch(
        server, person, client_id=app.client_id, user=user, context={"patient": "pat-a"}
    )
    page = await person.open(app.authorization_url(f"{SCOPE} openid fhirUser", launch=handle))
    assert "Dr Dora of the EHR" in page.text
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    introspected = (await app.post("/introspect", {"token": answer["access_token"]})).json()
    assert introspected["sub"] == "trusted-ehr|d-7"
    assert introspected["fhirUser"] == f"{server.base}/Practitioner/practitioner-2"


async def test_a_launcher_that_is_not_trusted_spares_nobody_the_login(server: RunningServer) -> None:
    handle = await create_launch(server, "ehr", user="doctor", context={"patient": "pat-a"})
    page = await server.person().open(server.app().authorization_url(SCOPE, launch=handle))
    assert page.form("/login").action


@pytest.mark.requirement("E-9")
async def test_the_app_of_a_vouched_launch_cannot_agree_in_the_place_of_the_user(server: RunningServer) -> None:
    """The app knows the handle, and opens the launch in its own browser."""
    app, person, robot = server.app(), server.person(), server.person()
    handle = await create_vouched_launch(server, person, user="doctor", context={"patient": "pat-a"})
    page = await robot.open(app.authorization_url(f"{SCOPE} openid fhirUser", launch=handle))
    assert page.form("/login").action


async def test_the_way_past_us_to_the_app_is_gone_once(server: RunningServer) -> None:
    body = (await post_launch(server, "trusted-ehr", user="doctor")).json()
    assert body["launch"] not in body["location"], "whoever knows the handle cannot go that way"
    person = server.person()
    assert (await person.open(body["location"])).parameters["launch"] == body["launch"]
    second = await server.person().open(body["location"])
    assert (second.left_for, second.status) == (None, 400)
    assert "launch_over" in second.html


async def test_a_vouched_launch_lasts_a_minute(server: RunningServer, later: AdjustableClock) -> None:
    handle = await create_launch(server, "trusted-ehr", user="doctor", context={"patient": "pat-a"})
    later.advance(61)
    assert await launch_error(server, handle) == "invalid_request"


@pytest.mark.requirement("A-21")
@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}])
async def test_an_app_that_wants_a_login_gets_one_whoever_vouches(server: RunningServer, asked: dict[str, str]) -> None:
    app, person = server.app(), server.person()
    handle = await create_vouched_launch(server, person, user="doctor", context={"patient": "pat-a"})
    page = await person.open(app.authorization_url(SCOPE, launch=handle, **asked))
    page = await person.sign_in(page, "nurse")
    assert page.parameters["error"] == "invalid_request", "the launch is still the doctor's"


@pytest.mark.requirement("E-8", "RF-2", "edge-62")
async def test_online_access_of_a_vouched_user_ends_with_a_session_that_nobody_prolongs(
    server: RunningServer, later: AdjustableClock
) -> None:
    app, person = server.app(), server.person()
    handle = await create_vouched_launch(server, person, user="doctor", context={"patient": "pat-a"})
    answer = await server.request_tokens(app, f"{SCOPE} online_access", launch=handle, person=person)
    assert "online_access" in answer["scope"].split()
    later.advance(1500)
    refreshed = await app.refresh(answer["refresh_token"])
    assert refreshed.status_code == 200
    later.advance(400)
    ended = await app.refresh(refreshed.json()["refresh_token"])
    assert (ended.status_code, ended.json()["error"]) == (400, "invalid_grant")
