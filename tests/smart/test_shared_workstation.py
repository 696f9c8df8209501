"""Two people at one browser: what one of them left open does nothing once that one has signed out."""

import pytest

from tests.smart.house import House
from tests.smart.person import Page, Person

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "openid fhirUser offline_access launch/patient patient/Patient.rs"
SIGNED_OUT = "You are not signed in any more. Please sign in to go on."


async def sign_out(house: House, person: Person) -> None:
    """Sign out in another tab."""
    manage = await person.go(f"{house.issuer}/manage")
    assert "You are signed out" in (await person.send(manage, "/sign-out")).text


async def sign_in_elsewhere(house: House, person: Person, username: str) -> None:
    """Sign in for another app in another tab."""
    page = await person.go(house.app("other-app").authorization_url("openid", prompt="login"))
    await person.sign_in(page, username)


def has_picker(page: Page) -> bool:
    """Whether patients are shown."""
    return any(one.action.endswith("/patient") for one in page.forms)


async def test_a_consent_page_left_open_grants_nothing_after_its_user_signed_out(house: House) -> None:
    person, page = await house.consent_page(house.app(), SCOPE)
    await sign_out(house, person)
    after = await person.agree(page)
    assert after.left_for is None
    assert SIGNED_OUT in after.text
    chosen = await person.sign_in(after, "nurse")
    assert has_picker(chosen), "whom the one before chose is chosen no more"


async def test_a_request_left_open_shows_nothing_after_its_user_signed_out(house: House) -> None:
    person = house.person()
    page = await person.sign_in(await person.go(house.app().authorization_url(SCOPE)))
    await sign_out(house, person)
    for again in (await person.go(page.url), await person.go(f"{page.url}/patient?name=a"),
                  await person.choose(page, "pat-a")):  # fmt: skip
        assert again.form("/login").action
        assert not has_picker(again)


async def test_a_consent_page_left_open_grants_nothing_after_somebody_else_signed_in(house: House) -> None:
    app = house.app()
    person, page = await house.consent_page(app, SCOPE)
    await sign_in_elsewhere(house, person, "nurse")
    after = await person.agree(page)
    assert after.left_for is None
    assert "Somebody else has signed in" in after.text
    assert has_picker(after)
    page = await person.agree(await person.choose(after, "pat-b"))
    answer = (await app.exchange(page.parameters["code"])).json()
    assert answer["patient"] == "pat-b"


async def test_a_login_for_one_request_is_none_for_another_that_wants_its_own(house: House) -> None:
    app, person = house.app(), house.person()
    page = await person.sign_in(await person.go(app.authorization_url("openid", prompt="login")))
    await sign_in_elsewhere(house, person, "nurse")
    after = await person.agree(page)
    assert after.form("/login").action


async def test_who_signs_in_again_goes_on_where_they_were(house: House) -> None:
    app = house.app()
    person, page = await house.consent_page(app, SCOPE)
    await sign_in_elsewhere(house, person, "doctor")
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert answer["patient"] == "pat-a"
