"""A resource of a transaction vouches for a new Binary that it points at, if both belong to whom the token reaches."""

from typing import Any

import pytest
import pytest_asyncio

from tests.proxy.bundles.bundles import OTHER, URN, at, entry, patch_binary, send_bundle, statuses
from tests.proxy.running_gateway import RunningGateway
from tests.proxy.writing.binary_server import BinaryServer, binary, document, fill_with_binaries
from tests.proxy.writing.writes import EVERYTHING, reason_of, replace
from tests.servers.people import Resource

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, BinaryServer]


@pytest_asyncio.fixture(loop_scope="module")
async def pair(binary_pair: Pair) -> Pair:
    fill_with_binaries(binary_pair[1])
    return binary_pair


MEDIA: Resource = {
    "resourceType": "Media",
    "status": "completed",
    "subject": at("Patient/pat-a"),
    "content": {"url": URN},
}
REPORT: Resource = {
    "resourceType": "DiagnosticReport",
    "status": "final",
    "code": {"text": "x"},
    "subject": at("Patient/pat-a"),
    "presentedForm": [{"url": URN}],
}
PRACTITIONER: Resource = {
    "resourceType": "Organization",
    "extension": [{"url": "urn:x", "valueAttachment": {"url": URN}}],
}

VOUCHERS: dict[str, tuple[Resource, str, str]] = {
    "a document": (document(URN), EVERYTHING, ""),
    "a photo": (MEDIA, EVERYTHING, ""),
    "a report": (REPORT, EVERYTHING, ""),
    "a document of another patient": (document(URN, "pat-b"), EVERYTHING, "write_out_of_reach"),
    "a document that points elsewhere": (document("https://elsewhere.example/a.pdf"), EVERYTHING, "binary_not_vouched"),
    "a document that points at another name": (document(OTHER), EVERYTHING, "binary_not_vouched"),
    "its name in other letters": (document(URN.upper()), EVERYTHING, "reference_refused"),
    "a document that the token may not create": (document(URN), "patient/Binary.c", "scope_insufficient"),
    "a document that only a scope for all reaches": (
        document(URN, "pat-b"),
        "patient/Binary.c system/DocumentReference.c",
        "binary_not_vouched",
    ),
    "a resource that belongs to nobody": (
        PRACTITIONER,
        "patient/Binary.c system/Organization.c",
        "binary_not_vouched",
    ),
}


@pytest.mark.parametrize(("voucher", "scope", "reason"), VOUCHERS.values(), ids=VOUCHERS)
@pytest.mark.parametrize("binary_first", [True, False])
async def test_for_a_new_binary_of_nobody_vouches(
    pair: Pair, voucher: Resource, scope: str, reason: str, binary_first: bool
) -> None:
    gateway, server = pair
    entries = [entry("POST", "Binary", binary(None), URN), entry("POST", voucher["resourceType"], voucher)]
    response = await send_bundle(gateway, "transaction", *(entries if binary_first else entries[::-1]), scope=scope)
    assert reason_of(response) == reason, response.text
    assert len(server.transactions) == (0 if reason else 1)
    if not reason:
        assert statuses(response) == [201, 201]
        sent = {one["resource"]["resourceType"]: one for one in server.transactions[0]["entry"]}
        assert sent["Binary"]["fullUrl"] == URN
        assert sent[voucher["resourceType"]]["resource"] == voucher


async def test_what_vouched_for_it_shows_it_afterwards(pair: Pair) -> None:
    gateway, server = pair
    await send_bundle(gateway, "transaction", entry("POST", "Binary", binary(None), URN), entry("POST", "Media", MEDIA))
    (new,) = (key for name, key in server.records if name == "Binary" and key.startswith("new-"))
    assert server.records["Media", next(key for name, key in server.records if name == "Media")]["content"] == {
        "url": f"Binary/{new}"
    }
    assert (await gateway.request(f"/Binary/{new}", EVERYTHING)).status_code == 200
    assert (await gateway.request(f"/Binary/{new}", EVERYTHING, claims={"patient": "pat-b"})).status_code == 404


async def test_a_binary_may_belong_to_a_resource_of_the_transaction(pair: Pair) -> None:
    gateway, server = pair
    response = await send_bundle(
        gateway,
        "transaction",
        entry("POST", "Binary", binary(URN)),
        entry("POST", "DocumentReference", document("https://elsewhere.example/a.pdf"), URN),
    )
    assert statuses(response) == [201, 201]
    assert server.transactions[0]["entry"][0]["resource"]["securityContext"] == at(URN)


async def test_a_document_of_the_patient_does_not_show_a_binary_of_another(pair: Pair) -> None:
    """leak_35: the Binary has a name in the transaction, and a scope for all changes it."""
    gateway, server = pair
    scope = "patient/DocumentReference.c system/Binary.u"
    update = entry("PUT", "Binary/of-b", binary("Patient/pat-b", "of-b"), URN)
    for url in (URN, URN.upper(), "Binary/of-b"):
        response = await send_bundle(
            gateway, "transaction", update, entry("POST", "DocumentReference", document(url)), scope=scope
        )
        assert reason_of(response) in {"reference_out_of_reach", "reference_refused"}
    assert server.transactions == []


async def test_a_patch_cannot_put_the_name_of_a_binary_together(pair: Pair) -> None:
    gateway, server = pair
    server.put({**document("Binary/of-a"), "id": "own"})
    update = entry("PUT", "Binary/of-b", binary("Patient/pat-b", "of-b"), URN)
    patch = entry("PATCH", "DocumentReference/own", patch_binary(replace("/content/0/attachment/url", URN)))
    response = await send_bundle(
        gateway, "transaction", update, patch, scope="patient/DocumentReference.ru system/Binary.u"
    )
    assert reason_of(response) == "reference_refused"
    assert server.transactions == []


CHANGES: dict[str, tuple[Any, str]] = {
    "an update of the patient's own": (entry("PUT", "Binary/of-a", binary("Patient/pat-a", "of-a")), ""),
    "an update of one that a record of the patient owns": (
        entry("PUT", "Binary/of-visit-a", binary("Encounter/e-a", "of-visit-a")),
        "",
    ),
    "a patch": (entry("PATCH", "Binary/of-a", patch_binary(replace("/data", "bmV3"))), ""),
    "a delete": (entry("DELETE", "Binary/of-a"), ""),
    "an update of another patient's": (entry("PUT", "Binary/of-b", binary("Patient/pat-a", "of-b")), "not_found"),
    "an update of one that a record of another owns": (
        entry("PUT", "Binary/of-visit-b", binary("Patient/pat-a", "of-visit-b")),
        "not_found",
    ),
    "an update of nobody's": (entry("PUT", "Binary/shared", binary("Patient/pat-a", "shared")), "not_found"),
    "a delete of another patient's": (entry("DELETE", "Binary/of-b"), "not_found"),
}


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
async def test_in_a_transaction(pair: Pair, change: Resource, reason: str) -> None:
    gateway, server = pair
    response = await send_bundle(gateway, "transaction", change)
    assert reason_of(response) == reason, response.text
    assert len(server.transactions) == (0 if reason else 1)


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
async def test_in_a_batch(pair: Pair, change: Resource, reason: str) -> None:
    gateway, _ = pair
    (answer,) = (await send_bundle(gateway, "batch", change)).json()["entry"]
    assert answer["response"]["status"][:3] == ("404" if reason else "204" if "DELETE" in str(change) else "200")


async def test_in_a_batch_nothing_vouches_for_another_entry(pair: Pair) -> None:
    gateway, server = pair
    response = await send_bundle(
        gateway, "batch", entry("POST", "Binary", binary(None), URN), entry("POST", "DocumentReference", document(URN))
    )
    assert statuses(response) == [403, 400]
    assert server.take_writes() == []


async def test_who_may_read_a_new_binary_gets_it_back(pair: Pair) -> None:
    gateway, _ = pair
    new = entry("POST", "Binary", binary())
    readable = (await send_bundle(gateway, "transaction", new)).json()["entry"][0]
    assert (readable["resource"]["contentType"], readable["response"]["etag"]) == ("application/pdf", 'W/"1"')
    hidden = (await send_bundle(gateway, "transaction", new, scope="patient/Binary.c")).json()["entry"][0]
    assert hidden.keys() == {"response"}
    assert "etag" not in hidden["response"]
