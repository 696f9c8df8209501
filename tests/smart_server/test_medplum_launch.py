"""Medplum's launch operation `$smart-launch`, from its first request to the records."""

from urllib.parse import quote, urlencode

import httpx2
import pytest
import pytest_asyncio

from tests.smart_server.admin_client import replace_client
from tests.smart_server.ehr_launcher import launch_handle
from tests.smart_server.portal_user import read_patient_records, sign_in_to_portal
from tests.smart_server.running_server import LAUNCH_URI, LAUNCHER_SECRET, RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch patient/Observation.rs openid fhirUser"
AS_LAUNCHER = ("ehr", LAUNCHER_SECRET)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visit(fhir_server: str) -> str:
    """An encounter of pat-a."""
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
        bundle = (await client.get(f"{fhir_server}/Encounter", params={"patient": "Patient/pat-a"})).json()
    return str(bundle["entry"][0]["resource"]["id"])


def launch_url(server: RunningServer, client_id: str = "public-app", **parameters: str) -> str:
    """The URL of Medplum's operation."""
    query = f"?{urlencode(parameters)}" if parameters else ""
    return f"{server.base}/ClientApplication/{client_id}/$smart-launch{query}"


@pytest.mark.requirement("E-1", "E-2", "E-3")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_medplum_launches_for_a_patient(server: RunningServer, method: str) -> None:
    response = await server.http.request(method, launch_url(server, patient="pat-a"), auth=AS_LAUNCHER)
    assert response.status_code == 302
    url = httpx2.URL(response.headers["location"])
    assert str(url.copy_with(query=None)) == LAUNCH_URI
    assert url.params["iss"] == server.base
    assert (await read_patient_records(server, url.params["launch"]))["patient"] == "pat-a"


async def test_medplum_launches_for_an_encounter_and_its_patient(server: RunningServer, visit: str) -> None:
    response = await server.http.get(launch_url(server, encounter=visit), auth=AS_LAUNCHER)
    answer = await read_patient_records(server, launch_handle(response.headers["location"]))
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
async def test_medplum_reads_its_parameters_from_the_body(
    server: RunningServer, content: bytes, media_type: str
) -> None:
    headers = {"content-type": media_type}
    response = await server.http.post(launch_url(server), content=content, headers=headers, auth=AS_LAUNCHER)
    assert response.status_code == 302
    assert (await read_patient_records(server, launch_handle(response.headers["location"])))["patient"] == "pat-b"


async def test_medplum_opens_an_app_for_who_is_signed_in_and_nobody_else(server: RunningServer) -> None:
    doctor = await sign_in_to_portal(server)
    response = await doctor.client.get(launch_url(server, patient="pat-a"))
    assert response.status_code == 302
    handle = launch_handle(response.headers["location"])
    page = await (await sign_in_to_portal(server, "nurse")).open(server.app().authorization_url(SCOPE, launch=handle))
    assert page.parameters["error"] == "invalid_request"
    second = await doctor.client.get(launch_url(server, patient="pat-a"))
    answer = await read_patient_records(server, launch_handle(second.headers["location"]), person=doctor)
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
    server: RunningServer, method: str, headers: dict[str, str]
) -> None:
    doctor, address = await sign_in_to_portal(server), launch_url(server, patient="pat-a")
    response = await doctor.client.request(method, address, headers=headers)
    assert response.status_code == 403
    assert response.json()["resourceType"] == "OperationOutcome"
    response = await doctor.client.request(method, address, headers=headers, auth=AS_LAUNCHER)
    assert response.status_code == 302, "a launcher is asked for its secret and for nothing else"


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_our_own_pages_and_a_bookmark_open_an_app(server: RunningServer, site: str) -> None:
    doctor = await sign_in_to_portal(server)
    response = await doctor.client.get(launch_url(server, patient="pat-a"), headers={"sec-fetch-site": site})
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
async def test_medplum_refuses_with_an_operation_outcome(
    server: RunningServer, path: str, status: int, method: str
) -> None:
    response = await server.http.request(method, server.base + path, auth=AS_LAUNCHER)
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/fhir+json")
    assert response.json()["resourceType"] == "OperationOutcome"
    assert "location" not in response.headers


def _parameters(*entries: str) -> str:
    return '{"resourceType":"Parameters","parameter":[' + ",".join(entries) + "]}"


PATIENT = '{"name":"patient","valueString":"pat-a"}'
UNREADABLE = {
    "half an object": "{",
    "a list": "[1]",
    "no UTF-8": b"\xff",
    "an empty object": "{}",
    "another resource": '{"resourceType":"Patient","id":"pat-a"}',
    "parameters that are none": '{"resourceType":"Parameters","parameter":1}',
    "a parameter that is a number": _parameters(PATIENT, "1"),
    "a parameter without a name": _parameters(PATIENT, '{"valueString":"x"}'),
    "the patient without a value": _parameters('{"name":"patient"}'),
    "the patient as a reference": _parameters('{"name":"patient","valueReference":{"reference":"Patient/pat-a"}}'),
    "the patient as a number": _parameters('{"name":"patient","valueString":7}'),
    "an empty patient": _parameters('{"name":"patient","valueString":""}'),
    "two values": _parameters('{"name":"patient","valueString":"pat-a","valueId":"pat-b"}'),
    "two patients": _parameters(PATIENT, '{"name":"patient","valueString":"pat-b"}'),
    "the patient twice": _parameters(PATIENT, PATIENT),
    "an encounter as a reference": _parameters(PATIENT, '{"name":"encounter","valueReference":{}}'),
    "a member twice": '{"resourceType":"Parameters","parameter":[],"parameter":[]}',
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
async def test_medplum_refuses_a_body_that_cannot_be_read(server: RunningServer, content: str | bytes) -> None:
    headers = {"content-type": "application/fhir+json"}
    response = await server.http.post(launch_url(server), content=content, headers=headers, auth=AS_LAUNCHER)
    assert (response.status_code, response.json()["resourceType"]) == (400, "OperationOutcome")


@pytest.mark.parametrize(
    ("query", "content", "media_type"),
    [
        ("?patient=pat-a&patient=pat-b", "", ""),
        ("?patient=pat-a&patient=pat-a", "", ""),
        ("?patient=pat-a", "patient=pat-b", "application/x-www-form-urlencoded"),
        ("?patient=pat-a", _parameters(PATIENT), "application/json"),
        ("?encounter=x", _parameters(PATIENT), "application/json"),
        ("", "patient=pat-a", "text/plain"),
        ("", "patient=%ff", "application/x-www-form-urlencoded"),
    ],
    ids=["twice in the query", "twice the same", "in query and form", "in query and resource", "both parameters, apart",
         "a text", "no UTF-8"],
)  # fmt: skip
async def test_medplum_refuses_a_patient_that_is_not_clear(
    server: RunningServer, query: str, content: str, media_type: str
) -> None:
    url, headers = launch_url(server) + query, {"content-type": media_type} if media_type else {}
    response = await server.http.post(url, content=content, headers=headers, auth=AS_LAUNCHER)
    assert (response.status_code, response.json()["resourceType"]) == (400, "OperationOutcome")


async def test_medplum_leaves_other_parameters_alone(server: RunningServer) -> None:
    content = _parameters('{"name":"other","valueReference":{}}', PATIENT)
    headers = {"content-type": "application/fhir+json"}
    url = launch_url(server) + "?_format=json&_format=json"
    response = await server.http.post(url, content=content, headers=headers, auth=AS_LAUNCHER)
    assert response.status_code == 302


@pytest.mark.parametrize("client_id", ["https://medplum.example/app?a=b", "an+id/with%2Fall", "urn:app#1"])
@pytest.mark.parametrize("operation", ["$smart-launch", "%24smart-launch"])
async def test_medplum_finds_an_app_whose_id_needs_encoding(
    server: RunningServer, client_id: str, operation: str
) -> None:
    await replace_client(server, client_id, launch_uris=[LAUNCH_URI])
    url = f"{server.base}/ClientApplication/{quote(client_id, safe='')}/{operation}?patient=pat-a"
    response = await server.http.get(url, auth=AS_LAUNCHER)
    assert response.status_code == 302, response.text
    assert response.headers["location"].startswith(LAUNCH_URI)


async def test_medplum_opens_for_nobody_who_does_not_prove_who_they_are(server: RunningServer) -> None:
    for auth in ({}, {"authorization": "Basic ZWhyOndyb25n"}, {"authorization": "Bearer x"}):
        response = await server.http.get(launch_url(server, patient="pat-a"), headers=auth)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Basic ")
        assert response.json()["issue"][0]["code"] == "login"
