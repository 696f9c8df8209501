"""Tokens follow the current rights of a user, not those at login or consent."""

from typing import Any

import pytest

from tests.smart_server.admin_client import admin_request
from tests.smart_server.running_server import PASSWORD_HASH, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCOPE = "openid fhirUser offline_access user/Patient.rs"
CLINICIAN = "Practitioner/practitioner-1"


async def put_user(server: RunningServer, username: str, fhir_user: str | None, name: str = "Somebody") -> None:
    """Add or replace a user by the admin API. The password stays the same."""
    body: dict[str, Any] = {"username": username, "name": name, "password_hash": PASSWORD_HASH}
    if fhir_user is not None:
        body["fhir_user"] = fhir_user
    assert (await admin_request(server, "POST", "/users?replace=true", body)).status_code == 201


@pytest.mark.requirement("edge-56")
@pytest.mark.parametrize("following", [None, "Practitioner/practitioner-2"])
async def test_who_lost_their_rights_loses_them_at_once(server: RunningServer, following: str | None) -> None:
    await put_user(server, "leaver", CLINICIAN)
    app = server.app()
    answer = await server.request_tokens(app, SCOPE, user="leaver")
    assert (await app.read("/Patient/pat-a", answer["access_token"])).status_code == 200
    await put_user(server, "leaver", following)
    assert (await app.read("/Patient/pat-a", answer["access_token"])).status_code == 401
    assert (await app.refresh(answer["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.requirement("edge-56")
async def test_who_lost_their_rights_loses_them_at_the_exchange_of_a_code(server: RunningServer) -> None:
    await put_user(server, "early-leaver", CLINICIAN)
    app = server.app()
    code = await server.request_code(app, SCOPE, user="early-leaver")
    await put_user(server, "early-leaver", None)
    assert (await app.exchange(code)).json()["error"] == "invalid_grant"


async def test_another_name_ends_nothing(server: RunningServer) -> None:
    await put_user(server, "stayer", CLINICIAN)
    app = server.app()
    answer = await server.request_tokens(app, SCOPE, user="stayer")
    await put_user(server, "stayer", CLINICIAN, name="Somebody Else")
    assert (await app.read("/Patient/pat-a", answer["access_token"])).status_code == 200
    assert (await app.refresh(answer["refresh_token"])).status_code == 200


async def test_a_session_has_no_more_rights_than_its_user(server: RunningServer) -> None:
    await put_user(server, "mover", CLINICIAN)
    person = server.person()
    await server.request_code(server.app(), "openid", user="mover", person=person)
    await put_user(server, "mover", None)
    page = await person.open(server.app().authorization_url("openid user/Patient.rs"))
    assert "user/Patient.rs" not in page.html
    assert "pat-a" not in (await person.open(f"{server.issuer}/apps")).html


@pytest.mark.requirement("G-2", "edge-45")
@pytest.mark.parametrize("following", [None, "Patient/pat-a"])
async def test_a_consent_page_left_open_gives_no_more_than_its_user_may_by_now(
    server: RunningServer, following: str | None
) -> None:
    await put_user(server, "turncoat", CLINICIAN)
    person, page = await server.open_consent_page(server.app(), "patient/Patient.rs", user="turncoat", patient="pat-b")
    await put_user(server, "turncoat", following)
    page = await person.agree(page)
    assert page.left_for is None or "code" not in page.parameters, "pat-b was chosen by who could see pat-b"
