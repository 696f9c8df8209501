"""`POST /launch`: who may launch, and which launches are refused."""

from base64 import b64encode
from typing import Any

import httpx2
import orjson
import pytest

from tests.smart_server.ehr_launcher import create_launch, launch_handle, post_launch
from tests.smart_server.running_server import CALLBACK, LAUNCH_URI, LAUNCHER_SECRET, RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


def launch_problems(response: httpx2.Response) -> str:
    """The problems in the response, joined."""
    assert response.status_code == 400, response.text
    assert response.json()["error"] == "invalid_request"
    return " ".join(response.json()["problems"])


@pytest.mark.requirement("E-1", "E-2", "E-3", "E-9")
async def test_a_launcher_is_told_where_to_open_the_app(server: RunningServer) -> None:
    response = await post_launch(server, context={"patient": "pat-a"})
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert body["iss"] == server.base
    assert body["launch_uri"] == LAUNCH_URI
    url = httpx2.URL(body["location"])
    assert str(url.copy_with(query=None)) == LAUNCH_URI
    assert dict(url.params) == {"iss": server.base, "launch": body["launch"]}
    assert len(body["launch"]) >= 22, "at least 128 random bits"


@pytest.mark.requirement("E-1")
@pytest.mark.parametrize(
    "auth",
    [None, ("ehr", "wrong"), ("ehr", ""), ("nobody", LAUNCHER_SECRET), ("public-app", LAUNCHER_SECRET), ("", "")],
    ids=["no proof", "a wrong secret", "no secret", "an unknown launcher", "an app", "nothing"],
)
async def test_only_a_configured_launcher_makes_launches(server: RunningServer, auth: tuple[str, str] | None) -> None:
    proof = {} if auth is None else {"authorization": "Basic " + b64encode(":".join(auth).encode()).decode()}
    response = await server.http.post(f"{server.issuer}/launch", json={"client_id": "public-app"}, headers=proof)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic ")
    assert "launch" not in response.json()


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic /w==", "Bearer x", "Basic ZWhy"])
async def test_a_broken_authorization_header_is_no_proof(server: RunningServer, header: str) -> None:
    answer = await server.http.post(f"{server.issuer}/launch", json={}, headers={"authorization": header})
    assert answer.status_code == 401


BAD = {
    "no app": ({"client_id": None}, "client_id"),
    "an unknown app": ({"client_id": "nobody"}, "client_id"),
    "a number for an app": ({"client_id": 7}, "client_id"),
    "a launch URI that is not registered": ({"launch_uri": "https://evil.example/launch"}, "launch URI"),
    "a launch URI with more": ({"launch_uri": f"{LAUNCH_URI}?x=1"}, "launch URI"),
    "a launch URI that is no text": ({"launch_uri": [LAUNCH_URI]}, "launch_uri"),
    "an app that cannot be launched": ({"client_id": "backend"}, "launch URI"),
    "an unknown member": ({"redirect": "https://evil.example"}, "redirect"),
    "a context that is no object": ({"context": ["pat-a"]}, "context"),
    "a patient that is not there": ({"context": {"patient": "nobody"}}, "patient"),
    "a patient as a reference": ({"context": {"patient": "Patient/pat-a"}}, "bare id"),
    "a patient as a URL": ({"context": {"patient": "https://x.example/Patient/1"}}, "bare id"),
    "an encounter without its patient": ({"context": {"encounter": "nothing"}}, "encounter"),
    "a banner as a text": ({"context": {"need_patient_banner": "true"}}, "need_patient_banner"),
    "a member that SMART does not know": ({"context": {"access_token": "x"}}, "access_token"),
    "a reference of SMART 2.0": ({"context": {"fhirContext": ["ImagingStudy/1"]}}, "object"),
    "a patient in fhirContext": ({"context": {"fhirContext": [{"reference": "Patient/pat-a"}]}}, "Patient"),
    "an encounter in fhirContext": ({"context": {"fhirContext": [{"reference": "Encounter/1"}]}}, "Encounter"),
    "a patient by identifier in fhirContext": (
        {"context": {"fhirContext": [{"identifier": {"value": "1"}, "type": "Patient"}]}},
        "Patient",
    ),
    "an empty role": ({"context": {"fhirContext": [{"reference": "List/1", "role": ""}]}}, "role"),
    "a relative role": ({"context": {"fhirContext": [{"reference": "List/1", "role": "friend"}]}}, "role"),
    "an absolute reference": ({"context": {"fhirContext": [{"reference": "https://x.example/List/1"}]}}, "relative"),
    "an item that names nothing": ({"context": {"fhirContext": [{"type": "List"}]}}, "LC-9"),
    "an identifier as a text": ({"context": {"fhirContext": [{"identifier": "1"}]}}, "Identifier"),
    "a type that R4 does not know": ({"context": {"fhirContext": [{"canonical": "http://x", "type": "Foo"}]}}, "LC-13"),
    "a type that is no text": ({"context": {"fhirContext": [{"reference": "List/1", "type": []}]}}, "LC-13"),
    "an empty intent": ({"context": {"intent": ""}}, "intent"),
    "a style that is no URL": ({"context": {"smart_style_url": "javascript:alert(1)"}}, "smart_style_url"),
    "a user that is a number": ({"user": 7}, "user"),
    "a user without a name": ({"user": ""}, "user"),
    "a user with an endless name": ({"user": "x" * 151}, "user"),
    "a user without a subject": ({"user": {"name": "Dora"}}, "user"),
    "a user of a foreign server": (
        {"user": {"subject": "d", "fhirUser": "https://evil.example/fhir/Practitioner/1"}},
        "fhirUser",
    ),
    "a user who is a device": ({"user": {"subject": "d", "fhirUser": "Device/1"}}, "fhirUser"),
    "a patient that the user cannot see": ({"user": "patient", "context": {"patient": "pat-b"}}, "patient"),
    "a user who can see no patient": ({"user": "clerk", "context": {"patient": "pat-a"}}, "patient"),
}  # fmt: skip


@pytest.mark.requirement("E-1", "LC-2", "LC-9", "LC-10", "LC-12", "LC-14", "LC-15", "edge-36", "edge-37", "edge-38",
                         "edge-39", "edge-40", "edge-43")  # fmt: skip
@pytest.mark.parametrize(("body", "word"), BAD.values(), ids=BAD)
async def test_a_launch_that_cannot_be_is_refused_by_its_name(
    server: RunningServer, body: dict[str, Any], word: str
) -> None:
    assert word in launch_problems(await post_launch(server, **body))


async def test_every_problem_is_told_at_once(server: RunningServer) -> None:
    context = {
        "patient": "Patient/pat-a",
        "need_patient_banner": 1,
        "fhirContext": [{}, {"reference": "List/1", "x": 1}],
    }
    problems = launch_problems(await post_launch(server, context=context))
    assert all(word in problems for word in ("patient", "need_patient_banner", "fhirContext[0]", "fhirContext[1]"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b'{"a":' * 400, b"\xff"])
async def test_a_body_that_is_no_json_object_is_refused(server: RunningServer, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    auth = ("ehr", LAUNCHER_SECRET)
    launch_problems(await server.http.post(f"{server.issuer}/launch", content=content, headers=headers, auth=auth))
    form = await server.http.post(f"{server.issuer}/launch", data={"client_id": "public-app"}, auth=auth)
    assert "application/json" in launch_problems(form)


@pytest.mark.requirement("edge-43")
async def test_the_encounter_must_be_the_patients_own(server: RunningServer, visits: dict[str, str]) -> None:
    assert "encounter" in launch_problems(
        await post_launch(server, context={"patient": "pat-a", "encounter": visits["pat-b"]})
    )
    assert "encounter" in launch_problems(await post_launch(server, context={"encounter": visits["pat-a"]}))
    await create_launch(server, context={"patient": "pat-a", "encounter": visits["pat-a"]})


async def test_the_launch_is_told_in_json_that_can_be_read(server: RunningServer) -> None:
    body = orjson.loads((await post_launch(server)).content)
    assert set(body) == {"launch", "iss", "launch_uri", "location"}
    assert launch_handle(body["location"]) == body["launch"]
    assert CALLBACK not in body["location"]
