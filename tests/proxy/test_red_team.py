"""Attacks of a red team against the running gateway. They failed, and must keep failing."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.asgi.types import Receive, Scope, Send
from tests.proxy.leaked_marks import find_leaks, ids_in, link_of
from tests.proxy.running_gateway import running_gateway, serve_on
from tests.servers.people import B_MARKER, Resource
from tests.servers.ports import free_port

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
# What belongs to A, and Bundles of whatever A may see.
SCOPE = "patient/*.rs system/Bundle.rs"
PATIENT_B: Resource = {"resourceType": "Patient", "id": "pat-b", "name": [{"family": B_MARKER}]}
OWN: Resource = {"resourceType": "Observation", "id": "own", "status": "final", "subject": A}
MARKED: Resource = {"meta": {"tag": [{"code": B_MARKER}]}}


@dataclass
class PathServer:
    """A server with a response per path (below its base, with or without its query), and 404 for all others."""

    base_url: str
    responses: dict[str, Any] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request; a string is sent as it is."""
        path, query = scope["path"].removeprefix("/fhir").strip("/"), scope["query_string"].decode("ascii")
        response = self.responses.get(f"{path}?{query}", self.responses.get(path))
        body = response if isinstance(response, str) else json.dumps(response or {})
        headers = [(b"content-type", b"application/fhir+json"), (b"etag", b'W/"1"')]
        await send({"type": "http.response.start", "status": 404 if response is None else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})


@contextlib.asynccontextmanager
async def path_server(responses: Mapping[str, Any]) -> AsyncIterator[PathServer]:
    """A server in the running event loop."""
    port = free_port()
    server = PathServer(f"http://127.0.0.1:{port}/fhir", dict(responses))
    async with serve_on(server, port):
        yield server


def search_page(*resources: Resource, kind: str = "searchset", next_url: str | None = None, **entry: Any) -> Resource:
    """A Bundle of matches. `entry` overrides members of the last one; `next_url` is the `next` link."""
    entries: list[Resource] = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    if entries:
        entries[-1] |= entry
    link = [] if next_url is None else [{"relation": "next", "url": next_url}]
    return {"resourceType": "Bundle", "type": kind, "link": link, "entry": entries}


def at_own_path(resource: Resource, **members: Any) -> dict[str, Resource]:
    """The resource with these members, at its own path."""
    return {f"{resource['resourceType']}/{resource['id']}": {**resource, **members}}


def binary(attached: str, **members: Any) -> dict[str, Any]:
    """B's Binary, A's Patient, and a document of A with the attachment `attached`."""
    document = {"resourceType": "DocumentReference", "id": "d", "status": "current", "subject": A}
    letter = {"resourceType": "Binary", "id": "letter", "contentType": "text/plain", "data": "YQ==", **MARKED}
    return {
        **at_own_path({"resourceType": "Patient", "id": "pat-a"}),
        **at_own_path(letter, **members),
        "DocumentReference": search_page({**document, "content": [{"attachment": {"url": attached}}]}),
    }


def provenance(*targets: str, **members: Any) -> dict[str, Any]:
    """A Provenance with these targets, and A's own resource."""
    target = [{"reference": target} for target in targets]
    return at_own_path(OWN) | at_own_path(
        {"resourceType": "Provenance", "id": "p", "target": target, **MARKED}, **members
    )


def wrap_in_bundle(inner: Any) -> dict[str, Any]:
    """A Bundle that contains `inner`."""
    return at_own_path({"resourceType": "Bundle", "id": "b", "type": "collection", "entry": [{"resource": inner}]})


def search_finding(resource: Resource, **entry: Any) -> dict[str, Any]:
    """A search that finds A's own resource and then `resource`."""
    return {"Observation": search_page(OWN, resource, **entry)}


HIDDEN: dict[str, tuple[str, dict[str, Any]]] = {
    "what is contained stands in an object and no list": (
        "/Observation/own",
        at_own_path(OWN, contained={"x": PATIENT_B}),
    ),
    "what is contained hides in what is contained": (
        "/Observation/own",
        at_own_path(OWN, contained=[{"resourceType": "Basic", "id": "x", "contained": [PATIENT_B]}]),
    ),
    "a contained patient has no id": (
        "/Observation/own",
        at_own_path(OWN, contained=[{"resourceType": "Patient", "name": [{"family": B_MARKER}]}]),
    ),
    "a contained resource has a list for its type": (
        "/Observation/own",
        at_own_path(OWN, contained=[{**PATIENT_B, "resourceType": ["Patient"]}]),
    ),
    "a Binary names its owner by identifier alone": (
        "/Binary/letter",
        binary("Binary/letter", securityContext={"type": "Patient", "identifier": {"value": "pat-a"}}),
    ),
    "a Binary names its owner on another server": (
        "/Binary/letter",
        binary("Binary/letter", securityContext={"reference": "https://evil.example/fhir/Patient/pat-a"}),
    ),
    "a Binary names two owners": ("/Binary/letter", binary("Binary/letter", securityContext=[A, B])),
    "a Binary has null for an owner": ("/Binary/letter", binary("Binary/letter", securityContext=None)),
    "a document attaches a Binary of another server": (
        "/Binary/letter",
        binary("https://evil.example/fhir/Binary/letter"),
    ),
    "a document attaches a version of the Binary": ("/Binary/letter", binary("Binary/letter/_history/1")),
    "a Provenance is of A's record and of another patient": (
        "/Provenance/p",
        provenance("Observation/own", "Patient/pat-b"),
    ),
    "a Provenance is of A's record and contains another patient": (
        "/Provenance/p",
        provenance("Observation/own", contained=[PATIENT_B]),
    ),
    "a Provenance is of what looks like A's record elsewhere": (
        "/Provenance/p",
        provenance("https://evil.example/fhir/Observation/own", "urn:uuid:own", "#own"),
    ),
    "a token for Bundles meets one that carries a Patient": ("/Bundle/b", wrap_in_bundle(PATIENT_B)),
    "a token for Bundles meets one that carries a Patient in Parameters": (
        "/Bundle/b",
        wrap_in_bundle({"resourceType": "Parameters", "parameter": [{"part": [{"resource": PATIENT_B}]}]}),
    ),
    "a token for Bundles meets one whose Patient is spelled with an escape": (
        "/Bundle/b",
        {"Bundle/b": json.dumps(wrap_in_bundle(PATIENT_B)["Bundle/b"]).replace('"Patient"', '"P\\u0061tient"')},
    ),
}


@pytest.mark.parametrize(("path", "responses"), HIDDEN.values(), ids=HIDDEN)
async def test_the_record_is_as_absent_where(tmp_path: Path, path: str, responses: dict[str, Any]) -> None:
    async with path_server(responses) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request(path, SCOPE)
        server.responses = {}
        absent = await gateway.request(path, SCOPE)
        assert (response.status_code, response.content, find_leaks(response)) == (404, absent.content, [])


async def test_the_like_is_shown_where_nothing_is_wrong_with_it(tmp_path: Path) -> None:
    """Without this, a server that holds nothing would pass above."""
    right: tuple[tuple[str, dict[str, Any]], ...] = (
        ("/Observation/own", at_own_path(OWN, contained=[{"resourceType": "Basic", "id": "x"}])),
        ("/Binary/letter", binary("Binary/other", securityContext=A)),
        ("/Binary/letter", binary("Binary/letter")),
        ("/Provenance/p", provenance("Observation/own")),
        ("/Bundle/b", wrap_in_bundle({"resourceType": "Bundle", "type": "collection", "entry": []})),
    )
    async with path_server({}) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for path, server.responses in right:
            assert (await gateway.request(path, SCOPE)).status_code == 200, path


# The record before each of these is permitted, and the same bytes decide.
BEHIND = {
    "the server calls it an outcome": search_finding({**OWN, "id": "other", **MARKED}, search={"mode": "outcome"}),
    "its id is no id": search_finding({**OWN, "id": "../Patient/pat-b", **MARKED}),
    "it contains another patient": search_finding({**OWN, "id": "other", "contained": [PATIENT_B]}),
    "it has another patient inside, and a third evens out how often a type is named": {
        "Observation": json.dumps(
            search_page(OWN, {**OWN, "id": "other", "hasMember": [{"resource": PATIENT_B}]}, {"resourceType": "Basic"})
        ).replace('"resourceType": "Basic"', '"resource\\u0054ype": "Basic"')
    },
}


@pytest.mark.parametrize("responses", BEHIND.values(), ids=BEHIND)
async def test_a_record_behind_one_that_it_resembles_is_dropped_where(
    tmp_path: Path, responses: dict[str, Any]
) -> None:
    async with path_server(responses) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for _ in range(2):
            response = await gateway.request("/Observation")
            assert (ids_in(response), find_leaks(response)) == ({"Observation/own"}, [])


async def test_what_comes_along_step_by_step_is_shown_however_it_is_referred_to(tmp_path: Path) -> None:
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/p/_history/2"}}
    path = "/Observation?_include=Observation:performer&_include:iterate=PractitionerRole:practitioner"
    async with path_server({}) as server, running_gateway(server.base_url, tmp_path) as gateway:
        page = search_page({**OWN, "performer": [{"reference": f"{server.base_url}/PractitionerRole/r"}]})
        for resource in (role, {"resourceType": "Practitioner", "id": "p"}):
            page["entry"].append({"resource": resource, "search": {"mode": "include"}})
        server.responses = {"Observation": page}
        assert ids_in(await gateway.request(path)) == {"Observation/own", "PractitionerRole/r", "Practitioner/p"}


async def test_the_pages_behind_a_search_by_id_hold_those_ids_alone(tmp_path: Path) -> None:
    other = {**OWN, "id": "other"}
    async with path_server({}) as server, running_gateway(server.base_url, tmp_path) as gateway:
        server.responses = {
            "Observation": search_page(OWN, next_url=f"{server.base_url}?page=1"),
            "?page=1": search_page(OWN, other),
        }
        first = await gateway.request("/Observation?_id=own")
        second = await gateway.request((link_of(first, "next") or "").removeprefix(gateway.base_url))
        assert ids_in(first) == ids_in(second) == {"Observation/own"}


async def test_the_pages_of_a_history_end_when_the_record_has_become_anothers(tmp_path: Path) -> None:
    async with path_server({}) as server, running_gateway(server.base_url, tmp_path) as gateway:
        history = search_page(OWN, kind="history", next_url=f"{server.base_url}?page=1")
        server.responses = {
            **at_own_path(OWN),
            "Observation/own/_history": history,
            "?page=1": search_page(OWN, kind="history"),
        }
        first = await gateway.request("/Observation/own/_history")
        following = (link_of(first, "next") or "").removeprefix(gateway.base_url)
        assert ids_in(await gateway.request(following)) == {"Observation/own"}
        server.responses |= at_own_path(OWN, subject=B)
        assert (await gateway.request(following)).status_code == 404


async def test_a_decision_is_remembered_for_its_own_patient_and_without_the_conditions_of_a_request(
    tmp_path: Path,
) -> None:
    changed = {"if-none-match": "*"}
    versioned = {**OWN, "meta": {"versionId": "1"}}
    async with path_server(at_own_path(versioned)) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for headers, status in ((changed, 304), ({}, 200), ({}, 200), (changed, 304), ({"x-http-method": "PUT"}, 400)):
            assert (await gateway.request("/Observation/own", headers=headers)).status_code == status
            stranger = await gateway.request("/Observation/own", claims={"patient": "pat-b"}, headers=headers)
            assert stranger.status_code == (400 if status == 400 else 404)


RELATIVES = {
    "the server answers with another relative": ({"resourceType": "RelatedPerson", "id": "b", "patient": B}, 403),
    "another relative was looked up before": ({"resourceType": "RelatedPerson", "id": "a", "patient": A}, 404),
}


@pytest.mark.parametrize(("response", "refusal"), RELATIVES.values(), ids=RELATIVES)
async def test_a_relative_reaches_no_chart_of_others_where(tmp_path: Path, response: Resource, refusal: int) -> None:
    relatives = {"b": {"resourceType": "RelatedPerson", "id": "b", "patient": B}, "a": response}
    held = {f"RelatedPerson/{name}": resource for name, resource in relatives.items()} | at_own_path(
        {**OWN, "id": "of-b"}, subject=B
    )
    async with (
        path_server(held | at_own_path(PATIENT_B)) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        for name, status in (("b", 200), ("a", refusal)):
            claims = {"patient": None, "fhirUser": f"RelatedPerson/{name}"}
            for path in ("/Observation/of-b", "/Patient/pat-b"):
                assert (await gateway.request(path, "user/*.rs", claims=claims)).status_code == status
