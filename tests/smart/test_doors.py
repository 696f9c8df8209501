"""The doors that users of other systems look for, each walked through from its first request to the records."""

import base64
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import orjson
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.oauth.pkce import challenge_of
from tests.smart.app import JWT_BEARER
from tests.smart.house import ASYMMETRIC_KEY, CALLBACK, LAUNCH_URI, LAUNCHER_SECRET, House, smart_house
from tests.smart.launcher import handle_in
from tests.smart.person import Person

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch patient/Observation.rs openid fhirUser"
AS_LAUNCHER = ("ehr", LAUNCHER_SECRET)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visit(fhir_server: str) -> str:
    """An encounter of pat-a."""
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
        bundle = (await client.get(f"{fhir_server}/Encounter", params={"patient": "Patient/pat-a"})).json()
    return str(bundle["entry"][0]["resource"]["id"])


async def signed_in(house: House, user: str = "doctor") -> Person:
    """Somebody who has signed in without an app."""
    person = house.person()
    await person.sign_in(await person.go(f"{house.issuer}/apps"), user)
    return person


async def records(house: House, handle: str, **options: Any) -> dict[str, Any]:
    """What the app gets that was opened with this handle; it must be the patient's records and nobody else's."""
    app = house.app()
    answer = await house.tokens(app, SCOPE, launch=handle, **options)
    found = (await app.read("/Observation", answer["access_token"])).json()
    subjects = {one["resource"]["subject"]["reference"] for one in found["entry"]}
    assert {one.partition("/_history")[0] for one in subjects} == {f"Patient/{answer['patient']}"}
    return answer


# Medplum: $smart-launch.


def door(house: House, client_id: str = "public-app", **parameters: str) -> str:
    """The address of Medplum's operation."""
    query = f"?{urlencode(parameters)}" if parameters else ""
    return f"{house.base}/ClientApplication/{client_id}/$smart-launch{query}"


@pytest.mark.requirement("E-1", "E-2", "E-3")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_medplum_launches_for_a_patient(house: House, method: str) -> None:
    response = await house.http.request(method, door(house, patient="pat-a"), auth=AS_LAUNCHER)
    assert response.status_code == 302
    url = httpx2.URL(response.headers["location"])
    assert str(url.copy_with(query=None)) == LAUNCH_URI
    assert url.params["iss"] == house.base
    assert (await records(house, url.params["launch"]))["patient"] == "pat-a"


async def test_medplum_launches_for_an_encounter_and_its_patient(house: House, visit: str) -> None:
    response = await house.http.get(door(house, encounter=visit), auth=AS_LAUNCHER)
    answer = await records(house, handle_in(response.headers["location"]))
    assert (answer["patient"], answer["encounter"]) == ("pat-a", visit)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"patient=pat-b", "application/x-www-form-urlencoded"),
        (
            b'{"resourceType":"Parameters","parameter":[{"name":"patient","valueString":"pat-b"}]}',
            "application/fhir+json",
        ),
    ],
    ids=["a form", "FHIR Parameters"],
)
async def test_medplum_reads_its_parameters_from_the_body(house: House, content: bytes, media_type: str) -> None:
    headers = {"content-type": media_type}
    response = await house.http.post(door(house), content=content, headers=headers, auth=AS_LAUNCHER)
    assert response.status_code == 302
    assert (await records(house, handle_in(response.headers["location"])))["patient"] == "pat-b"


async def test_medplum_opens_an_app_for_who_is_signed_in_and_nobody_else(house: House) -> None:
    doctor = await signed_in(house)
    response = await doctor.client.get(door(house, patient="pat-a"))
    assert response.status_code == 302
    handle = handle_in(response.headers["location"])
    page = await (await signed_in(house, "nurse")).go(house.app().authorization_url(SCOPE, launch=handle))
    assert page.parameters["error"] == "invalid_request"
    again = await doctor.client.get(door(house, patient="pat-a"))
    answer = await records(house, handle_in(again.headers["location"]), person=doctor)
    assert answer["patient"] == "pat-a"


ELSEWHERE = {
    "a link of another site": ("GET", {"sec-fetch-site": "cross-site"}),
    "a link of a neighbour": ("GET", {"sec-fetch-site": "same-site"}),
    "a form of another site": ("POST", {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}),
    "a form, in a browser that says less": ("POST", {"origin": "https://evil.example"}),
    "a form of nobody": ("POST", {"origin": "null"}),
}


@pytest.mark.parametrize(("method", "headers"), ELSEWHERE.values(), ids=ELSEWHERE)
async def test_another_site_opens_no_app_for_who_is_signed_in(
    house: House, method: str, headers: dict[str, str]
) -> None:
    doctor, address = await signed_in(house), door(house, patient="pat-a")
    response = await doctor.client.request(method, address, headers=headers)
    assert response.status_code == 403
    assert response.json()["resourceType"] == "OperationOutcome"
    response = await doctor.client.request(method, address, headers=headers, auth=AS_LAUNCHER)
    assert response.status_code == 302, "a launcher is asked for its secret and for nothing else"


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_our_own_pages_and_a_bookmark_open_an_app(house: House, site: str) -> None:
    doctor = await signed_in(house)
    response = await doctor.client.get(door(house, patient="pat-a"), headers={"sec-fetch-site": site})
    assert response.status_code == 302


WRONG = {
    "no client": ("/ClientApplication/$smart-launch?patient=pat-a", 400),
    "a client without a launch URI": ("/ClientApplication/backend/$smart-launch?patient=pat-a", 400),
    "both parameters": ("/ClientApplication/public-app/$smart-launch?patient=pat-a&encounter=x", 400),
    "an unknown client": ("/ClientApplication/nobody/$smart-launch?patient=pat-a", 404),
    "an unknown patient": ("/ClientApplication/public-app/$smart-launch?patient=nobody", 400),
    "an unknown encounter": ("/ClientApplication/public-app/$smart-launch?encounter=nobody", 400),
    "an encounter that is no id": ("/ClientApplication/public-app/$smart-launch?encounter=..%2FPatient%2Fpat-b", 400),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("path", "status"), WRONG.values(), ids=WRONG)
async def test_medplum_refuses_with_an_operation_outcome(house: House, path: str, status: int, method: str) -> None:
    response = await house.http.request(method, house.base + path, auth=AS_LAUNCHER)
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/fhir+json")
    assert response.json()["resourceType"] == "OperationOutcome"
    assert "location" not in response.headers


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b'{"parameter":[1,{"name":1},{"name":"patient"}]}'])
async def test_medplum_reads_broken_parameters_without_a_fault(house: House, content: bytes) -> None:
    headers = {"content-type": "application/fhir+json"}
    response = await house.http.post(door(house), content=content, headers=headers, auth=AS_LAUNCHER)
    assert response.status_code in {302, 400}


async def test_medplum_opens_for_nobody_who_does_not_prove_who_they_are(house: House) -> None:
    for auth in ({}, {"authorization": "Basic ZWhyOndyb25n"}, {"authorization": "Bearer x"}):
        response = await house.http.get(door(house, patient="pat-a"), headers=auth)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Basic ")
        assert response.json()["issue"][0]["code"] == "login"


# Aidbox: aidbox.smart/get-launch-uri.


async def rpc(house: House, launcher: str = "ehr", method: str = "aidbox.smart/get-launch-uri", **params: Any) -> Any:
    """One call of Aidbox's RPC."""
    body = {"method": method, "params": {"client": "public-app", "iss": house.base, **params}}
    return await house.http.post(f"{house.root}/rpc", json=body, auth=(launcher, LAUNCHER_SECRET))


@pytest.mark.requirement("E-1", "E-2", "E-3", "E-9", "edge-29")
async def test_aidbox_launches_by_a_signed_launch_that_is_used_once(house: House) -> None:
    response = await rpc(house, user="doctor", ctx={"patient": "pat-a"})
    assert response.status_code == 200
    result = response.json()["result"]
    assert set(result) == {"uri", "launch", "iss", "launch-uri"}
    assert (result["iss"], result["launch-uri"]) == (house.base, LAUNCH_URI)
    assert dict(httpx2.URL(result["uri"]).params) == {"iss": house.base, "launch": result["launch"]}
    keys = KeySet.import_key_set((await house.http.get(f"{house.issuer}/jwks")).json())
    claims = jwt.decode(result["launch"], keys, algorithms=["RS256"]).claims
    assert (claims["client"], claims["user"], claims["ctx"]) == ("public-app", "doctor", {"patient": "pat-a"})
    assert claims["exp"] > 0
    assert (await records(house, result["launch"]))["patient"] == "pat-a"
    page = await house.person().go(house.app().authorization_url(SCOPE, launch=result["launch"]))
    assert page.parameters["error"] == "invalid_request"


async def test_aidbox_signs_a_trusted_launchers_user_in(house: House) -> None:
    result = (await rpc(house, "trusted-ehr", user="doctor", ctx={"patient": "pat-b"})).json()["result"]
    person = house.person()
    opened = await person.go(result["uri"])
    assert opened.parameters == {"iss": house.base, "launch": result["launch"]}
    page = await person.go(house.app().authorization_url(SCOPE, launch=result["launch"]))
    assert page.form("/consent").action


@pytest.mark.requirement("edge-29")
async def test_aidbox_takes_no_launch_that_was_only_signed_or_changed(house: House) -> None:
    result = (await rpc(house, user="doctor", ctx={"patient": "pat-a"})).json()["result"]
    head, body, signature = result["launch"].split(".")
    claims = orjson.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    changed = base64.urlsafe_b64encode(orjson.dumps({**claims, "ctx": {"patient": "pat-b"}})).rstrip(b"=").decode()
    for forged in (f"{head}.{changed}.{signature}", f"{head}.{body}.", claims["jti"]):
        page = await house.person().go(house.app().authorization_url(SCOPE, launch=forged))
        assert page.parameters["error"] == "invalid_request"
    assert (await records(house, result["launch"]))["patient"] == "pat-a"


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
async def test_aidbox_refuses_what_cannot_be_launched(house: House, params: dict[str, Any]) -> None:
    response = await rpc(house, **params)
    assert response.status_code in {400, 422}
    assert set(response.json()) == {"error"}
    assert response.json()["error"]["message"]


async def test_aidbox_has_no_other_method_and_asks_who_calls(house: House) -> None:
    assert (await rpc(house, method="aidbox.users/create")).status_code == 422
    response = await house.http.post(f"{house.root}/rpc", json={})
    assert response.status_code == 401
    for content in (b"", b"{", b"[]", b"null", b'{"method":"aidbox.smart/get-launch-uri","params":[]}'):
        response = await house.http.post(f"{house.root}/rpc", content=content, auth=AS_LAUNCHER)
        assert response.status_code == 422


async def test_aidbox_clients_may_send_json_to_the_token_endpoint(house: House) -> None:
    app = house.app()
    body = {
        "grant_type": "authorization_code",
        "code": await house.code(app, "openid"),
        "redirect_uri": CALLBACK,
        "code_verifier": app.verifier,
        "client_id": app.client_id,
    }
    answer = await house.http.post(f"{house.issuer}/token", json=body)
    assert answer.status_code == 200
    assert "id_token" in answer.json()


# OpenMRS: a page of apps, from which one is started by a click.


async def test_the_gallery_starts_an_app_by_one_click(house: House) -> None:
    person = await signed_in(house)
    page = await person.go(f"{house.issuer}/apps?patient=pat-a")
    assert "Growth Chart" in page.text
    assert "Backend" not in page.text, "an app that cannot be launched"
    form = next(one for one in page.forms if one.value("client") == "public-app")
    opened = await person.go(form.action, data=form.fields)
    assert opened.left_for is not None
    assert opened.left_for.startswith(f"{LAUNCH_URI}?")
    assert opened.parameters["iss"] == house.base
    answer = await records(house, opened.parameters["launch"], person=person)
    assert answer["patient"] == "pat-a"
    assert answer["need_patient_banner"] is True


async def test_the_gallery_of_a_patient_opens_apps_for_that_patient_alone(house: House) -> None:
    person = await signed_in(house, "patient")
    page = await person.go(f"{house.issuer}/apps?patient=pat-b")
    form = next(one for one in page.forms if one.value("client") == "public-app")
    assert form.value("patient") == "pat-a"
    pairs = [(name, "pat-b" if name == "patient" else value) for name, value in form.fields]
    opened = await person.go(form.action, data=pairs)
    answer = await records(house, opened.parameters["launch"], person=person)
    assert answer["patient"] == "pat-a"


async def test_the_gallery_opens_nothing_that_is_not_there(house: House) -> None:
    person = await signed_in(house)
    page = await person.go(f"{house.issuer}/apps")
    form = next(one for one in page.forms if one.value("client") == "public-app")
    for change, reason in (
        ({"client": "nobody"}, "client_unknown"),
        ({"client": ""}, "client_unknown"),
        ({"client": "backend"}, "no such launch URI"),
        ({"patient": "nobody"}, "not on the FHIR server"),
        ({"patient": "Patient/pat-a"}, "not on the FHIR server"),
    ):
        pairs = [(name, change.get(name, value)) for name, value in form.fields]
        answer = await person.go(form.action, data=pairs)
        assert answer.left_for is None
        assert reason in answer.text, change


# HL7's worked example of a confidential symmetric client, request by request; only host names are changed.

MY_APP, MY_SECRET = "my-app", "my-app-secret-123"
AFTER_AUTH = "https://myapp.example.org/after-auth"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def example(fhir_server: str) -> AsyncIterator[House]:
    """A server with the registration of the example."""

    def change(settings: dict[str, Any]) -> None:
        entry = {"client_id": MY_APP, "name": "My App", "type": "confidential-symmetric", "client_secret": MY_SECRET}
        settings["smart_server"]["clients"].append({**entry, "redirect_uris": [AFTER_AUTH]})

    async with smart_house(fhir_server, change=change) as running:
        yield running


@pytest.mark.requirement("WE-1", "A-1", "CS-1", "T-1", "T-2", "T-3", "T-7", "RF-1", "RF-7", "LC-22", "D-1")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_published_example_of_a_symmetric_client_works(example: House, method: str) -> None:
    house, http = example, example.http
    discovery = await http.get(f"{house.base}/.well-known/smart-configuration", headers={"accept": "application/json"})
    told = discovery.json()
    verifier = "o28xyrYY7-lGYfnKwRjHEZWlFIPlzVnFPYMWbH-g_BsNnQNem-IAg9fDh92X0KtvHCPO5_C-RJd2QhApKQ-2cRp-S_W3qmTidTEPkeWyniKQSF9Q_k10Q5wMc8fGzoyF"  # noqa: E501
    request = {
        "response_type": "code",
        "client_id": MY_APP,
        "scope": "launch/patient patient/Observation.rs patient/Patient.rs offline_access",
        "redirect_uri": AFTER_AUTH,
        "aud": house.base,
        "state": "98wrghuwuogerg97",
        "code_challenge": "YPXe7B8ghKrj8PsT4L6ltupgI12NQJ5vblB07F4rGaw",
        "code_challenge_method": "S256",
    }
    assert challenge_of(verifier) == request["code_challenge"]
    person = house.person()
    if method == "GET":
        page = await person.go(f"{told['authorization_endpoint']}?{urlencode(request)}")
    else:
        page = await person.go(told["authorization_endpoint"], data=list(request.items()))
    page = await person.agree(await person.choose(await person.sign_in(page), "pat-a"))
    assert page.left_for is not None
    assert page.left_for.startswith(f"{AFTER_AUTH}?code=")
    assert page.parameters["state"] == "98wrghuwuogerg97"
    basic = {
        "authorization": "Basic bXktYXBwOm15LWFwcC1zZWNyZXQtMTIz",
        "content-type": "application/x-www-form-urlencoded",
    }
    body = (
        f"grant_type=authorization_code&code={page.parameters['code']}"
        f"&redirect_uri=https%3A%2F%2Fmyapp.example.org%2Fafter-auth&code_verifier={verifier}"
    )
    answer = await http.post(told["token_endpoint"], content=body, headers=basic)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    token = answer.json()
    assert token["token_type"] == "Bearer"
    assert set(token["scope"].split()) == set(request["scope"].split())
    assert token["patient"] == "pat-a"
    query = {"code": "4548-4", "_count": "2"}
    found = await http.get(
        f"{house.base}/Observation",
        params=query,
        headers={"accept": "application/json", "authorization": f"Bearer {token['access_token']}"},
    )
    assert found.status_code == 200
    assert found.json()["type"] == "searchset"
    body = f"grant_type=refresh_token&refresh_token={token['refresh_token']}"
    renewed = await http.post(told["token_endpoint"], content=body, headers=basic)
    assert renewed.status_code == 200
    assert renewed.json()["access_token"] != token["access_token"]
    assert {name: renewed.json()[name] for name in ("patient", "scope", "token_type")} == {
        name: token[name] for name in ("patient", "scope", "token_type")
    }


@pytest.mark.requirement("WE-1", "PK-3", "T-3")
async def test_the_published_example_of_a_public_client_works(house: House) -> None:
    app = house.app()
    code = await house.code(app, "launch/patient patient/Observation.rs patient/Patient.rs offline_access")
    form = {"code": code, "grant_type": "authorization_code", "redirect_uri": CALLBACK,
            "code_verifier": app.verifier, "client_id": "public-app"}  # fmt: skip
    token = (await house.http.post(f"{house.issuer}/token", data=form)).json()
    assert token["patient"] == "pat-a"
    form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"], "client_id": "public-app"}
    renewed = (await house.http.post(f"{house.issuer}/token", data=form)).json()
    assert renewed["patient"] == "pat-a"
    assert (await app.read("/Patient/pat-a", renewed["access_token"])).status_code == 200


@pytest.mark.requirement("WE-1", "CA-5", "CA-6")
async def test_the_published_example_of_an_asymmetric_client_works(house: House) -> None:
    app = house.app("asymmetric-app")
    assert app.key is ASYMMETRIC_KEY
    code = await house.code(app, "launch/patient patient/Observation.rs patient/Patient.rs offline_access")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": app.verifier,
            "client_assertion_type": JWT_BEARER, "client_assertion": app.assertion()}  # fmt: skip
    token = (await house.http.post(f"{house.issuer}/token", data=form)).json()
    assert token["patient"] == "pat-a"
    form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"],
            "client_assertion_type": JWT_BEARER, "client_assertion": app.assertion()}  # fmt: skip
    renewed = await house.http.post(f"{house.issuer}/token", data=form)
    assert renewed.status_code == 200
    assert (await app.read("/Patient/pat-a", renewed.json()["access_token"])).status_code == 200


@pytest.mark.requirement("WE-3", "BS-1", "BS-2", "BS-4", "BS-6", "BS-7", "BS-9")
async def test_the_published_example_of_a_backend_service_works(house: House) -> None:
    app = house.app("backend")
    form = {"scope": "system/Patient.rs", "grant_type": "client_credentials", "client_assertion_type": JWT_BEARER,
            "client_assertion": app.assertion()}  # fmt: skip
    answer = await house.http.post(f"{house.issuer}/token", data=form)
    assert answer.status_code == 200
    token = answer.json()
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 300, "system/Patient.rs")
    assert "refresh_token" not in token
    for patient in ("pat-a", "pat-b"):
        assert (await app.read(f"/Patient/{patient}", token["access_token"])).status_code == 200
    assert (await app.read("/Observation", token["access_token"])).status_code == 403


@pytest.mark.requirement("A-1")
async def test_a_backend_service_has_nothing_to_ask_a_person(house: House) -> None:
    response = await house.http.get(house.app("backend").authorization_url("system/Patient.rs"))
    assert response.status_code == 400
    assert "location" not in response.headers
    assert dict(parse_qsl(urlsplit(str(response.url)).query))["client_id"] == "backend"
