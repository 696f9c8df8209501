"""What is the matter with a record does not tell that it exists (leak_30), and a page survives one bad entry."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.marks import ids_in
from tests.gateway.running import running_gateway
from tests.gateway.scripted import ABSENT, Answered, Script, bundle, record, scripted
from tests.servers.people import Resource

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
SMALL: Any = {"max_verified_body_bytes": 100_000}


def observation(resource_id: str, subject: Any, **members: Any) -> Resource:
    return record("Observation", resource_id, status="final", code={"text": "x"}, subject=subject, **members)


def with_text(resource: Resource, text: bytes) -> bytes:
    """The resource as JSON, `"@"` replaced."""
    return json.dumps(resource).encode().replace(b'"@"', text)


HUGE = observation("hidden", B, note=[{"text": "x" * 200_000}])
BINARY = record("Binary", "hidden", contentType="text/plain", data="YQ==")
DEEP = with_text(observation("hidden", B, performer="@"), b"[" * 300 + b"]" * 300)
NOT_UTF8 = with_text(observation("hidden", B, note=[{"text": "@"}]), b'"\xff"')
TWO_IDS = b'{"resourceType":"Binary","id":"hidden","id":"hidden"}'
NO_DOCUMENT: Answered = (200, bundle(), {})


def only(body: Any, headers: Mapping[str, str] | None = None, *, documents: Answered = NO_DOCUMENT) -> Script:
    """A server that has one record, `hidden`, and says of every search what `documents` is."""

    def script(path: str, query: str, _: Mapping[str, str]) -> Answered:
        names = path.split("/")
        if len(names) == 1:
            return documents
        return (200, body, headers or {}) if names[1] == "hidden" else ABSENT

    return script


def guarded(path: str, query: str, headers: Mapping[str, str]) -> Answered:
    """It refuses the record to us."""
    return (403, ABSENT[1], {}) if path.endswith("hidden") else ABSENT


def vouched_by_a_giant(path: str, query: str, headers: Mapping[str, str]) -> Answered:
    """A Provenance whose target is too large to judge."""
    if path == "Provenance/hidden":
        return 200, record("Provenance", "hidden", target=[{"reference": "Observation/hidden"}]), {}
    return (200, HUGE, {}) if path == "Observation/hidden" else ABSENT


FAILING: Answered = (500, ABSENT[1], {})
REJECTING: Answered = (400, ABSENT[1], {})
MATTERS: dict[str, tuple[str, Script]] = {
    "a version of a record too large to judge": ("/Observation/{}/_history/1", only(HUGE)),
    "the history of a record too large to judge": ("/Observation/{}/_history", only(HUGE)),
    "a record that is not UTF-8": ("/Observation/{}", only(NOT_UTF8)),
    "the history of a record that is not UTF-8": ("/Observation/{}/_history", only(NOT_UTF8)),
    "a record of another media type": ("/Observation/{}", only(b"<x/>", {"content-type": "application/fhir+xml"})),
    "a record with deep lists where the check looks": ("/Observation/{}", only(DEEP)),
    "a Binary too large to judge": ("/Binary/{}", only({**BINARY, "data": "x" * 200_000, "securityContext": B})),
    "a Binary of a server that always answers raw": ("/Binary/{}", only(b"abc", {"content-type": "text/plain"})),
    "a Binary that says its id twice": ("/Binary/{}", only(TWO_IDS)),
    "a Binary where documents cannot be searched": ("/Binary/{}", only(BINARY, documents=REJECTING)),
    "a Binary where the search for documents fails": ("/Binary/{}", only(BINARY, documents=FAILING)),
    "a Provenance whose target cannot be judged": ("/Provenance/{}", vouched_by_a_giant),
    "a record that the server itself guards": ("/Observation/{}", guarded),
}


@pytest.mark.parametrize(("path", "script"), MATTERS.values(), ids=MATTERS)
async def test_leak_30_nothing_tells_that_a_hidden_record_exists(tmp_path: Path, path: str, script: Script) -> None:
    async with scripted(script) as server, running_gateway(server.base_url, tmp_path, upstream=SMALL) as gateway:
        hidden, absent = await gateway.ask(path.format("hidden")), await gateway.ask(path.format("never-was"))
        assert (hidden.status_code, hidden.content) == (absent.status_code, absent.content)


async def test_one_record_with_deep_lists_does_not_take_a_whole_page(tmp_path: Path) -> None:
    page = with_text(bundle(observation("own", A), "@"), DEEP)
    async with scripted(lambda *_: (200, page, {})) as server, running_gateway(server.base_url, tmp_path) as gateway:
        assert ids_in(await gateway.ask("/Observation")) == {"Observation/own"}


async def test_a_permitted_answer_is_kept_by_no_cache(tmp_path: Path) -> None:
    """RFC 9111 4.2.2: with a Last-Modified alone, a browser might answer the next user's request by itself."""
    own = observation("own", A)
    headers = {"last-modified": "Thu, 01 Jan 2015 00:00:00 GMT"}

    def script(path: str, query: str, _: Mapping[str, str]) -> Answered:
        return 200, own if path.startswith("Observation/") else bundle(own), headers

    async with scripted(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for path in ("/Observation/own", "/Observation"):
            assert (await gateway.ask(path)).headers["cache-control"] == "no-store"
