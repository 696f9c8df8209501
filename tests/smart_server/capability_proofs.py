"""A function for each capability of smart-configuration that proves it by using it."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet

from tests.smart_server.person_in_browser import Person
from tests.smart_server.running_server import LAUNCHER_SECRET, STYLE_URL, RunningServer

LABORATORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


async def create_launch(server: RunningServer, *, user: str | None = None, **context: Any) -> str:
    """The handle of a launch of the public app. A user is vouched for."""
    launcher = ("trusted-ehr" if user is not None else "ehr", LAUNCHER_SECRET)
    body = {"client_id": "public-app", "context": context, **({"user": user} if user is not None else {})}
    answer = await server.http.post(f"{server.issuer}/launch", json=body, auth=launcher)
    assert answer.status_code == 201, answer.text
    query = parse_qs(urlsplit(answer.json()["location"]).query)
    assert query["iss"] == [server.base]
    (handle,) = query["launch"]
    return str(handle)


async def launch_tokens(server: RunningServer, scope: str, **context: Any) -> dict[str, Any]:
    """The token response of a launch with this context."""
    return await server.request_tokens(server.app(), scope, launch=await create_launch(server, **context))


async def read_status(server: RunningServer, path: str, answer: dict[str, Any]) -> int:
    """The HTTP status of a FHIR read with the access token of this response."""
    return (await server.app().read(path, answer["access_token"])).status_code


async def prove_launch_ehr(server: RunningServer) -> None:
    answer = await launch_tokens(server, "launch patient/Patient.r", patient="pat-b")
    assert answer["patient"] == "pat-b"
    assert await read_status(server, "/Patient/pat-b", answer) == 200


async def prove_launch_standalone(server: RunningServer) -> None:
    answer = await server.request_tokens(server.app(), "launch/patient patient/Patient.r", patient="pat-b")
    assert answer["patient"] == "pat-b"
    assert await read_status(server, "/Patient/pat-b", answer) == 200


async def prove_authorize_post(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    parameters = list(app.authorization_parameters("patient/Patient.r").items())
    page = await person.sign_in(await person.open(f"{server.issuer}/authorize", data=parameters))
    page = await person.agree(await person.choose_patient(page, "pat-a"))
    assert (await app.exchange(page.parameters["code"])).status_code == 200


async def prove_client_public(server: RunningServer) -> None:
    app = server.app("public-app")
    assert app.secret is None
    assert app.key is None
    assert "access_token" in await server.request_tokens(app, "patient/Patient.r")


async def prove_client_symmetric(server: RunningServer) -> None:
    app = server.app("https://symmetric.example")
    assert app.secret is not None
    assert "access_token" in await server.request_tokens(app, "patient/Patient.r")
    impostor = server.app("https://symmetric.example", secret="another")
    code = await server.request_code(impostor, "patient/Patient.r")
    assert (await impostor.exchange(code)).json()["error"] == "invalid_client"


async def prove_client_asymmetric(server: RunningServer) -> None:
    app = server.app("asymmetric-app")
    assert app.key is not None
    assert "access_token" in await server.request_tokens(app, "patient/Patient.r")
    backend = server.app("backend")
    form: dict[str, str | None] = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
    answer = (await backend.post("/token", form)).json()
    assert await read_status(server, "/Patient/pat-b", answer) == 200


async def prove_sso_openid_connect(server: RunningServer) -> None:
    answer = await server.request_tokens(server.app(), "openid fhirUser patient/Patient.r")
    document = (await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()
    keys = KeySet.import_key_set((await server.http.get(document["jwks_uri"])).json())
    claims = jwt.decode(answer["id_token"], keys, algorithms=["RS256"]).claims
    assert claims["iss"] == document["issuer"]
    assert claims["fhirUser"] == f"{server.base}/Practitioner/practitioner-1"


async def prove_context_banner(server: RunningServer) -> None:
    for needed in (True, False):
        answer = await launch_tokens(server, "launch patient/Patient.r", patient="pat-a", need_patient_banner=needed)
        assert answer["need_patient_banner"] is needed


async def prove_context_style(server: RunningServer) -> None:
    style = "https://ehr.example/style/3f9c.json"
    answer = await launch_tokens(server, "launch patient/Patient.r", patient="pat-a", smart_style_url=style)
    assert answer["smart_style_url"] == style
    launched = await launch_tokens(server, "launch patient/Patient.r", patient="pat-a")
    standalone = await server.request_tokens(server.app(), "launch/patient patient/Patient.r")
    assert launched["smart_style_url"] == standalone["smart_style_url"] == STYLE_URL


async def prove_context_ehr_patient(server: RunningServer) -> None:
    answer = await launch_tokens(server, "launch patient/Observation.rs", patient="pat-b")
    assert answer["patient"] == "pat-b"
    assert await read_status(server, "/Observation/pat-a-smoking", answer) == 404


async def prove_context_ehr_encounter(server: RunningServer) -> None:
    context = {"patient": "pat-a", "encounter": "pat-a-encounter-1"}
    answer = await launch_tokens(server, "launch patient/Encounter.r", **context)
    assert {name: answer[name] for name in context} == context


async def prove_context_standalone_patient(server: RunningServer) -> None:
    answer = await server.request_tokens(server.app(), "launch/patient openid", patient="pat-b")
    assert answer["patient"] == "pat-b"


async def prove_context_standalone_encounter(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    page = await person.open(app.authorization_url("launch/encounter patient/Encounter.r"))
    page = await person.choose_patient(await person.sign_in(page), "pat-a")
    page = await person.submit(page, "/encounter", encounter="pat-a-encounter-1", decision="choose")
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert answer["encounter"] == "pat-a-encounter-1"


async def sign_out(server: RunningServer, person: Person) -> None:
    """Sign out by the button on the page of granted access."""
    page = await person.open(f"{server.issuer}/manage")
    assert (await person.submit(page, "/sign-out")).status == 200


async def prove_permission_offline(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    answer = await server.request_tokens(app, "offline_access patient/Patient.r", person=person)
    assert "offline_access" in answer["scope"].split()
    await sign_out(server, person)
    second = await app.refresh(answer["refresh_token"])
    assert await read_status(server, "/Patient/pat-a", second.json()) == 200


async def prove_permission_online(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    handle = await create_launch(server, patient="pat-a")
    answer = await server.request_tokens(app, "launch online_access patient/Patient.r", person=person, launch=handle)
    assert "online_access" in answer["scope"].split()
    second = (await app.refresh(answer["refresh_token"])).json()
    assert await read_status(server, "/Patient/pat-a", second) == 200
    await sign_out(server, person)
    assert (await app.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"


async def prove_permission_patient(server: RunningServer) -> None:
    answer = await server.request_tokens(server.app(), "patient/Patient.r", patient="pat-a")
    assert await read_status(server, "/Patient/pat-a", answer) == 200
    assert await read_status(server, "/Patient/pat-b", answer) == 404


async def prove_permission_user(server: RunningServer) -> None:
    answer = await server.request_tokens(server.app(), "user/Patient.r")
    assert "patient" not in answer
    for patient in ("pat-a", "pat-b"):
        assert await read_status(server, f"/Patient/{patient}", answer) == 200


async def prove_permission_v1(server: RunningServer) -> None:
    answer = await server.request_tokens(server.app(), "launch/patient patient/Observation.read patient/Patient.*")
    assert set(answer["scope"].split()) == {"launch/patient", "patient/Observation.read", "patient/Patient.*"}
    assert await read_status(server, "/Observation", answer) == 200


async def prove_permission_v2(server: RunningServer) -> None:
    scope = f"launch/patient patient/Observation.rs?category={LABORATORY}"
    answer = await server.request_tokens(server.app(), scope)
    assert answer["scope"] == scope
    assert await read_status(server, "/Observation/pat-a-observation-1", answer) == 200
    assert await read_status(server, "/Observation/pat-a-smoking", answer) == 404


PROOFS: dict[str, Callable[[RunningServer], Awaitable[None]]] = {
    "launch-ehr": prove_launch_ehr,
    "launch-standalone": prove_launch_standalone,
    "authorize-post": prove_authorize_post,
    "client-public": prove_client_public,
    "client-confidential-symmetric": prove_client_symmetric,
    "client-confidential-asymmetric": prove_client_asymmetric,
    "sso-openid-connect": prove_sso_openid_connect,
    "context-banner": prove_context_banner,
    "context-style": prove_context_style,
    "context-ehr-patient": prove_context_ehr_patient,
    "context-ehr-encounter": prove_context_ehr_encounter,
    "context-standalone-patient": prove_context_standalone_patient,
    "context-standalone-encounter": prove_context_standalone_encounter,
    "permission-offline": prove_permission_offline,
    "permission-online": prove_permission_online,
    "permission-patient": prove_permission_patient,
    "permission-user": prove_permission_user,
    "permission-v1": prove_permission_v1,
    "permission-v2": prove_permission_v2,
}
