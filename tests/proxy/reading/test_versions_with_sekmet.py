"""Versions and validators in front of a real server: what a Binary was before, and what the body says of itself."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.proxy.leaked_marks import find_leaks, is_refused
from tests.proxy.running_gateway import running_gateway
from tests.servers.people import B_MARKER
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet

pytestmark = pytest.mark.sekmet

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}


@pytest.fixture(scope="module")
def sekmet() -> Iterator[Server]:
    """A server of its own, because these tests write to it."""
    with start_sekmet() as server:
        yield server


async def put(server: Server, resource_type: str, resource_id: str, **members: Any) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        resource = {"resourceType": resource_type, "id": resource_id, **members}
        (await client.put(f"{server.base_url}/{resource_type}/{resource_id}", json=resource)).raise_for_status()


def text(words: str) -> dict[str, str]:
    return {"contentType": "text/plain", "data": base64.b64encode(words.encode()).decode()}


async def test_the_versions_of_an_own_binary_can_be_read_and_those_of_another_patient_not(
    sekmet: Server, tmp_path: Path
) -> None:
    await put(sekmet, "Binary", "moved", **text(B_MARKER), securityContext=B)
    await put(sekmet, "Binary", "moved", **text("second"), securityContext=A)
    await put(sekmet, "Binary", "moved", **text("third"), securityContext=A)
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        current = await gateway.request("/Binary/moved", headers={"accept": "application/fhir+json"})
        number = int(current.json()["meta"]["versionId"])
        for version, words in ((number, "third"), (number - 1, "second")):
            response = await gateway.request(
                f"/Binary/moved/_history/{version}", headers={"accept": "application/fhir+json"}
            )
            assert base64.b64decode(response.json()["data"]).decode() == words
            assert response.headers["etag"] == f'W/"{version}"'
        absent = await gateway.request("/Binary/none/_history/1")
        for accept in ("application/fhir+json", "text/plain", "*/*"):
            hidden = await gateway.request(f"/Binary/moved/_history/{number - 2}", headers={"accept": accept})
            assert is_refused(hidden, 404, "not_found")
            assert (hidden.content, find_leaks(hidden)) == (absent.content, [])


async def test_the_link_of_an_attachment_to_a_version_leads_to_that_version(sekmet: Server, tmp_path: Path) -> None:
    await put(sekmet, "Binary", "letter", **text("first"))
    async with httpx2.AsyncClient(trust_env=False) as client:
        stored = await client.get(f"{sekmet.base_url}/Binary/letter", headers={"accept": "application/fhir+json"})
    version = f"Binary/letter/_history/{stored.json()['meta']['versionId']}"
    await put(sekmet, "Binary", "letter", **text(B_MARKER))
    attachment = {"contentType": "text/plain", "url": f"{sekmet.base_url}/{version}"}
    await put(sekmet, "DocumentReference", "letter", status="current", subject=A, content=[{"attachment": attachment}])
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        document = (await gateway.request("/DocumentReference/letter")).json()
        url = document["content"][0]["attachment"]["url"]
        assert url == f"{gateway.base_url}/{version}"
        response = await gateway.request(f"/{version}", headers={"accept": "application/fhir+json"})
        assert base64.b64decode(response.json()["data"]).decode() == "first"
        hidden = await gateway.request("/Binary/letter", headers={"accept": "application/fhir+json"})
        assert (hidden.status_code, find_leaks(hidden)) == (404, [])


async def test_a_binary_that_comes_in_no_accepted_form_is_406(sekmet: Server, tmp_path: Path) -> None:
    await put(sekmet, "Binary", "text", **text("words"), securityContext=A)
    await put(sekmet, "Binary", "of-b", **text(B_MARKER), securityContext=B)
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        for scope in ("patient/*.rs", "system/*.rs"):
            response = await gateway.request("/Binary/text", scope, headers={"accept": "image/png"})
            assert is_refused(response, 406, "format_not_acceptable")
        hidden = await gateway.request("/Binary/of-b", headers={"accept": "image/png"})
        assert is_refused(hidden, 404, "not_found")
        words = await gateway.request("/Binary/text", headers={"accept": "text/plain"})
        assert (words.status_code, words.content) == (200, b"words")
        assert words.headers["content-type"] == "text/plain"
        assert words.headers["content-security-policy"].startswith("sandbox;")
