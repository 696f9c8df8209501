"""Who may use which app state: by the token, its scopes, the codes of the app, and whom it is about (AS-13..AS-17)."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.credentials.development_key import load_or_create_key, public_jwks, sign_access_token
from tests.proxy.running_gateway import ISSUER
from tests.smart_server.app_states import (
    ORIGIN,
    PATIENT_SCOPE,
    USER_SCOPE,
    StateApp,
    backend_app,
    keep_app_state,
    reason,
    state_app,
    with_token,
)
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest.mark.requirement("AS-13")
async def test_only_tokens_of_this_server_open_it(keeping: RunningServer) -> None:
    for token, status, code in (("sga_unknown", 401, "token_inactive"), ("x.y.z", 401, "token_malformed")):
        response = await with_token(keeping, token).search()
        assert (response.status_code, reason(response)) == (status, code)
    response = await keeping.http.get(f"{keeping.root}/app-state/Basic")
    assert (response.status_code, reason(response)) == (401, "token_missing")


@pytest.mark.requirement("AS-13")
async def test_a_token_of_another_issuer_does_not_open_it_whatever_client_it_names(
    fhir_server: str, tmp_path: Path
) -> None:
    key, jwks_file = load_or_create_key(tmp_path / "key.json"), tmp_path / "jwks.json"
    jwks_file.write_text(json.dumps(public_jwks(key)), encoding="ascii")

    def change(settings: dict[str, Any]) -> None:
        keep_app_state(settings)
        base = settings["public_base_url"]
        settings["issuers"] = [{"issuer": ISSUER, "audiences": [base], "jwks_file": str(jwks_file)}]

    async with run_smart_server(fhir_server, change=change) as server:
        claims = {"iss": ISSUER, "aud": server.base, "sub": "x", "client_id": "state-app", "patient": "pat-a"}
        scope, end = "patient/Basic.cuds patient/Patient.r", int(time.time()) + 600
        foreign = with_token(server, sign_access_token(key, {**claims, "scope": scope, "exp": end}))
        assert (await server.app().read("/Patient/pat-a", foreign.token)).status_code == 200
        for response in (await foreign.search(), await foreign.create()):
            assert (response.status_code, reason(response)) == (401, "token_issuer_unknown")


@pytest.mark.requirement("AS-13", "AS-16")
async def test_a_token_needs_the_letter_of_the_request(keeping: RunningServer, app: StateApp) -> None:
    stored = (await app.create()).json()
    reading = await state_app(keeping, scope="launch/patient patient/Basic.s")
    assert await reading.found() == [stored]
    for response in (await reading.create(), await reading.update(stored), await reading.delete(stored)):
        assert (response.status_code, reason(response)) == (403, "scope_insufficient")
        assert 'scope="patient/Basic.' in response.headers["www-authenticate"]
    writing = await state_app(keeping, scope="launch/patient patient/Basic.c")
    assert (await writing.search()).status_code == 403
    assert (await writing.create()).status_code == 201


@pytest.mark.requirement("AS-14", "AS-16", "edge-156")
async def test_apps_of_one_origin_share_state_and_others_see_nothing(keeping: RunningServer, app: StateApp) -> None:
    stored = (await app.create()).json()
    sister = await state_app(keeping, "sister-app")
    assert await sister.found() == [stored]
    for client_id in ("foreign-app", "two-homes-app", "closed-app"):
        foreign = await state_app(keeping, client_id)
        refused = (await foreign.search(), await foreign.create())
        assert [(each.status_code, reason(each)) for each in refused] == [(403, "app_state_out_of_reach")] * 2
        # A change tells no more of state that is there than of state that is not.
        unknown = {**stored, "id": "0" * 32 + "-" + "0" * 16}
        for change in (foreign.update, foreign.delete):
            answers = [await change(each) for each in (stored, unknown)]
            assert {(each.status_code, each.content) for each in answers} == {(412, answers[0].content)}
    assert await app.found() == [stored]


@pytest.mark.requirement("AS-14")
async def test_a_companion_may_query_what_another_app_keeps(keeping: RunningServer, app: StateApp) -> None:
    stored = (await app.create()).json()
    companion = await state_app(keeping, "companion-app")
    assert await companion.found() == [stored]
    assert (await companion.create()).status_code == 403
    assert (await companion.delete(stored)).status_code == 412
    assert await app.found() == [stored]


@pytest.mark.requirement("AS-14", "AS-17")
async def test_state_about_another_patient_is_out_of_reach(keeping: RunningServer, app: StateApp) -> None:
    stored = (await app.create()).json()
    other = await state_app(keeping, patient="pat-b")
    for response in (await other.search(), await other.create(), await app.create("Patient/pat-b")):
        assert (response.status_code, reason(response)) == (403, "app_state_out_of_reach")
    assert (await other.update(stored)).status_code == 412
    assert await other.found("Patient/pat-b") == []


@pytest.mark.requirement("AS-14", "AS-17")
async def test_state_about_a_user_is_that_users(keeping: RunningServer) -> None:
    doctor = await state_app(keeping, scope=USER_SCOPE)
    nurse = await state_app(keeping, scope=USER_SCOPE, user="nurse")
    stored = (await doctor.create("Practitioner/practitioner-1")).json()
    assert await doctor.found("Practitioner/practitioner-1") == [stored]
    for about in ("Practitioner/practitioner-1", "Patient/pat-a"):
        for response in (await nurse.search(about), await nurse.create(about)):
            assert (response.status_code, reason(response)) == (403, "app_state_out_of_reach")
    assert (await nurse.delete(stored)).status_code == 412
    assert (await doctor.delete(stored)).status_code == 204


@pytest.mark.requirement("AS-14", "AS-15", "AS-17")
async def test_global_state_is_changed_by_apps_of_administrators_alone(keeping: RunningServer) -> None:
    admin = await state_app(keeping, "admin-app", USER_SCOPE)
    reader = await state_app(keeping, scope=USER_SCOPE, user="nurse")
    stored = (await admin.create(None, code="config")).json()
    assert "subject" not in stored
    assert await reader.found(None, code="config") == [stored]
    assert (await reader.create(None, code="config")).status_code == 403
    assert (await reader.update(stored)).status_code == 412
    backend = await backend_app(keeping)
    assert await backend.found(None, code="config") == [stored]
    assert (await backend.search()).status_code == 403
    assert (await backend.delete(stored)).status_code == 204
    # A patient/ scope reaches no global state.
    assert (await (await state_app(keeping)).search(None)).status_code == 403


@pytest.mark.requirement("AS-16", "AS-17")
async def test_a_scope_for_one_code_reaches_no_other(keeping: RunningServer, app: StateApp) -> None:
    one, other = (await app.create()).json(), (await app.create(code="other")).json()
    scope = f"launch/patient patient/Basic.cuds?code={ORIGIN}|preferences"
    narrow = await state_app(keeping, scope=scope)
    assert await narrow.found() == [one]
    assert await narrow.found(code="other") == []
    assert (await narrow.create(code="other")).status_code == 403
    assert (await narrow.delete(other)).status_code == 412
    assert (await app.delete(other)).status_code == 204


@pytest.mark.requirement("AS-14")
async def test_an_app_that_registered_itself_has_no_codes_until_an_operator_gives_them(fhir_server: str) -> None:
    def change(settings: dict[str, Any]) -> None:
        keep_app_state(settings)
        settings["smart_server"]["registration"] = True

    async with run_smart_server(fhir_server, change=change) as server:
        metadata = {"redirect_uris": [f"{ORIGIN}/callback"], "token_endpoint_auth_method": "none", "client_name": "X"}
        response = await server.http.post(f"{server.issuer}/register", json=metadata)
        registered = server.app(response.json()["client_id"], redirect_uri=f"{ORIGIN}/callback")
        tokens = await server.request_tokens(registered, PATIENT_SCOPE)
        refused = await with_token(server, tokens["access_token"]).create()
        assert (refused.status_code, reason(refused)) == (403, "app_state_out_of_reach")
