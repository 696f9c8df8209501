"""A standalone launch from end to end: sign in, choose a patient, agree, and read only that patient's records."""

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.r"


@pytest.mark.requirement("S-1", "S-3", "T-7", "T-9", "LC-2")
@pytest.mark.parametrize("client_id", ["public-app", "https://symmetric.example", "asymmetric-app"])
async def test_an_app_of_each_kind_gets_what_was_agreed_to(server: RunningServer, client_id: str) -> None:
    app = server.app(client_id)
    answer = await server.request_tokens(app, SCOPE)
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 3600
    assert set(answer["scope"].split()) == set(SCOPE.split())
    assert answer["patient"] == "pat-a"
    assert "refresh_token" in answer
    own = await app.read("/Patient/pat-a", answer["access_token"])
    assert own.status_code == 200
    assert (await app.read("/Patient/pat-b", answer["access_token"])).status_code == 404
    assert (await app.read("/Condition", answer["access_token"])).status_code == 403
    bundle = (await app.read("/Observation", answer["access_token"])).json()
    assert bundle["entry"]
    subjects = {entry["resource"]["subject"]["reference"].partition("/_history/")[0] for entry in bundle["entry"]}
    assert subjects == {"Patient/pat-a"}


@pytest.mark.requirement("ID-1", "ID-2", "ID-3", "ID-4", "ID-6", "ID-7", "ID-10", "ID-11")
async def test_the_id_token_holds_and_names_the_user(server: RunningServer) -> None:
    app = server.app()
    answer = await server.request_tokens(app, SCOPE, nonce="n-0S6_WzA2Mj")
    openid = (await server.http.get(f"{server.issuer}/.well-known/openid-configuration")).json()
    keys = KeySet.import_key_set((await server.http.get(openid["jwks_uri"])).json())
    token = jwt.decode(answer["id_token"], keys, algorithms=["RS256"])
    claims = token.claims
    assert token.header["kid"] in {key.kid for key in keys.keys}
    assert claims["iss"] == server.issuer == openid["issuer"]
    assert claims["aud"] == "public-app"
    assert claims["sub"] == "doctor"
    assert claims["nonce"] == "n-0S6_WzA2Mj"
    assert claims["fhirUser"] == f"{server.base}/Practitioner/practitioner-1"
    read = await app.read("/Practitioner/practitioner-1", answer["access_token"])
    assert read.status_code == 200


@pytest.mark.requirement("S-5", "SC-43")
async def test_a_patient_needs_no_picker_and_sees_only_own_records(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    page = await person.open(app.authorization_url("launch/patient patient/*.rs"))
    page = await person.sign_in(page, "patient")
    page = await person.agree(page)
    answer = (await app.exchange(page.parameters["code"])).json()
    assert answer["patient"] == "pat-a"
    assert "refresh_token" not in answer


@pytest.mark.requirement("G-2")
async def test_a_user_without_a_record_of_their_own_can_grant_no_records(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    page = await person.sign_in(await person.open(app.authorization_url("patient/*.rs")), "clerk")
    assert page.parameters["error"] == "invalid_scope"


async def test_a_wrong_password_leaves_the_name_that_was_typed(server: RunningServer) -> None:
    person = server.person()
    page = await person.open(server.app().authorization_url("launch/patient patient/*.rs"))
    page = await person.sign_in(page, "doctor", "not this one")
    assert page.form("/login").value("username") == "doctor"
    assert "not right" in page.text
