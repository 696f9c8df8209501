"""A user has the rights that they have now: not those of their login, of their consent or of a session."""

from typing import Any

import pytest

from tests.smart.admin import administer
from tests.smart.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCOPE = "openid fhirUser offline_access user/Patient.rs"
CLINICIAN = "Practitioner/practitioner-1"


async def put_user(house: House, username: str, fhir_user: str | None) -> None:
    """Add a user or put another in their place, as an operator does."""
    body: dict[str, Any] = {"username": username, "name": username, "password": "demo"}
    if fhir_user is not None:
        body["fhir_user"] = fhir_user
    assert (await administer(house, "POST", "/users", body)).status_code == 201


@pytest.mark.requirement("edge-56")
@pytest.mark.parametrize("following", [None, "Practitioner/practitioner-2"])
async def test_who_lost_their_rights_loses_them_at_once(house: House, following: str | None) -> None:
    await put_user(house, "leaver", CLINICIAN)
    app = house.app()
    answer = await house.tokens(app, SCOPE, user="leaver")
    assert (await app.read("/Patient/pat-a", answer["access_token"])).status_code == 200
    await put_user(house, "leaver", following)
    assert (await app.read("/Patient/pat-a", answer["access_token"])).status_code == 401
    assert (await app.refresh(answer["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.requirement("edge-56")
async def test_who_lost_their_rights_loses_them_at_the_exchange_of_a_code(house: House) -> None:
    await put_user(house, "early-leaver", CLINICIAN)
    app = house.app()
    code = await house.code(app, SCOPE, user="early-leaver")
    await put_user(house, "early-leaver", None)
    assert (await app.exchange(code)).json()["error"] == "invalid_grant"


async def test_another_password_or_name_ends_nothing(house: House) -> None:
    await put_user(house, "stayer", CLINICIAN)
    app = house.app()
    answer = await house.tokens(app, SCOPE, user="stayer")
    await put_user(house, "stayer", CLINICIAN)
    assert (await app.read("/Patient/pat-a", answer["access_token"])).status_code == 200
    assert (await app.refresh(answer["refresh_token"])).status_code == 200


async def test_a_session_has_no_more_rights_than_its_user(house: House) -> None:
    await put_user(house, "mover", CLINICIAN)
    person = house.person()
    await house.code(house.app(), "openid", user="mover", person=person)
    await put_user(house, "mover", None)
    page = await person.go(house.app().authorization_url("openid user/Patient.rs"))
    assert "user/Patient.rs" not in page.html
    assert "pat-a" not in (await person.go(f"{house.issuer}/apps")).html


@pytest.mark.requirement("G-2", "edge-45")
@pytest.mark.parametrize("following", [None, "Patient/pat-a"])
async def test_a_consent_page_left_open_gives_no_more_than_its_user_may_by_now(
    house: House, following: str | None
) -> None:
    await put_user(house, "turncoat", CLINICIAN)
    person, page = await house.consent_page(house.app(), "patient/Patient.rs", user="turncoat", patient="pat-b")
    await put_user(house, "turncoat", following)
    page = await person.agree(page)
    assert page.left_for is None or "code" not in page.parameters, "pat-b was chosen by who could see pat-b"
