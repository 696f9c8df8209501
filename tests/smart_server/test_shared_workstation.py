"""Two users at one browser: pages that one left open have no effect after that user signed out."""

import pytest

from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "openid fhirUser offline_access launch/patient patient/Patient.rs"
SIGNED_OUT = "You are no longer signed in. Please sign in to continue."


async def sign_out(server: RunningServer, person: Person) -> None:
    """Sign out in another tab."""
    manage = await person.open(f"{server.issuer}/manage")
    assert "You are signed out" in (await person.submit(manage, "/sign-out")).text


async def sign_in_elsewhere(server: RunningServer, person: Person, username: str) -> None:
    """Sign in for another app in another tab."""
    page = await person.open(server.app("other-app").authorization_url("openid", prompt="login"))
    await person.sign_in(page, username)


def has_picker(page: Page) -> bool:
    """Whether the page shows patients to choose."""
    return any(form.action.endswith("/patient") for form in page.forms)


async def test_a_consent_page_left_open_grants_nothing_after_its_user_signed_out(server: RunningServer) -> None:
    person, page = await server.open_consent_page(server.app(), SCOPE)
    await sign_out(server, person)
    after = await person.agree(page)
    assert after.left_for is None
    assert SIGNED_OUT in after.text
    chosen = await person.sign_in(after, "nurse")
    assert has_picker(chosen), "the choice of the previous user is dropped"


async def test_a_request_left_open_shows_nothing_after_its_user_signed_out(server: RunningServer) -> None:
    person = server.person()
    page = await person.sign_in(await person.open(server.app().authorization_url(SCOPE)))
    await sign_out(server, person)
    for following_page in (await person.open(page.url), await person.open(f"{page.url}/patient?name=a"),
                  await person.choose_patient(page, "pat-a")):  # fmt: skip
        assert following_page.form("/login").action
        assert not has_picker(following_page)


async def test_a_consent_page_left_open_grants_nothing_after_somebody_else_signed_in(server: RunningServer) -> None:
    app = server.app()
    person, page = await server.open_consent_page(app, SCOPE)
    await sign_in_elsewhere(server, person, "nurse")
    after = await person.agree(page)
    assert after.left_for is None
    assert "Somebody else has signed in" in after.text
    assert has_picker(after)
    page = await person.agree(await person.choose_patient(after, "pat-b"))
    answer = (await app.exchange(page.parameters["code"])).json()
    assert answer["patient"] == "pat-b"


async def test_a_login_for_one_request_is_none_for_another_that_wants_its_own(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    page = await person.sign_in(await person.open(app.authorization_url("openid", prompt="login")))
    await sign_in_elsewhere(server, person, "nurse")
    after = await person.agree(page)
    assert after.form("/login").action


async def test_who_signs_in_again_goes_on_where_they_were(server: RunningServer) -> None:
    app = server.app()
    person, page = await server.open_consent_page(app, SCOPE)
    await sign_in_elsewhere(server, person, "doctor")
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert answer["patient"] == "pat-a"


async def test_a_colleagues_session_is_seen_in_the_picker_and_left_with_one_button(server: RunningServer) -> None:
    person = server.person()
    await sign_in_elsewhere(server, person, "doctor")
    page = await person.open(server.app().authorization_url(SCOPE))
    assert has_picker(page)
    assert "Signed in as Dr Dora Demo" in page.text
    after = await person.submit(page, "/switch-user")
    assert after.form("/login").action
    portal = await person.open(f"{server.issuer}/manage")
    assert portal.form("/sign-in").action, "the colleague is signed out of the browser"
    picker = await person.sign_in(await person.open(page.url), "nurse")
    assert has_picker(picker)
    assert "Dr Dora Demo" not in picker.text


async def test_a_foreign_page_cannot_sign_a_user_out_of_a_request(server: RunningServer) -> None:
    person = server.person()
    page = await person.sign_in(await person.open(server.app().authorization_url(SCOPE)))
    answer = await person.open(f"{page.url}/switch-user", data=[("csrf", "guessed")])
    assert "did not come from our own page" in answer.text
    assert has_picker(await person.open(page.url))
