"""Aidbox's launch method `aidbox.smart/get-launch-uri`, from its first request to the records."""

import base64
from typing import Any

import httpx2
import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.smart_server.portal_user import read_patient_records
from tests.smart_server.running_server import CALLBACK, LAUNCH_URI, LAUNCHER_SECRET, RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch patient/Observation.rs openid fhirUser"
AS_LAUNCHER = ("ehr", LAUNCHER_SECRET)


async def call_rpc(
    server: RunningServer, launcher: str = "ehr", method: str = "aidbox.smart/get-launch-uri", **params: Any
) -> Any:
    """One call of Aidbox's RPC."""
    body = {"method": method, "params": {"client": "public-app", "iss": server.base, **params}}
    return await server.http.post(f"{server.root}/rpc", json=body, auth=(launcher, LAUNCHER_SECRET))


@pytest.mark.requirement("E-1", "E-2", "E-3", "E-9", "edge-29")
async def test_aidbox_launches_by_a_signed_launch_that_is_used_once(server: RunningServer) -> None:
    response = await call_rpc(server, user="doctor", ctx={"patient": "pat-a"})
    assert response.status_code == 200
    result = response.json()["result"]
    assert set(result) == {"uri", "launch", "iss", "launch-uri"}
    assert (result["iss"], result["launch-uri"]) == (server.base, LAUNCH_URI)
    assert dict(httpx2.URL(result["uri"]).params) == {"iss": server.base, "launch": result["launch"]}
    keys = KeySet.import_key_set((await server.http.get(f"{server.issuer}/jwks")).json())
    claims = jwt.decode(result["launch"], keys, algorithms=["RS256"]).claims
    assert (claims["client"], claims["user"], claims["ctx"]) == ("public-app", "doctor", {"patient": "pat-a"})
    assert claims["exp"] > 0
    assert (await read_patient_records(server, result["launch"]))["patient"] == "pat-a"
    page = await server.person().open(server.app().authorization_url(SCOPE, launch=result["launch"]))
    assert page.parameters["error"] == "invalid_request"


async def test_aidbox_signs_a_trusted_launchers_user_in(server: RunningServer) -> None:
    result = (await call_rpc(server, "trusted-ehr", user="doctor", ctx={"patient": "pat-b"})).json()["result"]
    person = server.person()
    opened = await person.open(result["uri"])
    assert opened.parameters == {"iss": server.base, "launch": result["launch"]}
    page = await person.open(server.app().authorization_url(SCOPE, launch=result["launch"]))
    assert page.form("/consent").action


@pytest.mark.requirement("edge-29")
async def test_aidbox_takes_no_launch_that_was_only_signed_or_changed(server: RunningServer) -> None:
    result = (await call_rpc(server, user="doctor", ctx={"patient": "pat-a"})).json()["result"]
    head, body, signature = result["launch"].split(".")
    claims = orjson.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    changed = base64.urlsafe_b64encode(orjson.dumps({**claims, "ctx": {"patient": "pat-b"}})).rstrip(b"=").decode()
    for forged in (f"{head}.{changed}.{signature}", f"{head}.{body}.", claims["jti"]):
        page = await server.person().open(server.app().authorization_url(SCOPE, launch=forged))
        assert page.parameters["error"] == "invalid_request"
    assert (await read_patient_records(server, result["launch"]))["patient"] == "pat-a"


@pytest.mark.parametrize(
    "params",
    [
        {"client": "nobody"},
        {"client": "backend"},
        {"client": None},
        {"iss": "https://evil.example/fhir"},
        {"ctx": "pat-a"},
        {"ctx": {"patient": "nobody"}},
        {"ctx": {"patient": "Patient/pat-a"}},
        {"user": 7},
    ],
    ids=str,
)
async def test_aidbox_refuses_what_cannot_be_launched(server: RunningServer, params: dict[str, Any]) -> None:
    response = await call_rpc(server, **params)
    assert response.status_code in {400, 422}
    assert set(response.json()) == {"error"}
    assert response.json()["error"]["message"]


async def test_aidbox_has_no_other_method_and_asks_who_calls(server: RunningServer) -> None:
    assert (await call_rpc(server, method="aidbox.users/create")).status_code == 422
    response = await server.http.post(f"{server.root}/rpc", json={})
    assert response.status_code == 401
    for content in (b"", b"{", b"[]", b"null", b'{"method":"aidbox.smart/get-launch-uri","params":[]}'):
        response = await server.http.post(f"{server.root}/rpc", content=content, auth=AS_LAUNCHER)
        assert response.status_code == 422


async def test_aidbox_clients_may_send_json_to_the_token_endpoint(server: RunningServer) -> None:
    app = server.app()
    body = {
        "grant_type": "authorization_code",
        "code": await server.request_code(app, "openid"),
        "redirect_uri": CALLBACK,
        "code_verifier": app.verifier,
        "client_id": app.client_id,
    }
    answer = await server.http.post(f"{server.issuer}/token", json=body)
    assert answer.status_code == 200
    assert "id_token" in answer.json()
