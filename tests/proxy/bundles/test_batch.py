"""A batch: each entry is answered as its request by itself would be, in the order of the entries."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.bundles.bundles import URN, entry, entry_reason, patch_binary, send_bundle, statuses
from tests.proxy.running_gateway import RunningGateway, running_gateway, serve_on
from tests.proxy.scripted_server import STATEMENT, bundle, make_resource, scripted_server
from tests.proxy.writing.record_server import RecordServer
from tests.proxy.writing.writes import observation, reason_of, replace
from tests.servers.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, RecordServer]


async def test_the_answers_stand_in_the_order_of_the_entries(honest: Pair) -> None:
    gateway, server = honest
    response = await send_bundle(
        gateway,
        "batch",
        entry("GET", "Observation?patient=pat-b"),
        entry("GET", f"{gateway.base_url}/Observation/o-a"),
        entry("GET", "http://fhir-server.internal:8080/fhir/Observation/o-b"),
        entry("POST", "Observation/_search?patient=Patient/pat-a"),
        entry("GET", "Observation/o-b"),
        entry("HEAD", "Observation/o-a"),
        entry("POST", "Observation", observation()),
        entry("PATCH", "Observation/o-a", patch_binary(replace("/status", "amended"))),
        entry("DELETE", "Encounter/e-b"),
    )
    assert statuses(response) == [200, 200, 400, 200, 404, 200, 201, 200, 404]
    body = response.json()
    assert (body["type"], response.headers["content-type"]) == ("batch-response", "application/fhir+json;charset=utf-8")
    found, read, foreign, searched, hidden, head, created, patched, kept = body["entry"]
    assert "entry" not in found["resource"]
    assert read["resource"]["id"] == "o-a"
    assert read["response"]["etag"] == 'W/"1"'
    assert entry_reason(foreign) == "path_malformed"
    assert [one["resource"]["id"] for one in searched["resource"]["entry"]] == ["o-a"]
    assert entry_reason(hidden) == entry_reason(kept) == "not_found"
    assert head.keys() == {"response"}
    location = created["response"]["location"]
    assert location.startswith(f"{gateway.base_url}/Observation/new-")
    assert patched["resource"]["status"] == "amended"
    assert ("Encounter", "e-b") in server.records


async def test_a_refusal_names_its_entry(honest: Pair) -> None:
    response = await send_bundle(
        honest[0], "batch", entry("GET", "Observation/o-a"), entry("POST", "Observation", observation("pat-b"))
    )
    outcome = response.json()["entry"][1]["response"]["outcome"]
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert statuses(response) == [200, 403]


async def test_hidden_and_absent_records_have_the_same_answer(honest: Pair) -> None:
    hidden = await send_bundle(honest[0], "batch", entry("GET", "Observation/o-b"))
    absent = await send_bundle(honest[0], "batch", entry("GET", "Observation/none"))
    assert hidden.content == absent.content


REFUSED = {
    "a batch in a batch": (entry("POST", "", {"resourceType": "Bundle", "type": "batch"}), "interaction_not_supported"),
    "a bulk export": (entry("GET", "Patient/$export"), "interaction_not_supported"),
    "an operation that no manifest lists": (entry("GET", "Patient/pat-a/$graphql"), "operation_not_allowed"),
    "B7: a delete by nothing": (entry("DELETE", "Observation"), "query_malformed"),
    "B7: a create at the address of another type": (entry("POST", "Patient", observation()), "scope_insufficient"),
    "a create at the address of a record": (entry("POST", "Observation/o-a", observation()), "method_not_allowed"),
    "a create without a resource": (entry("POST", "Observation"), "body_missing"),
    "a FHIRPath patch": (
        entry("PATCH", "Observation/o-a", {"resourceType": "Parameters"}),
        "patch_format_unsupported",
    ),
    "a read with a body": (entry("GET", "Observation/o-a", observation()), "query_malformed"),
    "a method that there is not": (entry("MOVE", "Observation/o-a"), "method_not_allowed"),
    "a version that is not the current one": (
        entry("PUT", "Observation/o-a", observation("pat-a", "o-a"), ifMatch='W/"7"'),
        "precondition_failed",
    ),
    "a reference to another entry": (
        entry("POST", "Observation", observation(encounter={"reference": URN})),
        "reference_refused",
    ),
}


@pytest.mark.parametrize(("refused", "reason"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_by_itself_is_refused_in_a_batch(honest: Pair, refused: Any, reason: str) -> None:
    gateway, server = honest
    before = dict(server.records)
    encounter = {"resourceType": "Encounter", "status": "planned", "subject": {"reference": "Patient/pat-a"}}
    scope = "patient/Observation.cruds patient/Encounter.c patient/Patient.rs"
    response = await send_bundle(gateway, "batch", refused, entry("POST", "Encounter", encounter, URN), scope=scope)
    first, second = response.json()["entry"]
    assert (entry_reason(first), entry_reason(second)) == (reason, "")
    assert {key: value for key, value in server.records.items() if key in before} == before


async def test_what_the_client_wants_back_holds_for_every_entry(honest: Pair) -> None:
    for preference, members in (("minimal", {"response"}), ("representation", {"resource", "response"})):
        prefer = f"return={preference}"
        response = await send_bundle(honest[0], "batch", entry("POST", "Observation", observation()), prefer=prefer)
        assert response.json()["entry"][0].keys() == members
    response = await send_bundle(
        honest[0], "batch", entry("POST", "Observation", observation()), prefer="return=OperationOutcome"
    )
    assert response.json()["entry"][0]["response"]["outcome"]["issue"][0]["severity"] == "information"


async def test_a_read_that_the_client_has_already_is_not_sent_again(honest: Pair) -> None:
    response = await send_bundle(honest[0], "batch", entry("GET", "Observation/o-a", ifNoneMatch='W/"1"'))
    (answer,) = response.json()["entry"]
    assert answer == {"response": {"status": "304 Not Modified", "etag": 'W/"1"'}}


async def test_each_entry_has_its_own_record(honest: Pair) -> None:
    gateway = honest[0]
    gateway.telemetry.records.clear()
    response = await send_bundle(gateway, "batch", entry("GET", "Observation/o-a"), entry("GET", "Observation/o-b"))
    first, second, whole = gateway.telemetry.records
    decision_id = response.headers["x-decision-id"]
    assert [one.decision_id for one in (first, second, whole)] == [f"{decision_id}.0", f"{decision_id}.1", decision_id]
    assert [(one.status, one.reason.value) for one in (first, second)] == [(200, "permitted"), (404, "out_of_reach")]
    assert whole.status == 200


async def test_an_empty_batch_has_an_empty_answer(honest: Pair) -> None:
    response = await send_bundle(honest[0], "batch")
    assert response.json() == {"resourceType": "Bundle", "type": "batch-response"}


async def test_a_batch_has_bounds(tmp_path: Path) -> None:
    def answer(path: str, query: str, headers: Any) -> Any:
        large = make_resource("Observation", path.rpartition("/")[2], note="x" * 600)
        return (200, large, {}) if "/" in path else (200, bundle(), {})

    limits = {"bundle_entries": 2}
    async with (
        scripted_server(answer) as server,
        running_gateway(
            server.base_url, tmp_path, limits=limits, upstream={"max_verified_body_bytes": 1000}
        ) as gateway,
    ):
        reads = [entry("GET", f"Observation/{name}") for name in "abc"]
        too_many = await send_bundle(gateway, "batch", *reads, scope="system/*.rs")
        assert (too_many.status_code, reason_of(too_many)) == (413, "request_too_large")
        too_large = await send_bundle(gateway, "batch", *reads[:2], scope="system/*.rs")
        assert sorted(statuses(too_large)) == [200, 502]


async def test_entries_that_get_no_answer_in_time_are_answered_all_the_same(tmp_path: Path) -> None:
    released = asyncio.Event()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].rpartition("/")[2]
        if path == "slow":
            await released.wait()
        body = STATEMENT[1] if path == "metadata" else make_resource("Observation", path)
        headers = [(b"content-type", b"application/fhir+json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    port = free_port()
    async with (
        serve_on(answer, port),
        running_gateway(f"http://127.0.0.1:{port}/fhir", tmp_path, limits={"bundle_seconds": 1}) as gateway,
    ):
        reads = [entry("GET", f"Observation/{name}") for name in ("slow", "quick")]
        response = await send_bundle(gateway, "batch", *reads, scope="system/*.rs")
        released.set()
        assert statuses(response) == [504, 200]
        assert entry_reason(response.json()["entry"][0]) == "upstream_timeout"
