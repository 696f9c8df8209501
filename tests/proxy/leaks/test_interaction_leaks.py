"""The leak corpus, interactions: operations, batches, writes, histories and exports.

The number in a test's name is the number of the line in the corpus. Where a correct server would hide the fault, the
hostile server or a lenient one is behind the gateway.
"""

from typing import Any

import pytest

from tests.proxy.leaked_marks import (
    find_leaks,
    ids_in,
    is_refused,
    shows_only_patient_a,
)
from tests.proxy.leaks.leak_gateways import (
    OBSERVATIONS,
    OF_A,
    OF_B,
    WHOLE,
    LeakGateways,
    make_observation,
    request_without_upstream,
)
from tests.proxy.running_gateway import RunningGateway
from tests.servers.people import Resource

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]

BELOW_AN_INSTANCE = {
    "/Patient/pat-a/$everything": "scope_insufficient",
    "/Patient/pat-b/$everything": "scope_insufficient",
    "/Patient/pat-a/$graphql?query=x": "operation_not_allowed",
    "/Patient/pat-a/Observation": "scope_insufficient",
    "/Patient/pat-a/Observation/_search": "scope_insufficient",
}


@pytest.mark.parametrize(("path", "reason"), BELOW_AN_INSTANCE.items())
async def test_leak_05_reading_a_patient_opens_nothing_below_it(gateways: LeakGateways, path: str, reason: str) -> None:
    method = "POST" if path.endswith("_search") else "GET"
    assert is_refused(await request_without_upstream(gateways, path, "patient/Patient.r", method=method), 403, reason)


async def test_leak_05_reading_a_patient_opens_its_own_history_alone(gateway: RunningGateway) -> None:
    own = await gateway.request("/Patient/pat-a/_history", "patient/Patient.r")
    assert shows_only_patient_a(own)
    assert ids_in(own) == {"Patient/pat-a"}
    assert is_refused(await gateway.request("/Patient/pat-b/_history", "patient/Patient.r"), 404, "not_found")


@pytest.mark.requirement("SC-5")
@pytest.mark.parametrize("path", ["/Patient/$everything", "/Observation/$lastn", "/$everything", "/Patient/$match"])
async def test_leak_06_operations_on_a_type_are_refused_even_under_the_widest_scope(
    gateways: LeakGateways, path: str
) -> None:
    for scope in (WHOLE, "system/*.cruds"):
        assert is_refused(await request_without_upstream(gateways, path, scope), 403, "operation_not_allowed")


JSON_PATCH = {"content-type": "application/json-patch+json"}


def batch(*urls: str) -> Resource:
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


NESTED = {"request": {"method": "POST", "url": ""}, "resource": batch("Patient/pat-b")}
BATCHES = {
    "another patient's record": (batch("Patient/pat-b"), "404 Not Found"),
    "an absolute address of the server": (batch("http://127.0.0.1/fhir/Patient/pat-b"), "400 Bad Request"),
    "a Bundle in a Bundle": ({**batch(), "entry": [NESTED]}, "403 Forbidden"),
}


@pytest.mark.parametrize(("bundle", "status"), BATCHES.values(), ids=BATCHES)
async def test_leak_09_an_entry_shows_no_more_than_its_request_by_itself(
    gateways: LeakGateways, bundle: Resource, status: str
) -> None:
    response = await gateways.sekmet.request("/", WHOLE, method="POST", json=bundle)
    (entry,) = response.json()["entry"]
    assert entry.keys() == {"response"}
    assert entry["response"]["status"] == status


async def test_leak_09_a_search_for_another_patient_in_a_batch_finds_nothing(gateways: LeakGateways) -> None:
    response = await gateways.sekmet.request("/", WHOLE, method="POST", json=batch("Observation?subject=Patient/pat-b"))
    (entry,) = response.json()["entry"]
    assert not entry["resource"].get("entry")


async def test_leak_09_a_bundle_without_a_type_is_no_transaction(gateways: LeakGateways) -> None:
    bundle = {name: value for name, value in batch("Patient/pat-b").items() if name != "type"}
    response = await request_without_upstream(gateways, "/", WHOLE, method="POST", json=bundle)
    assert is_refused(response, 400, "bundle_malformed")


async def test_leak_13_a_conditional_patch_means_no_record_of_another_patient(gateways: LeakGateways) -> None:
    patch = {"json": [{"op": "replace", "path": "/status", "value": "entered-in-error"}], "headers": JSON_PATCH}
    without = await request_without_upstream(gateways, "/Observation?code=x", OBSERVATIONS, method="PATCH", **patch)
    assert is_refused(without, 403, "scope_insufficient")
    named = "/Observation?_id=pat-b-smoking"
    hidden = await gateways.sekmet.request(named, "patient/*.cruds", method="PATCH", **patch)
    assert is_refused(hidden, 404, "not_found")


WRITES = {
    "a create that names A and B": ("POST", "/Observation", make_observation("x", [OF_A, OF_B]), 403),
    "an update that moves B's record to A": (
        "PUT",
        "/Observation/pat-b-smoking",
        make_observation("pat-b-smoking", OF_A),
        404,
    ),
    "a patch of the subject": (
        "PATCH",
        "/Observation/pat-a-smoking",
        [{"op": "replace", "path": "/subject", "value": OF_B}],
        403,
    ),
    "a delete": ("DELETE", "/Observation/pat-b-smoking", None, 404),
}


@pytest.mark.parametrize(("method", "path", "body", "status"), WRITES.values(), ids=WRITES)
async def test_leak_14_a_write_neither_moves_a_record_nor_touches_another_patients(
    gateway: RunningGateway, method: str, path: str, body: Any, status: int
) -> None:
    headers = JSON_PATCH if method == "PATCH" else {}
    sent = {} if body is None else {"json": body, "headers": headers}
    response = await gateway.request(path, "patient/*.cruds", method=method, **sent)
    assert is_refused(response, status, "not_found" if status == 404 else "write_out_of_reach")


async def test_leak_21_an_export_needs_system_scopes_and_a_binary_is_shown_to_its_owner(gateways: LeakGateways) -> None:
    """The links to the export of another client: tests/proxy/bulk_export."""
    for path in ("/$export", "/Patient/$export", "/Group/group-1/$export"):
        assert is_refused(await request_without_upstream(gateways, path, WHOLE), 403, "scope_insufficient")
    gateway = gateways.sekmet
    for accept in ("application/fhir+json", "*/*"):
        own = await gateway.request("/Binary/pat-a-binary", headers={"accept": accept})
        assert (own.status_code, find_leaks(own)) == (200, [])
    # A form that the server does not have: that must not be said of what is out of reach.
    for accept in ("application/fhir+json", "*/*", "text/plain"):
        for hidden in ("pat-b-binary", "never-was"):
            response = await gateway.request(f"/Binary/{hidden}", headers={"accept": accept})
            assert is_refused(response, 404, "not_found")
