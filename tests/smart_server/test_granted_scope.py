"""Requested scopes and context, and what of them is granted, shown and enforced."""

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.smart_server.capability_proofs import launch_tokens, read_status
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

LABORATORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


@pytest.mark.requirement("SC-12", "SC-42", "SC-44")
async def test_who_somebody_is_can_be_asked_by_openid_alone_and_the_resource_only_beside_it(
    server: RunningServer,
) -> None:
    """fhirUser needs openid and a user with a FHIR resource. `profile` is its name in SMART 1.0."""
    without = await server.request_tokens(server.app(), "fhirUser user/Patient.r")
    assert (without["scope"], "id_token" in without) == ("user/Patient.r", False)
    nobody = await server.request_tokens(server.app(), "openid fhirUser", user="clerk")
    assert (nobody["scope"], "id_token" in nobody) == ("openid", True)
    old = await server.request_tokens(server.app(), "openid profile")
    claims = await id_token(server, old)
    assert claims["fhirUser"] == f"{server.base}/Practitioner/practitioner-1"
    assert "fhirUser" not in await id_token(server, nobody)


async def id_token(server: RunningServer, answer: dict[str, Any]) -> dict[str, Any]:
    """The verified claims of the id_token of this response."""
    keys = KeySet.import_key_set((await server.http.get(f"{server.issuer}/jwks")).json())
    return dict(jwt.decode(answer["id_token"], keys, algorithms=["RS256"]).claims)


@pytest.mark.requirement("E-7", "S-4")
async def test_a_patient_is_asked_for_though_no_launch_scope_names_one(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    page = await person.sign_in(await person.open(app.authorization_url("patient/Patient.r")))
    page = await person.agree(await person.choose_patient(page, "pat-b"))
    answer = (await app.exchange(page.parameters["code"])).json()
    assert (answer["patient"], set(answer["scope"].split())) == ("pat-b", {"launch/patient", "patient/Patient.r"})


@pytest.mark.requirement("SC-37", "SC-38", "SC-39", "SC-41", "SC-43", "LC-16", "LC-18")
async def test_a_role_that_means_nothing_here_still_brings_the_context_there_is(server: RunningServer) -> None:
    """The whole launch context is returned, for any requested type and role (docs/smart.md "Launch roles")."""
    study = {"reference": "ImagingStudy/9"}
    scope = "launch launch/patient launch/imagingstudy?role=https://ehr.example/prior patient/Patient.r offline_access"
    answer = await launch_tokens(server, scope, patient="pat-a", fhirContext=[study])
    assert answer["fhirContext"] == [study]
    assert set(answer["scope"].split()) == set(scope.split())
    assert "refresh_token" in answer
    assert await read_status(server, "/ImagingStudy/9", answer) == 403
    unasked = await launch_tokens(
        server, "launch patient/Patient.r", patient="pat-a", fhirContext=[study], intent="review"
    )
    assert (unasked["fhirContext"], unasked["intent"]) == ([study], "review")


@pytest.mark.requirement("SC-1", "SC-31", "SC-32", "SC-33", "A-15", "G-2")
async def test_the_scope_that_is_told_is_the_one_that_is_enforced(server: RunningServer) -> None:
    """The scope of token response, enforcement and introspection is the granted one, not the requested one."""
    requested = "openid launch/patient patient/*.cruds system/*.rs patient/Nothing.rs __unknown offline_access"
    app = server.app("https://symmetric.example")
    answer = await server.request_tokens(app, requested)
    assert set(answer["scope"].split()) == {"openid", "launch/patient", "patient/*.cruds", "offline_access"}
    introspected = (await app.post("/introspect", {"token": answer["access_token"]})).json()
    assert introspected["scope"] == answer["scope"]
    assert await read_status(server, "/Observation/pat-a-smoking", answer) == 200
    assert await read_status(server, "/Patient/pat-b", answer) == 404
    written = await server.http.post(
        f"{server.base}/Observation",
        json={"resourceType": "Observation", "subject": {"reference": "Patient/pat-b"}},
        headers={"authorization": f"Bearer {answer['access_token']}", "content-type": "application/fhir+json"},
    )
    assert written.status_code == 403


@pytest.mark.requirement("SC-35", "G-6", "G-7")
async def test_neither_redirects_nor_tokens_carry_scopes(server: RunningServer) -> None:
    kinds = [f"patient/Observation.rs?category={LABORATORY}&code=http://loinc.org|{one}" for one in range(100)]
    scope = " ".join(["launch/patient", *kinds])
    app, person = server.app(), server.person()
    parameters = list(app.authorization_parameters(scope).items())
    page = await person.sign_in(await person.open(f"{server.issuer}/authorize", data=parameters))
    page = await person.agree(await person.choose_patient(page, "pat-a"))
    assert set(page.parameters) == {"code", "state", "iss"}
    answer = (await app.exchange(page.parameters["code"])).json()
    assert len(answer["scope"].split()) == 101
    small = await server.request_tokens(server.app(), "patient/Patient.r")
    tokens = {answer["access_token"], small["access_token"]}
    assert len(tokens) == 2
    # 256 random bits in URL-safe characters, and a prefix.
    assert {len(token) for token in tokens} == {len(answer["access_token"])}
    assert 43 <= len(answer["access_token"]) < 64


@pytest.mark.requirement("R-12")
async def test_the_purpose_of_an_app_is_shown_to_who_decides(server: RunningServer) -> None:
    _, page = await server.open_consent_page(server.app(), "patient/Patient.r")
    assert "Shows how a child grows." in page.text


@pytest.mark.requirement("SC-30")
async def test_a_star_is_said_to_be_everything_also_what_comes_later(server: RunningServer) -> None:
    _, page = await server.open_consent_page(server.app(), "patient/*.rs")
    assert "now and in future" in page.text


@pytest.mark.requirement("SC-9", "SC-14", "T-8")
async def test_a_scope_in_both_forms_is_echoed_in_both_by_every_grant(server: RunningServer) -> None:
    app, both = server.app(), "patient/Patient.read patient/Patient.rs"
    person, page = await server.open_consent_page(app, f"launch/patient offline_access {both}")
    assert page.text.count("Patient.r") == 1, "one question"
    tokens = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert set(both.split()) <= set(tokens["scope"].split())
    refreshed = (await app.refresh(tokens["refresh_token"])).json()
    assert refreshed["scope"] == tokens["scope"]
    backend = server.app("backend")
    system = "system/Patient.read system/Patient.rs"
    granted = (await backend.post("/token", {"grant_type": "client_credentials", "scope": system})).json()["scope"]
    assert granted.split() == system.split()
