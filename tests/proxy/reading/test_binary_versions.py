"""Versions of a Binary: the current one is judged, and then that version, which may hold something else (leak_15)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.leaked_marks import find_leaks, is_refused
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ABSENT, Script, ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.people import B_MARKER, Resource

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
JSON, RAW = "application/fhir+json", "text/plain"
PATIENTS = (make_resource("Patient", "pat-a"), make_resource("Patient", "pat-b"))


def version(number: int | str | None, context: Any = None, **members: Any) -> Resource:
    meta: dict[str, Any] = {} if number is None else {"versionId": str(number)}
    if context is B:
        meta["tag"] = [{"code": B_MARKER}]
    context_members = {} if context is None else {"securityContext": context}
    return make_resource("Binary", "x", meta=meta, contentType=RAW, data="YQ==", **context_members, **members)


def document(of: Any, *urls: str) -> Resource:
    content = [{"attachment": {"url": url}} for url in urls]
    return make_resource("DocumentReference", "d", status="current", subject=of, content=content)


def script_for(versions: list[Resource], found: list[Resource], *, raw: bool = False) -> Script:
    """A server whose Binary has these versions, the last of which is current; it finds `found` by every search."""
    held: dict[str, Any] = {f"{resource['resourceType']}/{resource['id']}": resource for resource in PATIENTS}
    held["Binary/x"] = versions[-1]
    for number, resource in enumerate(versions, start=1):
        held[f"Binary/x/_history/{number}"] = resource

    def script(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        if "/" not in path:
            return 200, bundle(*found), {}
        if raw and path.startswith("Binary/x") and headers["accept"] != JSON:
            return 200, path.encode(), {"content-type": RAW}
        return (200, held[path], {}) if path in held else ABSENT

    return script


OWN = document(A, "Binary/x")
BY_VERSION = document(A, "Binary/x/_history/1")
OF_B = document(B, "Binary/x/_history/1")

SHOWN: dict[str, tuple[list[Resource], list[Resource]]] = {
    "both versions name the patient": ([version(1, A), version(2, A)], []),
    "it is the current one, which names the patient": ([version(1, A)], []),
    "it is the current one, and a document names the Binary": ([version(1)], [OWN]),
    "it is the current one, and a document names the version": ([version(1)], [BY_VERSION]),
    "a document names this version of several": ([version(1), version(2)], [BY_VERSION]),
    "it names the patient, and a document the Binary": ([version(1, A), version(2)], [OWN]),
    "a document names this version, and the current one the patient": ([version(1), version(2, A)], [BY_VERSION]),
    "it states no version, but the patient": ([version(None, A)], []),
}


@pytest.mark.parametrize("accept", [JSON, RAW])
@pytest.mark.parametrize(("versions", "found"), SHOWN.values(), ids=SHOWN)
async def test_a_version_of_a_binary_is_shown_where(
    tmp_path: Path, versions: list[Resource], found: list[Resource], accept: str
) -> None:
    script = script_for(versions, found, raw=True)
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Binary/x/_history/1", headers={"accept": accept})
        assert response.status_code == 200
        if accept == RAW:
            assert response.content == b"Binary/x/_history/1"
        else:
            assert response.json() == versions[0]


HIDDEN: dict[str, tuple[list[Resource], list[Resource]]] = {
    "it is another patient's": ([version(1, B), version(2, A)], [OWN, BY_VERSION]),
    "the current one is another patient's": ([version(1, A), version(2, B)], [OWN, BY_VERSION]),
    "a document names the Binary, which meant the current one": ([version(1), version(2)], [OWN]),
    "a document names another version": ([version(1), version(2)], [document(A, "Binary/x/_history/2")]),
    "a document of another patient names it": ([version(1), version(2)], [OF_B]),
    "nothing names it": ([version(1)], []),
    "another version is sent": ([version(2, A)], [OWN, BY_VERSION]),
    "it states no version, so that no document means it": ([version(None), version(2, A)], [OWN, BY_VERSION]),
    "a document names a version of another Binary": ([version(1)], [document(A, "Binary/y/_history/1")]),
    "the current one holds somebody else": ([version(1, A), version(2, A, contained=[PATIENTS[1]])], []),
    "the current one is another resource": ([version(1, A), make_resource("Binary", "y", securityContext=A)], []),
}


@pytest.mark.parametrize("accept", [JSON, RAW, "*/*"])
@pytest.mark.parametrize(("versions", "found"), HIDDEN.values(), ids=HIDDEN)
async def test_leak_33_a_version_of_a_binary_is_hidden_where(
    tmp_path: Path, versions: list[Resource], found: list[Resource], accept: str
) -> None:
    async with (
        scripted_server(script_for(versions, found)) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        response = await gateway.request("/Binary/x/_history/1", headers={"accept": accept})
        absent = await gateway.request("/Binary/none/_history/1", headers={"accept": accept})
        assert is_refused(response, 404, "not_found")
        assert (response.content, find_leaks(response)) == (absent.content, [])


async def test_a_document_that_names_the_current_version_vouches_for_the_binary(tmp_path: Path) -> None:
    async with (
        scripted_server(script_for([version(1)], [BY_VERSION])) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        assert (await gateway.request("/Binary/x")).status_code == 200


async def test_the_link_of_an_attachment_to_a_version_can_be_followed(tmp_path: Path) -> None:
    documents: list[Resource] = []
    async with (
        scripted_server(script_for([version(1), version(2)], documents)) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        documents.append(document(A, f"{server.base_url}/Binary/x/_history/1"))
        page = await gateway.request("/DocumentReference")
        url = page.json()["entry"][0]["resource"]["content"][0]["attachment"]["url"]
        assert url == f"{gateway.base_url}/Binary/x/_history/1"
        assert (await gateway.request(url.removeprefix(gateway.base_url))).json() == version(1)


@pytest.mark.parametrize("accept", ["image/png", "text/html, image/*;q=0.8", "text/plain;q=0", "application/fhir+xml"])
@pytest.mark.parametrize("path", ["/Binary/x", "/Binary/x/_history/1"])
@pytest.mark.parametrize("scope", ["patient/*.rs", "system/Binary.rs", "system/*.rs"])
@pytest.mark.parametrize("raw", [True, False])
async def test_a_permitted_binary_that_comes_in_no_accepted_form_is_406(
    tmp_path: Path, accept: str, path: str, scope: str, raw: bool
) -> None:
    script = script_for([version(1, A)], [], raw=raw)
    # With few connections, a response that was not closed would soon block the pool.
    pool: Any = {"pool": {"connections": 1, "queue": 1, "queue_timeout_seconds": 0.2}}
    async with (
        scripted_server(script) as server,
        running_gateway(server.base_url, tmp_path, upstream=pool) as gateway,
    ):
        for _ in range(3):
            response = await gateway.request(path, scope, headers={"accept": accept})
            assert is_refused(response, 406, "format_not_acceptable")


@pytest.mark.parametrize("status", [406, 415])
@pytest.mark.parametrize("scope", ["patient/*.rs", "system/*.rs"])
async def test_a_server_that_finds_no_accepted_form_is_believed_where_the_binary_is_permitted(
    tmp_path: Path, scope: str, status: int
) -> None:
    held = script_for([version(1, A)], [])

    def script(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        refuses = path == "Binary/x" and headers["accept"] != JSON
        return (status, ABSENT[1], {}) if refuses else held(path, query, headers)

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Binary/x", scope, headers={"accept": "image/png"})
        assert is_refused(response, 406, "format_not_acceptable")


async def test_a_hidden_binary_is_not_there_in_any_form(tmp_path: Path) -> None:
    async with (
        scripted_server(script_for([version(1, B)], [], raw=True)) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        for accept in ("image/png", RAW, JSON, "*/*"):
            assert is_refused(await gateway.request("/Binary/x", headers={"accept": accept}), 404, "not_found")


@pytest.mark.parametrize("scope", ["patient/*.rs", "system/*.rs"])
async def test_the_format_in_the_query_wins_over_the_media_types_that_are_accepted(tmp_path: Path, scope: str) -> None:
    async with (
        scripted_server(script_for([version(1, A)], [], raw=True)) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        response = await gateway.request("/Binary/x?_format=json", scope, headers={"accept": "image/png"})
        assert (response.status_code, response.json()) == (200, version(1, A))


@pytest.mark.parametrize("scope", ["patient/*.rs", "system/Binary.rs", "system/*.rs"])
@pytest.mark.parametrize("path", ["/Binary/x", "/Binary/x/_history/1"])
async def test_a_server_that_sends_json_alone_is_no_reason_not_to_send_what_the_binary_holds(
    tmp_path: Path, path: str, scope: str
) -> None:
    async with (
        scripted_server(script_for([version(1, A)], [])) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        response = await gateway.request(path, scope, headers={"accept": "text/plain, image/*"})
        assert (response.status_code, response.content) == (200, b"a")
        assert (response.headers["content-type"], response.headers["etag"]) == (RAW, 'W/"1"')
        assert response.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert response.headers["x-content-type-options"] == "nosniff"


# What a Binary says of its content, and the status for a client that accepts anything but JSON.
CONTENTS: dict[str, tuple[dict[str, Any], int]] = {
    "base64 in lines": ({"data": "YQ\n==\n"}, 200),
    "no data": ({"data": None}, 200),
    "a type in capital letters": ({"contentType": "Text/Plain"}, 406),
    "a type with a line end": ({"contentType": "text/plain\r\nx: y"}, 406),
    "a type of JSON": ({"contentType": "application/json"}, 406),
    "a type of FHIR": ({"contentType": "application/fhir+xml"}, 406),
    "no type": ({"contentType": None}, 406),
}
ANYTHING_BUT_JSON = "text/*, application/fhir+xml"


@pytest.mark.parametrize("scope", ["patient/*.rs", "system/*.rs"])
@pytest.mark.parametrize(("members", "status"), CONTENTS.values(), ids=CONTENTS)
async def test_content_leaves_in_a_form_that_has_one_meaning(
    tmp_path: Path, members: dict[str, Any], status: int, scope: str
) -> None:
    stated = {**version(1, A), **members}
    held = {name: value for name, value in stated.items() if value is not None}
    async with (
        scripted_server(script_for([held], [])) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        response = await gateway.request("/Binary/x", scope, headers={"accept": ANYTHING_BUT_JSON})
        assert response.status_code == status


async def test_content_that_is_not_base64_is_none(tmp_path: Path) -> None:
    async with (
        scripted_server(script_for([{**version(1, A), "data": "YQ="}], [])) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        for scope, refusal in (("patient/*.rs", (404, "not_found")), ("system/*.rs", (502, "upstream_malformed"))):
            assert is_refused(await gateway.request("/Binary/x", scope, headers={"accept": RAW}), *refusal)


async def test_content_of_another_version_is_not_that_of_the_version_that_was_asked_for(tmp_path: Path) -> None:
    script = script_for([version(2, A)], [])
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for scope in ("patient/*.rs", "system/*.rs"):
            response = await gateway.request("/Binary/x/_history/1", scope, headers={"accept": RAW})
            assert is_refused(response, 404, "not_found")
