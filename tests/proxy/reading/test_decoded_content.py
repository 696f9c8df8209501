"""Content that is larger than what is verified leaves in pieces, also where the FHIR server has FHIR JSON alone."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ABSENT, Script, ScriptedResponse, make_resource, scripted_server
from tests.servers.people import B_MARKER, Resource

LIMIT = 100_000
CONTENT = bytes(range(256)) * 1000
PATIENTS = {f"Patient/pat-{letter}": make_resource("Patient", f"pat-{letter}") for letter in "ab"}


def binary(**elements: Any) -> Resource:
    return make_resource(
        "Binary",
        "x",
        contentType="image/png",
        meta={"versionId": "3"},
        securityContext={"reference": "Patient/pat-a"},
        **elements,
        data=base64.b64encode(CONTENT).decode(),
    )


def serving(current: Any, version: Any) -> Script:
    """A server that knows FHIR JSON alone. `version` is version 3 of the Binary, or its text."""

    def script(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        if path in PATIENTS:
            return 200, PATIENTS[path], {}
        found = {"Binary/x": current, "Binary/x/_history/3": version}.get(path)
        return ABSENT if found is None else (200, found, {})

    return script


@pytest.mark.parametrize("scope", ["patient/*.rs", "system/*.rs"])
@pytest.mark.parametrize("style", ["as it is", "in lines", "with escapes"])
async def test_it_is_decoded_on_its_way(tmp_path: Path, scope: str, style: str) -> None:
    version: Any = binary()
    if style == "in lines":
        version["data"] = base64.encodebytes(CONTENT).decode()
    if style == "with escapes":
        version = json.dumps(version, indent=2).replace("/", "\\/").encode()
    async with (
        scripted_server(serving(version, version)) as server,
        running_gateway(server.base_url, tmp_path, upstream={"max_verified_body_bytes": LIMIT}) as gateway,
    ):
        response = await gateway.request("/Binary/x", scope, headers={"accept": "image/png"})
        assert (response.status_code, response.content) == (200, CONTENT)
        assert (response.headers["content-type"], response.headers["etag"]) == ("image/png", 'W/"3"')
        assert response.headers["content-security-policy"] == "sandbox; default-src 'none'"


HIDDEN: dict[str, tuple[Resource, str, int]] = {
    "another patient's": (binary() | {"securityContext": {"reference": "Patient/pat-b"}}, "image/png", 404),
    "one that says nothing of its version": ({**binary(), "meta": {}}, "image/png", 404),
    "one of another type than is accepted": (binary(), "text/plain", 406),
    "another Binary": (binary() | {"id": "y"}, "image/png", 404),
}


@pytest.mark.parametrize(("current", "accept", "status"), HIDDEN.values(), ids=HIDDEN)
async def test_nothing_is_sent_of(tmp_path: Path, current: Resource, accept: str, status: int) -> None:
    async with (
        scripted_server(serving(current, current)) as server,
        running_gateway(server.base_url, tmp_path, upstream={"max_verified_body_bytes": LIMIT}) as gateway,
    ):
        response = await gateway.request("/Binary/x", headers={"accept": accept})
        assert response.status_code == status
        assert B_MARKER not in response.text


def _with_last(name: str, value: Any) -> Resource:
    """A Binary with this element behind its content."""
    return {element: text for element, text in binary().items() if element != name} | {name: value}


DIFFERENT: dict[str, Any] = {
    "of another owner": binary() | {"securityContext": {"reference": "Patient/pat-b"}},
    "of another version": binary() | {"meta": {"versionId": "4"}},
    "whose owner follows": _with_last("securityContext", {"reference": "Patient/pat-a"}),
    "that is not base64": binary() | {"data": "?" * LIMIT},
    "with an escape that no base64 has": json.dumps(binary()).replace("AAEC", "\\u0041AEC").encode(),
}


@pytest.mark.parametrize("version", DIFFERENT.values(), ids=DIFFERENT)
async def test_no_byte_leaves_of_content(tmp_path: Path, version: Any) -> None:
    """What was judged is not what came. What is the matter with one record is told as not found."""
    async with (
        scripted_server(serving(binary(), version)) as server,
        running_gateway(server.base_url, tmp_path, upstream={"max_verified_body_bytes": LIMIT}) as gateway,
    ):
        response = await gateway.request("/Binary/x", headers={"accept": "image/png"})
        assert (response.status_code, response.json()["resourceType"]) == (404, "OperationOutcome")


async def test_a_binary_whose_owner_follows_its_content_cannot_be_checked_in_time(tmp_path: Path) -> None:
    late = _with_last("securityContext", {"reference": "Patient/pat-a"})
    async with (
        scripted_server(serving(late, late)) as server,
        running_gateway(server.base_url, tmp_path, upstream={"max_verified_body_bytes": LIMIT}) as gateway,
    ):
        response = await gateway.request("/Binary/x", headers={"accept": "image/png"})
        assert response.status_code == 404
        whole = await gateway.request("/Binary/x", "system/*.rs", headers={"accept": "image/png"})
        assert (whole.status_code, whole.json()["issue"][0]["details"]["coding"][0]["code"]) == (
            502,
            "upstream_too_large",
        )


OTHERS: dict[str, Any] = {
    "with an owner behind it too": json.dumps(binary()).encode()[:-1] + b',"securityContext":{}}',
    "that ends early": json.dumps(binary()).encode()[:LIMIT],
}


@pytest.mark.parametrize("version", OTHERS.values(), ids=OTHERS)
async def test_content_is_never_complete(tmp_path: Path, version: Any) -> None:
    """What was judged is not what came: the transfer breaks off."""
    async with (
        scripted_server(serving(binary(), version)) as server,
        running_gateway(server.base_url, tmp_path, upstream={"max_verified_body_bytes": LIMIT}) as gateway,
    ):
        with pytest.raises(Exception, match="peer closed connection"):
            await gateway.request("/Binary/x", headers={"accept": "image/png"})
