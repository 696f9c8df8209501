"""Unusual responses: nothing that could be a resource passes unread, and one bad part does not affect the rest."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proxy import scripted_server as scripted_module
from tests.proxy.leaked_marks import find_leaks, ids_in
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.people import B_MARKER, Resource

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
PATIENT_B = make_resource("Patient", "pat-b", name=[{"family": B_MARKER}])

# Ways in which servers write that something is FHIR JSON, or do not say what it is.
PERHAPS_JSON = (
    "application/json+fhir",
    "application/json+fhir;charset=UTF-8",
    f"application/json; x={'a' * 300}",
    "application/json, application/json",
    "text/x-json",
    "application/vnd.api+json",
    "application/fhir+turtle",
    "json",
    "",
)


def observation(name: str, /, **members: Any) -> Resource:
    return make_resource("Observation", name, **{"status": "final", "code": {"text": "x"}, "subject": A, **members})


@pytest.mark.parametrize("content_type", PERHAPS_JSON)
async def test_what_could_be_a_resource_is_not_taken_for_a_raw_binary(tmp_path: Path, content_type: str) -> None:
    script = lambda *_: (200, PATIENT_B, {"content-type": content_type})  # noqa: E731
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Binary/x", "system/Binary.rs", headers={"accept": "*/*"})
        assert find_leaks(response) == []


@pytest.mark.parametrize("content_type", ["application/pdf", "text/plain; charset=utf-8", "application/dicom;a=b"])
async def test_what_is_plainly_no_resource_is_streamed_as_it_is(tmp_path: Path, content_type: str) -> None:
    script = lambda *_: (200, b"a letter", {"content-type": content_type})  # noqa: E731
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Binary/x", "system/Binary.rs", headers={"accept": "*/*"})
        assert response.content == b"a letter"


@pytest.mark.parametrize("members", [{"entry": [{"resource": PATIENT_B}]}, {"software": {"name": "x", "r": PATIENT_B}}])
async def test_the_statement_that_anybody_may_read_holds_nobodys_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, Any]
) -> None:
    statement = {"resourceType": "CapabilityStatement", "rest": [], **members}
    monkeypatch.setattr(scripted_module, "STATEMENT", (200, statement, {}))
    async with scripted_server(lambda *_: ABSENT) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/metadata", None)
        assert (response.status_code, find_leaks(response)) == (200, [])


ODD_STATEMENTS: dict[str, list[Any]] = {
    "a parameter whose name is a list": [{"resource": [{"type": "Observation", "searchParam": [{"name": ["x"]}]}]}],
    "an interaction whose code is an object": [{"interaction": [{"code": {}}]}],
    "a resource's interaction whose code is a list": [{"resource": [{"type": "Basic", "interaction": [{"code": []}]}]}],
}


@pytest.mark.parametrize("rest", ODD_STATEMENTS.values(), ids=ODD_STATEMENTS)
async def test_a_statement_of_odd_form_is_no_fault_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rest: list[Any]
) -> None:
    monkeypatch.setattr(scripted_module, "STATEMENT", (200, {"resourceType": "CapabilityStatement", "rest": rest}, {}))
    async with scripted_server(lambda *_: ABSENT) as server, running_gateway(server.base_url, tmp_path) as gateway:
        assert (await gateway.request("/metadata", None)).status_code == 200


ODD_ENTRIES: dict[str, dict[str, Any]] = {
    "a mode that is a number": {"search": {"mode": 5}},
    "an address that is a number": {"fullUrl": 5},
    "a resource that is a list": {"resource": []},
    "a request without a method": {"request": {"method": None}},
}


@pytest.mark.parametrize("entry", ODD_ENTRIES.values(), ids=ODD_ENTRIES)
@pytest.mark.parametrize("path", ["/Observation", "/Observation/own/_history"])
async def test_an_entry_of_odd_form_is_left_out_alone(tmp_path: Path, path: str, entry: dict[str, Any]) -> None:
    page = bundle(observation("own"), observation("odd"), kind="history" if "_history" in path else "searchset")
    page["entry"][1] |= entry

    def script(asked: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        return 200, observation("own") if asked == "Observation/own" else page, {}

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request(path)
        assert (response.status_code, ids_in(response)) == (200, {"Observation/own"})
        assert len(response.json()["entry"]) == 1


TARGETS: dict[str, ScriptedResponse] = {
    "is not UTF-8": (200, b"\xff\xfe", {}),
    "the server keeps from us": (403, {}, {}),
    "is too large to judge": (200, json.dumps(observation("of-b", note=[{"text": "x" * 200_000}])).encode(), {}),
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("path", ["/Observation?_revinclude=Provenance:target", "/Provenance?target=Observation/of-b"])
async def test_a_target_that_cannot_be_judged_does_not_take_the_page_along(
    tmp_path: Path, path: str, target: ScriptedResponse
) -> None:
    provenance = make_resource("Provenance", "p", target=[{"reference": "Observation/of-b"}])

    def script(asked: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        if asked == "Observation":
            page = bundle(observation("own"))
            page["entry"].append({"resource": provenance, "search": {"mode": "include"}})
            return 200, page, {}
        return (200, bundle(provenance), {}) if asked == "Provenance" else target

    small: Any = {"max_verified_body_bytes": 100_000}
    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path, upstream=small) as gateway:
        response = await gateway.request(path)
        assert (response.status_code, "Provenance/p" in ids_in(response)) == (200, False)
