"""Attacks that a red team tried against the running gateway and that failed: each must go on failing."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.web.answer import Receive, Scope, Send
from tests.gateway.marks import ids_in, leaks, link_of
from tests.gateway.running import running_gateway, served
from tests.servers.people import B_MARKER, Resource
from tests.servers.process import free_port

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
# What belongs to A, and Bundles of whatever A may see.
SCOPE = "patient/*.rs system/Bundle.rs"
PATIENT_B: Resource = {"resourceType": "Patient", "id": "pat-b", "name": [{"family": B_MARKER}]}
OWN: Resource = {"resourceType": "Observation", "id": "own", "status": "final", "subject": A}
MARKED: Resource = {"meta": {"tag": [{"code": B_MARKER}]}}


@dataclass
class Scripted:
    """A server that answers each path (below its base, with its query) by what `answers` holds, else by 404."""

    base_url: str
    answers: dict[str, Any] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a text is sent as it stands."""
        path, query = scope["path"].removeprefix("/fhir").strip("/"), scope["query_string"].decode("ascii")
        answer = self.answers.get(f"{path}?{query}", self.answers.get(path))
        body = answer if isinstance(answer, str) else json.dumps(answer or {})
        headers = [(b"content-type", b"application/fhir+json"), (b"etag", b'W/"1"')]
        await send({"type": "http.response.start", "status": 404 if answer is None else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})


@contextlib.asynccontextmanager
async def scripted(answers: Mapping[str, Any]) -> AsyncIterator[Scripted]:
    """One in the running event loop."""
    port = free_port()
    server = Scripted(f"http://127.0.0.1:{port}/fhir", dict(answers))
    async with served(server, port):
        yield server


def found(*resources: Resource, kind: str = "searchset", following: str | None = None, **entry: Any) -> Resource:
    """A Bundle of matches; `entry` is laid over the last one, `following` is where `next` leads."""
    entries: list[Resource] = [{"resource": one, "search": {"mode": "match"}} for one in resources]
    if entries:
        entries[-1] |= entry
    link = [] if following is None else [{"relation": "next", "url": following}]
    return {"resourceType": "Bundle", "type": kind, "link": link, "entry": entries}


def at(resource: Resource, **members: Any) -> dict[str, Resource]:
    """The resource with these members, at its own path."""
    return {f"{resource['resourceType']}/{resource['id']}": {**resource, **members}}


def binary(attached: str, **members: Any) -> dict[str, Any]:
    """B's Binary, A's patient, and a document of A's that attaches what stands at `attached`."""
    document = {"resourceType": "DocumentReference", "id": "d", "status": "current", "subject": A}
    letter = {"resourceType": "Binary", "id": "letter", "contentType": "text/plain", "data": "YQ==", **MARKED}
    return {
        **at({"resourceType": "Patient", "id": "pat-a"}),
        **at(letter, **members),
        "DocumentReference": found({**document, "content": [{"attachment": {"url": attached}}]}),
    }


def provenance(*targets: str, **members: Any) -> dict[str, Any]:
    """A Provenance of these targets, beside A's own record."""
    target = [{"reference": one} for one in targets]
    return at(OWN) | at({"resourceType": "Provenance", "id": "p", "target": target, **MARKED}, **members)


def bundled(inner: Any) -> dict[str, Any]:
    """A Bundle that carries this."""
    return at({"resourceType": "Bundle", "id": "b", "type": "collection", "entry": [{"resource": inner}]})


def beside(resource: Resource, **entry: Any) -> dict[str, Any]:
    """A search that finds A's record and, behind it, this one."""
    return {"Observation": found(OWN, resource, **entry)}


HIDDEN: dict[str, tuple[str, dict[str, Any]]] = {
    "what is contained stands in an object and no list": ("/Observation/own", at(OWN, contained={"x": PATIENT_B})),
    "what is contained hides in what is contained": (
        "/Observation/own",
        at(OWN, contained=[{"resourceType": "Basic", "id": "x", "contained": [PATIENT_B]}]),
    ),
    "a contained patient has no id": (
        "/Observation/own",
        at(OWN, contained=[{"resourceType": "Patient", "name": [{"family": B_MARKER}]}]),
    ),
    "a contained resource has a list for its type": (
        "/Observation/own",
        at(OWN, contained=[{**PATIENT_B, "resourceType": ["Patient"]}]),
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
    "a token for Bundles meets one that carries a Patient": ("/Bundle/b", bundled(PATIENT_B)),
    "a token for Bundles meets one that carries a Patient in Parameters": (
        "/Bundle/b",
        bundled({"resourceType": "Parameters", "parameter": [{"part": [{"resource": PATIENT_B}]}]}),
    ),
    "a token for Bundles meets one whose Patient is spelled with an escape": (
        "/Bundle/b",
        {"Bundle/b": json.dumps(bundled(PATIENT_B)["Bundle/b"]).replace('"Patient"', '"P\\u0061tient"')},
    ),
}


@pytest.mark.parametrize(("path", "answers"), HIDDEN.values(), ids=HIDDEN)
async def test_the_record_is_as_absent_where(tmp_path: Path, path: str, answers: dict[str, Any]) -> None:
    async with scripted(answers) as server, running_gateway(server.base_url, tmp_path) as gateway:
        answer = await gateway.ask(path, SCOPE)
        server.answers = {}
        absent = await gateway.ask(path, SCOPE)
        assert (answer.status_code, answer.content, leaks(answer)) == (404, absent.content, [])


async def test_the_like_is_shown_where_nothing_is_wrong_with_it(tmp_path: Path) -> None:
    """Without this, a server that holds nothing would pass above."""
    right: tuple[tuple[str, dict[str, Any]], ...] = (
        ("/Observation/own", at(OWN, contained=[{"resourceType": "Basic", "id": "x"}])),
        ("/Binary/letter", binary("Binary/other", securityContext=A)),
        ("/Binary/letter", binary("Binary/letter")),
        ("/Provenance/p", provenance("Observation/own")),
        ("/Bundle/b", bundled({"resourceType": "Bundle", "type": "collection", "entry": []})),
    )
    async with scripted({}) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for path, server.answers in right:
            assert (await gateway.ask(path, SCOPE)).status_code == 200, path


# The record before each of these is permitted, and the same bytes decide.
BEHIND = {
    "the server calls it an outcome": beside({**OWN, "id": "other", **MARKED}, search={"mode": "outcome"}),
    "its id is no id": beside({**OWN, "id": "../Patient/pat-b", **MARKED}),
    "it contains another patient": beside({**OWN, "id": "other", "contained": [PATIENT_B]}),
    "it has another patient inside, and a third evens out how often a type is named": {
        "Observation": json.dumps(
            found(OWN, {**OWN, "id": "other", "hasMember": [{"resource": PATIENT_B}]}, {"resourceType": "Basic"})
        ).replace('"resourceType": "Basic"', '"resource\\u0054ype": "Basic"')
    },
}


@pytest.mark.parametrize("answers", BEHIND.values(), ids=BEHIND)
async def test_a_record_behind_one_that_it_resembles_is_dropped_where(tmp_path: Path, answers: dict[str, Any]) -> None:
    async with scripted(answers) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for _ in range(2):
            answer = await gateway.ask("/Observation")
            assert (ids_in(answer), leaks(answer)) == ({"Observation/own"}, [])


async def test_what_comes_along_step_by_step_is_shown_however_it_is_referred_to(tmp_path: Path) -> None:
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/p/_history/2"}}
    path = "/Observation?_include=Observation:performer&_include:iterate=PractitionerRole:practitioner"
    async with scripted({}) as server, running_gateway(server.base_url, tmp_path) as gateway:
        page = found({**OWN, "performer": [{"reference": f"{server.base_url}/PractitionerRole/r"}]})
        for one in (role, {"resourceType": "Practitioner", "id": "p"}):
            page["entry"].append({"resource": one, "search": {"mode": "include"}})
        server.answers = {"Observation": page}
        assert ids_in(await gateway.ask(path)) == {"Observation/own", "PractitionerRole/r", "Practitioner/p"}


async def test_the_pages_behind_a_search_by_id_hold_those_ids_alone(tmp_path: Path) -> None:
    other = {**OWN, "id": "other"}
    async with scripted({}) as server, running_gateway(server.base_url, tmp_path) as gateway:
        server.answers = {
            "Observation": found(OWN, following=f"{server.base_url}?page=1"),
            "?page=1": found(OWN, other),
        }
        first = await gateway.ask("/Observation?_id=own")
        second = await gateway.ask((link_of(first, "next") or "").removeprefix(gateway.base_url))
        assert ids_in(first) == ids_in(second) == {"Observation/own"}


async def test_the_pages_of_a_history_end_when_the_record_has_become_anothers(tmp_path: Path) -> None:
    async with scripted({}) as server, running_gateway(server.base_url, tmp_path) as gateway:
        history = found(OWN, kind="history", following=f"{server.base_url}?page=1")
        server.answers = {**at(OWN), "Observation/own/_history": history, "?page=1": found(OWN, kind="history")}
        first = await gateway.ask("/Observation/own/_history")
        following = (link_of(first, "next") or "").removeprefix(gateway.base_url)
        assert ids_in(await gateway.ask(following)) == {"Observation/own"}
        server.answers |= at(OWN, subject=B)
        assert (await gateway.ask(following)).status_code == 404


async def test_a_decision_is_remembered_for_its_own_patient_and_without_the_conditions_of_a_request(
    tmp_path: Path,
) -> None:
    changed = {"if-none-match": "*"}
    async with scripted(at(OWN)) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for headers, status in ((changed, 304), ({}, 200), ({}, 200), (changed, 304), ({"x-http-method": "PUT"}, 400)):
            assert (await gateway.ask("/Observation/own", headers=headers)).status_code == status
            stranger = await gateway.ask("/Observation/own", claims={"patient": "pat-b"}, headers=headers)
            assert stranger.status_code == (400 if status == 400 else 404)


RELATIVES = {
    "the server answers with another relative": ({"resourceType": "RelatedPerson", "id": "b", "patient": B}, 403),
    "another relative was looked up before": ({"resourceType": "RelatedPerson", "id": "a", "patient": A}, 404),
}


@pytest.mark.parametrize(("answer", "refusal"), RELATIVES.values(), ids=RELATIVES)
async def test_a_relative_reaches_no_chart_of_others_where(tmp_path: Path, answer: Resource, refusal: int) -> None:
    relatives = {"b": {"resourceType": "RelatedPerson", "id": "b", "patient": B}, "a": answer}
    held = {f"RelatedPerson/{name}": one for name, one in relatives.items()} | at({**OWN, "id": "of-b"}, subject=B)
    async with scripted(held | at(PATIENT_B)) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for name, status in (("b", 200), ("a", refusal)):
            claims = {"patient": None, "fhirUser": f"RelatedPerson/{name}"}
            for path in ("/Observation/of-b", "/Patient/pat-b"):
                assert (await gateway.ask(path, "user/*.rs", claims=claims)).status_code == status
