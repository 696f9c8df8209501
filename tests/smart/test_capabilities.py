"""Every capability that discovery lists, proven by doing what it promises (checklist 1.4)."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.smart.house import LAUNCHER_SECRET, House
from tests.smart.person import Person

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

LABORATORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
# The sets of the conformance page; each list of alternatives needs one that is there.
SETS: dict[str, list[set[str]]] = {
    "a patient's app, standalone": [
        {"launch-standalone"}, {"client-public", "client-confidential-symmetric"},
        {"context-standalone-patient"}, {"permission-patient"},
    ],
    "a patient's app in a portal": [
        {"launch-ehr"}, {"client-public", "client-confidential-symmetric"}, {"context-ehr-patient"},
        {"permission-patient"},
    ],
    "a clinician's app, standalone": [
        {"launch-standalone"}, {"client-public", "client-confidential-symmetric"}, {"permission-user"},
        {"permission-patient"},
    ],
    "a clinician's app in an EHR": [
        {"launch-ehr"}, {"client-public", "client-confidential-symmetric"}, {"context-ehr-patient"},
        {"context-ehr-encounter"}, {"permission-user"}, {"permission-patient"},
    ],
}  # fmt: skip


async def launch(house: House, *, user: str | None = None, **context: Any) -> str:
    """The handle of a launch of the public app; a user named is vouched for."""
    launcher = ("trusted-ehr" if user is not None else "ehr", LAUNCHER_SECRET)
    body = {"client_id": "public-app", "context": context, **({"user": user} if user is not None else {})}
    answer = await house.http.post(f"{house.issuer}/launch", json=body, auth=launcher)
    assert answer.status_code == 201, answer.text
    query = parse_qs(urlsplit(answer.json()["location"]).query)
    assert query["iss"] == [house.base]
    (handle,) = query["launch"]
    return str(handle)


async def launched(house: House, scope: str, **context: Any) -> dict[str, Any]:
    """The token response of a launch with this context."""
    return await house.tokens(house.app(), scope, launch=await launch(house, **context))


async def status(house: House, path: str, answer: dict[str, Any]) -> int:
    """How a FHIR request with this answer's token ends."""
    return (await house.app().read(path, answer["access_token"])).status_code


async def launch_ehr(house: House) -> None:
    answer = await launched(house, "launch patient/Patient.r", patient="pat-b")
    assert answer["patient"] == "pat-b"
    assert await status(house, "/Patient/pat-b", answer) == 200


async def launch_standalone(house: House) -> None:
    answer = await house.tokens(house.app(), "launch/patient patient/Patient.r", patient="pat-b")
    assert answer["patient"] == "pat-b"
    assert await status(house, "/Patient/pat-b", answer) == 200


async def authorize_post(house: House) -> None:
    app, person = house.app(), house.person()
    parameters = list(app.authorization_parameters("patient/Patient.r").items())
    page = await person.sign_in(await person.go(f"{house.issuer}/authorize", data=parameters))
    page = await person.agree(await person.choose(page, "pat-a"))
    assert (await app.exchange(page.parameters["code"])).status_code == 200


async def client_public(house: House) -> None:
    app = house.app("public-app")
    assert app.secret is None
    assert app.key is None
    assert "access_token" in await house.tokens(app, "patient/Patient.r")


async def client_symmetric(house: House) -> None:
    app = house.app("https://symmetric.example")
    assert app.secret is not None
    assert "access_token" in await house.tokens(app, "patient/Patient.r")
    impostor = house.app("https://symmetric.example", secret="another")
    code = await house.code(impostor, "patient/Patient.r")
    assert (await impostor.exchange(code)).json()["error"] == "invalid_client"


async def client_asymmetric(house: House) -> None:
    app = house.app("asymmetric-app")
    assert app.key is not None
    assert "access_token" in await house.tokens(app, "patient/Patient.r")
    backend = house.app("backend")
    form: dict[str, str | None] = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
    answer = (await backend.post("/token", form)).json()
    assert await status(house, "/Patient/pat-b", answer) == 200


async def sso_openid_connect(house: House) -> None:
    answer = await house.tokens(house.app(), "openid fhirUser patient/Patient.r")
    document = (await house.http.get(f"{house.base}/.well-known/smart-configuration")).json()
    keys = KeySet.import_key_set((await house.http.get(document["jwks_uri"])).json())
    claims = jwt.decode(answer["id_token"], keys, algorithms=["RS256"]).claims
    assert claims["iss"] == document["issuer"]
    assert claims["fhirUser"] == f"{house.base}/Practitioner/practitioner-1"


async def context_banner(house: House) -> None:
    for needed in (True, False):
        answer = await launched(house, "launch patient/Patient.r", patient="pat-a", need_patient_banner=needed)
        assert answer["need_patient_banner"] is needed


async def context_style(house: House) -> None:
    style = "https://ehr.example/style/3f9c.json"
    answer = await launched(house, "launch patient/Patient.r", patient="pat-a", smart_style_url=style)
    assert answer["smart_style_url"] == style


async def context_ehr_patient(house: House) -> None:
    answer = await launched(house, "launch patient/Observation.rs", patient="pat-b")
    assert answer["patient"] == "pat-b"
    assert await status(house, "/Observation/pat-a-smoking", answer) == 404


async def context_ehr_encounter(house: House) -> None:
    context = {"patient": "pat-a", "encounter": "pat-a-encounter-1"}
    answer = await launched(house, "launch patient/Encounter.r", **context)
    assert {name: answer[name] for name in context} == context


async def context_standalone_patient(house: House) -> None:
    answer = await house.tokens(house.app(), "launch/patient openid", patient="pat-b")
    assert answer["patient"] == "pat-b"


async def context_standalone_encounter(house: House) -> None:
    app, person = house.app(), house.person()
    page = await person.go(app.authorization_url("launch/encounter patient/Encounter.r"))
    page = await person.choose(await person.sign_in(page), "pat-a")
    page = await person.send(page, "/encounter", encounter="pat-a-encounter-1", decision="choose")
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert answer["encounter"] == "pat-a-encounter-1"


async def sign_out(house: House, person: Person) -> None:
    """The person leaves by the button of the list of grants."""
    page = await person.go(f"{house.issuer}/manage")
    assert (await person.send(page, "/sign-out")).status == 200


async def permission_offline(house: House) -> None:
    app, person = house.app(), house.person()
    answer = await house.tokens(app, "offline_access patient/Patient.r", person=person)
    assert "offline_access" in answer["scope"].split()
    await sign_out(house, person)
    again = await app.refresh(answer["refresh_token"])
    assert await status(house, "/Patient/pat-a", again.json()) == 200


async def permission_online(house: House) -> None:
    app, person = house.app(), house.person()
    handle = await launch(house, patient="pat-a")
    answer = await house.tokens(app, "launch online_access patient/Patient.r", person=person, launch=handle)
    assert "online_access" in answer["scope"].split()
    again = (await app.refresh(answer["refresh_token"])).json()
    assert await status(house, "/Patient/pat-a", again) == 200
    await sign_out(house, person)
    assert (await app.refresh(again["refresh_token"])).json()["error"] == "invalid_grant"


async def permission_patient(house: House) -> None:
    answer = await house.tokens(house.app(), "patient/Patient.r", patient="pat-a")
    assert await status(house, "/Patient/pat-a", answer) == 200
    assert await status(house, "/Patient/pat-b", answer) == 404


async def permission_user(house: House) -> None:
    answer = await house.tokens(house.app(), "user/Patient.r")
    assert "patient" not in answer
    for patient in ("pat-a", "pat-b"):
        assert await status(house, f"/Patient/{patient}", answer) == 200


async def permission_v1(house: House) -> None:
    answer = await house.tokens(house.app(), "launch/patient patient/Observation.read patient/Patient.*")
    assert set(answer["scope"].split()) == {"launch/patient", "patient/Observation.read", "patient/Patient.read"}
    assert await status(house, "/Observation", answer) == 200


async def permission_v2(house: House) -> None:
    scope = f"launch/patient patient/Observation.rs?category={LABORATORY}"
    answer = await house.tokens(house.app(), scope)
    assert answer["scope"] == scope
    assert await status(house, "/Observation/pat-a-observation-1", answer) == 200
    assert await status(house, "/Observation/pat-a-smoking", answer) == 404


PROOFS: dict[str, Callable[[House], Awaitable[None]]] = {
    "launch-ehr": launch_ehr,
    "launch-standalone": launch_standalone,
    "authorize-post": authorize_post,
    "client-public": client_public,
    "client-confidential-symmetric": client_symmetric,
    "client-confidential-asymmetric": client_asymmetric,
    "sso-openid-connect": sso_openid_connect,
    "context-banner": context_banner,
    "context-style": context_style,
    "context-ehr-patient": context_ehr_patient,
    "context-ehr-encounter": context_ehr_encounter,
    "context-standalone-patient": context_standalone_patient,
    "context-standalone-encounter": context_standalone_encounter,
    "permission-offline": permission_offline,
    "permission-online": permission_online,
    "permission-patient": permission_patient,
    "permission-user": permission_user,
    "permission-v1": permission_v1,
    "permission-v2": permission_v2,
}


@pytest.mark.requirement("C-1", "C-2", "C-3", "C-4", "C-5", "C-6", "C-7", "C-8", "RF-2", "SC-8", "SC-9", "SC-19")
@pytest.mark.parametrize("prove", PROOFS.values(), ids=PROOFS)
async def test_a_capability_that_is_listed_works(house: House, prove: Callable[[House], Awaitable[None]]) -> None:
    await prove(house)


async def capabilities(house: House) -> set[str]:
    """What discovery lists."""
    return set((await house.http.get(f"{house.base}/.well-known/smart-configuration")).json()["capabilities"])


@pytest.mark.requirement("C-9", "C-12", "D-24", "SC-10", "suite-D3")
async def test_what_is_listed_is_what_is_proven_here(house: House) -> None:
    assert await capabilities(house) == set(PROOFS)


@pytest.mark.requirement("C-10")
@pytest.mark.parametrize("members", SETS.values(), ids=SETS)
async def test_a_capability_set_is_whole(house: House, members: list[set[str]]) -> None:
    listed = await capabilities(house)
    assert all(one & listed for one in members)


@pytest.mark.requirement("SC-12", "SC-42", "SC-44")
async def test_who_somebody_is_can_be_asked_by_openid_alone_and_the_resource_only_beside_it(house: House) -> None:
    """Neither without openid nor for a user without a resource; profile is the old name of fhirUser."""
    without = await house.tokens(house.app(), "fhirUser user/Patient.r")
    assert (without["scope"], "id_token" in without) == ("user/Patient.r", False)
    nobody = await house.tokens(house.app(), "openid fhirUser", user="clerk")
    assert (nobody["scope"], "id_token" in nobody) == ("openid", True)
    old = await house.tokens(house.app(), "openid profile")
    claims = await id_token(house, old)
    assert claims["fhirUser"] == f"{house.base}/Practitioner/practitioner-1"
    assert "fhirUser" not in await id_token(house, nobody)


async def id_token(house: House, answer: dict[str, Any]) -> dict[str, Any]:
    """The claims of the answer's id_token, its signature checked."""
    keys = KeySet.import_key_set((await house.http.get(f"{house.issuer}/jwks")).json())
    return dict(jwt.decode(answer["id_token"], keys, algorithms=["RS256"]).claims)


@pytest.mark.requirement("E-7", "S-4")
async def test_a_patient_is_asked_for_though_no_launch_scope_names_one(house: House) -> None:
    app, person = house.app(), house.person()
    page = await person.sign_in(await person.go(app.authorization_url("patient/Patient.r")))
    page = await person.agree(await person.choose(page, "pat-b"))
    answer = (await app.exchange(page.parameters["code"])).json()
    assert (answer["patient"], set(answer["scope"].split())) == ("pat-b", {"launch/patient", "patient/Patient.r"})


@pytest.mark.requirement("SC-37", "SC-38", "SC-39", "SC-41", "SC-43", "LC-16", "LC-18")
async def test_a_role_that_means_nothing_here_still_brings_the_context_there_is(house: House) -> None:
    """All context of the launch is told, whatever was asked for by type and role (docs/smart.md "Launch roles")."""
    study = {"reference": "ImagingStudy/9"}
    scope = "launch launch/patient launch/imagingstudy?role=https://ehr.example/prior patient/Patient.r offline_access"
    answer = await launched(house, scope, patient="pat-a", fhirContext=[study])
    assert answer["fhirContext"] == [study]
    assert set(answer["scope"].split()) == set(scope.split())
    assert "refresh_token" in answer
    assert await status(house, "/ImagingStudy/9", answer) == 403
    unasked = await launched(house, "launch patient/Patient.r", patient="pat-a", fhirContext=[study], intent="review")
    assert (unasked["fhirContext"], unasked["intent"]) == ([study], "review")


@pytest.mark.requirement("SC-1", "SC-31", "SC-32", "SC-33", "A-15", "G-2")
async def test_the_scope_that_is_told_is_the_one_that_is_enforced(house: House) -> None:
    """Asked for all kinds, granted less, and told, enforced and introspected as granted."""
    asked = "openid launch/patient patient/*.cruds system/*.rs patient/Nothing.rs __unknown offline_access"
    app = house.app("https://symmetric.example")
    answer = await house.tokens(app, asked)
    assert set(answer["scope"].split()) == {"openid", "launch/patient", "patient/*.rs", "offline_access"}
    told = (await app.post("/introspect", {"token": answer["access_token"]})).json()
    assert told["scope"] == answer["scope"]
    assert await status(house, "/Observation/pat-a-smoking", answer) == 200
    assert await status(house, "/Patient/pat-b", answer) == 404
    written = await house.http.post(
        f"{house.base}/Observation",
        json={"resourceType": "Observation"},
        headers={"authorization": f"Bearer {answer['access_token']}"},
    )
    assert written.status_code == 403


@pytest.mark.requirement("SC-35", "G-6", "G-7")
async def test_neither_redirects_nor_tokens_carry_scopes(house: House) -> None:
    kinds = [f"patient/Observation.rs?category={LABORATORY}&code=http://loinc.org|{one}" for one in range(100)]
    scope = " ".join(["launch/patient", *kinds])
    app, person = house.app(), house.person()
    parameters = list(app.authorization_parameters(scope).items())
    page = await person.sign_in(await person.go(f"{house.issuer}/authorize", data=parameters))
    page = await person.agree(await person.choose(page, "pat-a"))
    assert set(page.parameters) == {"code", "state", "iss"}
    answer = (await app.exchange(page.parameters["code"])).json()
    assert len(answer["scope"].split()) == 101
    small = await house.tokens(house.app(), "patient/Patient.r")
    tokens = {answer["access_token"], small["access_token"]}
    assert len(tokens) == 2
    # 256 random bits in URL-safe characters, and a few that say what it is.
    assert {len(one) for one in tokens} == {len(answer["access_token"])}
    assert 43 <= len(answer["access_token"]) < 64


@pytest.mark.requirement("R-12")
async def test_the_purpose_of_an_app_is_shown_to_who_decides(house: House) -> None:
    _, page = await house.consent_page(house.app(), "patient/Patient.r")
    assert "Shows how a child grows." in page.text


@pytest.mark.requirement("SC-30")
async def test_a_star_is_said_to_be_everything_also_what_comes_later(house: House) -> None:
    _, page = await house.consent_page(house.app(), "patient/*.rs")
    assert "now and in future" in page.text
