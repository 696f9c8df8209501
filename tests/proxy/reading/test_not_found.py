"""A flaw in a resource does not reveal that it exists (leak_30), and one bad entry does not spoil a page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.leaked_marks import ids_in
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ABSENT, Script, ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.people import Resource

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
SMALL: Any = {"max_verified_body_bytes": 100_000}


def observation(resource_id: str, subject: Any, **members: Any) -> Resource:
    return make_resource("Observation", resource_id, status="final", code={"text": "x"}, subject=subject, **members)


def with_text(resource: Resource, text: bytes) -> bytes:
    """The resource as JSON, with `"@"` replaced by `text`."""
    return json.dumps(resource).encode().replace(b'"@"', text)


HUGE = observation("hidden", B, note=[{"text": "x" * 200_000}])
BINARY = make_resource("Binary", "hidden", contentType="text/plain", data="YQ==")
DEEP = with_text(observation("hidden", B, performer="@"), b"[" * 300 + b"]" * 300)
NOT_UTF8 = with_text(observation("hidden", B, note=[{"text": "@"}]), b'"\xff"')
TWO_IDS = b'{"resourceType":"Binary","id":"hidden","id":"hidden"}'
NO_DOCUMENT: ScriptedResponse = (200, bundle(), {})


def script_for(
    body: Any, headers: Mapping[str, str] | None = None, *, documents: ScriptedResponse = NO_DOCUMENT
) -> Script:
    """A server with one resource, `hidden`, that responds to every search with `documents`."""

    def script(path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        names = path.split("/")
        if len(names) == 1:
            return documents
        return (200, body, headers or {}) if names[1] == "hidden" else ABSENT

    return script


def refuse_hidden(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
    """The server refuses the resource to the gateway."""
    return (403, ABSENT[1], {}) if path.endswith("hidden") else ABSENT


def serve_huge_target(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
    """The server has a Provenance whose target is too large to judge."""
    if path == "Provenance/hidden":
        return 200, make_resource("Provenance", "hidden", target=[{"reference": "Observation/hidden"}]), {}
    return (200, HUGE, {}) if path == "Observation/hidden" else ABSENT


FAILING: ScriptedResponse = (500, ABSENT[1], {})
REJECTING: ScriptedResponse = (400, ABSENT[1], {})
MATTERS: dict[str, tuple[str, Script]] = {
    "a version of a record too large to judge": ("/Observation/{}/_history/1", script_for(HUGE)),
    "the history of a record too large to judge": ("/Observation/{}/_history", script_for(HUGE)),
    "a record that is not UTF-8": ("/Observation/{}", script_for(NOT_UTF8)),
    "the history of a record that is not UTF-8": ("/Observation/{}/_history", script_for(NOT_UTF8)),
    "a record of another media type": (
        "/Observation/{}",
        script_for(b"<x/>", {"content-type": "application/fhir+xml"}),
    ),
    "a record with deep lists where the check looks": ("/Observation/{}", script_for(DEEP)),
    "a Binary too large to judge": ("/Binary/{}", script_for({**BINARY, "data": "x" * 200_000, "securityContext": B})),
    "a Binary of a server that always answers raw": ("/Binary/{}", script_for(b"abc", {"content-type": "text/plain"})),
    "a Binary that says its id twice": ("/Binary/{}", script_for(TWO_IDS)),
    "a Binary where documents cannot be searched": ("/Binary/{}", script_for(BINARY, documents=REJECTING)),
    "a Binary where the search for documents fails": ("/Binary/{}", script_for(BINARY, documents=FAILING)),
    "a Provenance whose target cannot be judged": ("/Provenance/{}", serve_huge_target),
    "a record that the server itself guards": ("/Observation/{}", refuse_hidden),
}


@pytest.mark.parametrize(("path", "script"), MATTERS.values(), ids=MATTERS)
async def test_leak_30_nothing_tells_that_a_hidden_record_exists(tmp_path: Path, path: str, script: Script) -> None:
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path, upstream=SMALL) as gateway:
        hidden, absent = await gateway.request(path.format("hidden")), await gateway.request(path.format("never-was"))
        assert (hidden.status_code, hidden.content) == (absent.status_code, absent.content)


async def test_one_record_with_deep_lists_does_not_take_a_whole_page(tmp_path: Path) -> None:
    page = with_text(bundle(observation("own", A), "@"), DEEP)
    async with (
        scripted_server(lambda *_: (200, page, {})) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        assert ids_in(await gateway.request("/Observation")) == {"Observation/own"}


async def test_a_permitted_answer_is_kept_by_no_cache(tmp_path: Path) -> None:
    """RFC 9111 4.2.2: with only a Last-Modified, a browser could reuse the response for the next user."""
    own = observation("own", A)
    headers = {"last-modified": "Thu, 01 Jan 2015 00:00:00 GMT"}

    def script(path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        return 200, own if path.startswith("Observation/") else bundle(own), headers

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for path in ("/Observation/own", "/Observation"):
            assert (await gateway.request(path)).headers["cache-control"] == "no-store"
