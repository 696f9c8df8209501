"""`ETag` and `Last-Modified` come from the body that was judged, never from a header of the server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.leaked_marks import find_leaks, is_refused
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ABSENT, Script, ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.people import B_MARKER, Resource

A = {"reference": "Patient/pat-a"}
META = {"versionId": "3", "lastUpdated": "2024-02-29T23:30:00.123456+02:00"}
ETAG, HTTP_DATE = 'W/"3"', "Thu, 29 Feb 2024 21:30:00 GMT"
# What the server says of another patient's record.
HEADERS = {"etag": f'W/"{B_MARKER}"', "last-modified": "Fri, 02 Jan 2015 03:04:05 GMT"}
SCOPES = {"judged": "patient/*.rs", "passed through": "system/*.rs"}


def observation(**members: Any) -> Resource:
    return make_resource("Observation", "o", status="final", code={"text": "x"}, subject=A, **members)


def serve(*resources: Resource, headers: Mapping[str, str] = HEADERS, **more: Any) -> Script:
    """A server with one version of each resource, whose headers are wrong."""
    held = {f"{resource['resourceType']}/{resource['id']}": resource for resource in resources}

    def script(path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        body = more.get(path) or held.get(path.partition("/_history/")[0])
        return (200, body, headers) if body is not None else ABSENT

    return script


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
@pytest.mark.parametrize("path", ["/Observation/o", "/Observation/o/_history/3", "/Binary/x"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_leak_32_the_validators_of_a_read_are_those_of_its_body(
    tmp_path: Path, path: str, scope: str, method: str
) -> None:
    own = make_resource("Binary", "x", contentType="text/plain", data="YQ==", securityContext=A, meta=META)
    script = serve(observation(meta=META), own, make_resource("Patient", "pat-a"))
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request(path, scope, method=method)
        assert (response.status_code, find_leaks(response)) == (200, [])
        assert (response.headers["etag"], response.headers["last-modified"]) == (ETAG, HTTP_DATE)


UNSTATED: dict[str, Any] = {
    "no meta": None,
    "a meta that is a text": "3",
    "a version that is no id": {"versionId": f'3" {B_MARKER}', "lastUpdated": "yesterday"},
    "a version that is a number": {"versionId": 3, "lastUpdated": 2024},
    "a day that never was": {"lastUpdated": "2023-02-29T00:00:00Z"},
    "a time before all others": {"lastUpdated": "0001-01-01T00:00:00+14:00"},
}


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
@pytest.mark.parametrize("meta", UNSTATED.values(), ids=UNSTATED)
async def test_what_a_body_does_not_state_is_not_in_the_head(tmp_path: Path, meta: Any, scope: str) -> None:
    stated = observation() if meta is None else observation(meta=meta)
    async with scripted_server(serve(stated)) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Observation/o", scope, headers={"if-none-match": "*"})
        assert response.status_code == 200
        assert not {"etag", "last-modified"} & set(response.headers)


CONDITIONS = {
    "the version of the body": ({"if-none-match": ETAG}, 304),
    "any version": ({"if-none-match": "*"}, 304),
    "the version in the head": ({"if-none-match": HEADERS["etag"]}, 200),
    "the date of the body": ({"if-modified-since": HTTP_DATE}, 304),
    "the date in the head": ({"if-modified-since": HEADERS["last-modified"]}, 200),
}


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
@pytest.mark.parametrize("path", ["/Observation/o", "/Binary/x"])
@pytest.mark.parametrize(("condition", "status"), CONDITIONS.values(), ids=CONDITIONS)
async def test_a_condition_is_compared_with_what_the_body_states(
    tmp_path: Path, condition: dict[str, str], status: int, path: str, scope: str
) -> None:
    own = make_resource("Binary", "x", contentType="text/plain", data="YQ==", securityContext=A, meta=META)
    script = serve(observation(meta=META), own, make_resource("Patient", "pat-a"))
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request(path, scope, headers=condition)
        assert (response.status_code, response.headers["etag"]) == (status, ETAG)


async def test_a_resource_too_long_to_be_read_as_a_whole_is_passed_through_without_validators(tmp_path: Path) -> None:
    long = observation(meta=META, note=[{"text": "x" * 600_000}])
    async with scripted_server(serve(long)) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Observation/o", "system/*.rs")
        assert (response.status_code, response.json()) == (200, long)
        assert not {"etag", "last-modified"} & set(response.headers)


@pytest.mark.parametrize("scope", ["patient/*.rs", "system/*.rs"])
async def test_a_raw_binary_has_the_validators_of_the_json_that_was_judged_or_none(tmp_path: Path, scope: str) -> None:
    own = make_resource("Binary", "x", contentType="text/plain", data="YQ==", securityContext=A, meta=META)
    held = serve(own, make_resource("Patient", "pat-a"))

    def script(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        if path == "Binary/x" and headers["accept"] == "text/plain":
            return 200, b"a letter", {"content-type": "text/plain", **HEADERS}
        return held(path, query, headers)

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Binary/x", scope, headers={"accept": "text/plain"})
        assert (response.status_code, response.content, find_leaks(response)) == (200, b"a letter", [])
        judged = scope == "patient/*.rs"
        assert (response.headers.get("etag"), response.headers.get("last-modified")) == (
            (ETAG, HTTP_DATE) if judged else (None, None)
        )


async def test_a_raw_binary_that_looks_like_a_resource_states_no_version(tmp_path: Path) -> None:
    script = lambda *_: (200, {"meta": META}, {"content-type": "application/json"})  # noqa: E731
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Binary/x", "system/*.rs")
        assert (response.status_code, response.headers.get("etag")) == (200, None)


@pytest.mark.parametrize("scope", ["patient/*.rs", "system/*.rs"])
@pytest.mark.parametrize("path", ["/Observation/o/_history", "/Observation/_history", "/_history"])
async def test_leak_32_the_entries_of_a_history_state_what_their_resources_state(
    tmp_path: Path, path: str, scope: str
) -> None:
    versions = [observation(meta=META), observation()]
    history = bundle(*versions, kind="history")
    deletion = {"fullUrl": "urn:x", "request": {"method": "DELETE", "url": "Observation/o"}}
    history["entry"] += [deletion]
    for entry in history["entry"]:
        entry["response"] = {"status": "201", "etag": HEADERS["etag"], "lastModified": "2015-01-02T03:04:05Z"}
    script = serve(observation(meta=META), **{path[1:]: history})
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request(path, scope)
        assert (response.status_code, find_leaks(response)) == (200, [])
        entries = response.json()["entry"]
        assert [entry["resource"] for entry in entries[:2]] == versions
        told = [entry["response"] for entry in entries]
        stated = {"status": "201", "etag": ETAG, "lastModified": META["lastUpdated"]}
        assert told[:2] == [stated, {"status": "201"}]
        assert told[2:] in ([], [{"status": "201"}])


OTHER_VERSIONS: dict[str, Any] = {
    "another version": {"versionId": "4"},
    "a version that is no id": {"versionId": "3/4"},
    "a version that is a number": {"versionId": 3},
    "no object where the version stands": "3",
}


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
@pytest.mark.parametrize("meta", OTHER_VERSIONS.values(), ids=OTHER_VERSIONS)
async def test_a_body_that_states_another_version_is_not_the_version_that_was_asked_for(
    tmp_path: Path, meta: Any, scope: str
) -> None:
    script = serve(observation(meta=meta))
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Observation/o/_history/3", scope)
        absent = await gateway.request("/Observation/none/_history/3", scope)
        assert is_refused(response, 404, "not_found")
        assert response.content == absent.content
        assert gateway.telemetry.records[0].reason == "upstream_malformed"


async def test_a_version_that_is_stated_twice_is_none(tmp_path: Path) -> None:
    twice = b'{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/pat-a"},'
    twice += b'"meta":{"versionId":"4","versionId":"3"}}'
    async with (
        scripted_server(lambda *_: (200, twice, {})) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        assert is_refused(await gateway.request("/Observation/o/_history/3"), 404, "not_found")


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
async def test_a_body_that_states_no_version_may_be_any(tmp_path: Path, scope: str) -> None:
    async with scripted_server(serve(observation())) as server, running_gateway(server.base_url, tmp_path) as gateway:
        assert (await gateway.request("/Observation/o/_history/3", scope)).status_code == 200
