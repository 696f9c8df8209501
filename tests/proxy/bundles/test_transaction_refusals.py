"""A transaction of which one entry is refused: nothing of it is sent, and the entry is named."""

from typing import Any

import pytest

from tests.proxy.bundles.bundles import OTHER, URN, at, encounter, entry, patch_binary, send_bundle
from tests.proxy.bundles.transaction_server import TransactionServer
from tests.proxy.running_gateway import RunningGateway
from tests.proxy.writing.writes import observation, reason_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, TransactionServer]

REFUSED = {
    "another patient's record is updated": (
        entry("PUT", "Observation/o-b", observation("pat-a", "o-b")),
        404,
        "not_found",
    ),
    "another patient's record is deleted": (entry("DELETE", "Observation/o-b"), 404, "not_found"),
    "a record is given away": (
        entry("PUT", "Observation/o-a", observation("pat-b", "o-a")),
        403,
        "write_out_of_reach",
    ),
    "a record is made for another patient": (
        entry("POST", "Observation", observation("pat-b")),
        403,
        "write_out_of_reach",
    ),
    "a patient is made": (entry("POST", "Patient", {"resourceType": "Patient"}), 403, "write_out_of_reach"),
    "B7: a delete by nothing": (entry("DELETE", "Observation"), 400, "query_malformed"),
    "B7: the address has another type than the body": (
        entry("POST", "Encounter", observation()),
        400,
        "body_type_mismatch",
    ),
    "B7: the address of a create is that of an operation": (
        entry("POST", "Observation/$validate-everything", observation()),
        403,
        "operation_not_allowed",
    ),
    "B9: criteria in place of a reference": (
        entry("POST", "Observation", observation(performer=[at("Patient?identifier=urn:x|2")])),
        400,
        "reference_refused",
    ),
    "a reference to another patient's record": (
        entry("POST", "Observation", observation(encounter=at("Encounter/e-b"))),
        403,
        "reference_out_of_reach",
    ),
    "a version of another patient's record": (
        entry("POST", "Observation", observation(encounter=at("Encounter/e-b/_history/1"))),
        403,
        "reference_out_of_reach",
    ),
    "a name that no entry has": (
        entry("POST", "Observation", observation(encounter=at(OTHER))),
        400,
        "reference_refused",
    ),
    "a name in other letters": (
        entry("POST", "Observation", observation(encounter=at(URN.upper()))),
        400,
        "reference_refused",
    ),
    "a name in a patch": (
        entry(
            "PATCH",
            "Observation/o-a",
            patch_binary(
                [
                    {"op": "add", "path": "/encounter", "value": {"display": "x"}},
                    {"op": "add", "path": "/encounter/reference", "value": URN},
                ]
            ),
        ),
        400,
        "reference_refused",
    ),
    "a create without a resource": (entry("POST", "Observation"), 400, "body_missing"),
    "a FHIRPath patch": (
        entry("PATCH", "Observation/o-a", {"resourceType": "Parameters"}),
        415,
        "patch_format_unsupported",
    ),
    "a version that is not the current one": (
        entry("PUT", "Observation/o-a", observation("pat-a", "o-a"), ifMatch='W/"7"'),
        412,
        "precondition_failed",
    ),
    "a read out of scope": (entry("GET", "Organization?name=x"), 403, "search_by_id_only"),
    "a Bundle in a Bundle": (
        entry("POST", "", {"resourceType": "Bundle", "type": "transaction"}),
        403,
        "interaction_not_supported",
    ),
    "an address of another server": (
        entry("GET", "http://fhir-server.internal/fhir/Patient/pat-b"),
        400,
        "path_malformed",
    ),
}


@pytest.mark.parametrize(("refused", "status", "reason"), REFUSED.values(), ids=REFUSED)
async def test_one_refused_entry_refuses_the_whole(pair: Pair, refused: Any, status: int, reason: str) -> None:
    gateway, server = pair
    before = dict(server.records)
    response = await send_bundle(gateway, "transaction", entry("POST", "Encounter", encounter(), URN), refused)
    assert (response.status_code, reason_of(response)) == (status, reason)
    assert response.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert (server.records, server.transactions) == (before, [])


async def test_hidden_and_absent_records_are_refused_alike(pair: Pair) -> None:
    answers = [
        await send_bundle(pair[0], "transaction", entry("PUT", f"Observation/{name}", observation("pat-a", name)))
        for name in ("o-b", "none")
    ]
    assert answers[0].content == answers[1].content
    references = [
        await send_bundle(pair[0], "transaction", entry("POST", "Observation", observation(encounter=at(name))))
        for name in ("Encounter/e-b", "Encounter/none")
    ]
    assert references[0].content == references[1].content


async def test_two_entries_about_one_record_are_refused(pair: Pair) -> None:
    update = entry("PUT", "Observation/o-a", observation("pat-a", "o-a"))
    response = await send_bundle(pair[0], "transaction", update, entry("DELETE", "Observation/o-a"))
    assert (response.status_code, reason_of(response)) == (400, "bundle_malformed")
    named = "urn:uuid:aaaaaaaa-1111-4111-8111-111111111111"
    same_name = [entry("POST", "Encounter", encounter(), name) for name in (named, named.replace("a", "A"))]
    response = await send_bundle(pair[0], "transaction", *same_name)
    assert (response.status_code, reason_of(response)) == (400, "bundle_malformed")
    assert not pair[1].transactions


async def test_a_new_record_cannot_be_named_but_by_its_name(pair: Pair) -> None:
    """The id that stands for it here is secret; the one that the client gives it is not sent."""
    bundle = [
        entry("POST", "Encounter", encounter("pat-a", "e-b"), URN),
        entry("POST", "Observation", observation(encounter=at("Encounter/e-b"))),
    ]
    response = await send_bundle(pair[0], "transaction", *bundle)
    assert reason_of(response) == "reference_out_of_reach"
