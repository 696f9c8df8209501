"""Batches and transactions that went wrong in comparable servers; the letters in the names are the ids of the cases."""

import base64
from typing import Any

import pytest

from tests.proxy.bundles.bundles import URN, entry, entry_reason, patch_binary, send_bundle, statuses
from tests.proxy.bundles.transaction_server import TransactionServer
from tests.proxy.running_gateway import RunningGateway
from tests.proxy.writing.writes import observation, reason_of, replace

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, TransactionServer]


async def test_w11_a_transaction_of_a_permitted_create_is_carried_out(pair: Pair) -> None:
    gateway, _ = pair
    created = entry("POST", "Observation", observation(), URN)
    response = await send_bundle(gateway, "transaction", created, scope="patient/Observation.c")
    assert statuses(response) == [201]


async def test_w13_a_patch_of_another_language_refuses_the_transaction_and_says_why(pair: Pair) -> None:
    gateway, server = pair
    part = [{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Patient.active"}]
    operation = {"name": "operation", "part": [*part, {"name": "value", "valueBoolean": True}]}
    patch = entry("PATCH", "Patient/pat-a", {"resourceType": "Parameters", "parameter": [operation]})
    response = await send_bundle(gateway, "transaction", patch, scope="system/Patient.u")
    assert (response.status_code, reason_of(response)) == (415, "patch_format_unsupported")
    assert response.json()["issue"][0]["expression"] == ["Bundle.entry[0]"]
    assert server.transactions == []


@pytest.mark.parametrize(("version", "status"), [("1", 200), ("2", 412)])
async def test_w14_the_precondition_of_a_patch_holds_in_a_transaction(pair: Pair, version: str, status: int) -> None:
    gateway, server = pair
    patch = entry("PATCH", "Observation/o-a", patch_binary(replace("/status", "amended")), ifMatch=f'W/"{version}"')
    response = await send_bundle(gateway, "transaction", patch, entry("POST", "Observation", observation()))
    assert response.status_code == status
    assert len(server.transactions) == (status == 200)
    assert server.records["Observation", "o-a"]["status"] == ("amended" if status == 200 else "final")


async def test_w17_searches_and_absolute_addresses_in_a_batch_are_held_to_the_grant_in_their_order(pair: Pair) -> None:
    gateway, _ = pair
    response = await send_bundle(
        gateway,
        "batch",
        entry("GET", "Observation?subject=Patient/pat-b"),
        entry("GET", "http://fhir-server.internal:8080/fhir/Observation/o-b"),
        entry("GET", "Observation/o-a"),
        entry("POST", "Observation/_search?subject=Patient/pat-b"),
        scope="patient/*.rs",
    )
    assert statuses(response) == [200, 400, 200, 200]
    of_b, _, own, of_b_too = response.json()["entry"]
    assert "entry" not in of_b["resource"]
    assert own["resource"]["id"] == "o-a"
    assert "entry" not in of_b_too["resource"]


@pytest.mark.parametrize("hidden", [{}, {"focus": [{"reference": URN}]}, {"focus": [{"reference": "urn:oid:1.2"}]}])
@pytest.mark.parametrize("name", ["", URN])
async def test_names_in_an_unread_record_do_not_show_by_a_patch_of_it(pair: Pair, hidden: Any, name: str) -> None:
    """leak_44"""
    gateway, server = pair
    server.put(observation("pat-a", "o-a", **hidden))
    patch = entry("PATCH", "Observation/o-a", patch_binary(replace("/status", "amended")))
    created = entry("POST", "Observation", observation(), name)
    response = await send_bundle(gateway, "transaction", patch, created, scope="patient/Observation.cu")
    assert statuses(response) == [200, 201]
    assert all("resource" not in answer for answer in response.json()["entry"])


async def test_a_patch_does_not_put_a_name_together(pair: Pair) -> None:
    gateway, server = pair
    server.put(observation("pat-a", "o-a", note=[{"text": URN}], focus=[{"display": "x"}]))
    together = [{"op": "copy", "from": "/note/0/text", "path": "/focus/0/reference"}]
    patch = entry("PATCH", "Observation/o-a", patch_binary(together))
    response = await send_bundle(gateway, "transaction", patch, entry("POST", "Observation", observation(), URN))
    assert (response.status_code, reason_of(response)) == (400, "reference_refused")


SMUGGLED: dict[str, Any] = {
    "an entry that is compressed": entry(
        "PATCH",
        "Observation/o-a",
        {
            "resourceType": "Binary",
            "contentType": "application/gzip",
            "data": base64.b64encode(b"\x1f\x8b").decode(),
        },
    ),
    "an operation that is on no manifest": entry("POST", "Patient/pat-a/$expunge"),
    "an operation on another patient": entry("GET", "Patient/pat-b/$everything"),
    "an operation in a query": entry("GET", "Observation?_query=x"),
    "the page of somebody else": entry("GET", "?_getpages=abc"),
    "another base with the path of this one": entry("GET", "//evil.example/fhir/Observation/o-b"),
    "a path upwards": entry("GET", "Observation/../Patient/pat-b"),
    "a header in the address": entry("GET", "Observation/o-a HTTP/1.1\r\nX: y"),
    "a precondition with a second header": entry(
        "PUT", "Observation/o-a", observation("pat-a", "o-a"), ifMatch='W/"1"\r\nX: y'
    ),
    "a condition with a second header": entry(
        "POST", "Observation", observation(), ifNoneExist="identifier=urn:x|1\r\nX: y"
    ),
    "a condition about another patient": entry(
        "PUT", "Observation?patient=Patient/pat-b&identifier=urn:x|2", observation("pat-b")
    ),
}


@pytest.mark.parametrize("smuggled", SMUGGLED.values(), ids=SMUGGLED)
@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_an_entry_is_refused_and_nothing_of_it_is_sent_that_is(pair: Pair, kind: str, smuggled: Any) -> None:
    gateway, server = pair
    before = dict(server.records)
    response = await send_bundle(gateway, kind, smuggled)
    reason = entry_reason(response.json()["entry"][0]) if response.status_code == 200 else reason_of(response)
    assert reason
    assert server.records == before
    assert not any("$" in one or "evil" in one or ".." in one or "_getpages" in one for one in server.requests)
