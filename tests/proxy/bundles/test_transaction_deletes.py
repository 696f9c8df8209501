"""Deletes in a transaction: they are proven together, and looked at afterwards."""

import pytest

from tests.proxy.bundles.bundles import entry, send_bundle, statuses
from tests.proxy.bundles.conftest import Pair
from tests.proxy.writing.writes import observation, reason_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ["o-1", "o-2", "o-3"]
DELETES = [entry("DELETE", f"Observation/{name}") for name in NAMES]


def store(pair: Pair, patients: tuple[str, ...] = ("pat-a",) * 3) -> None:
    """Store the records that are to be deleted."""
    for name, patient in zip(NAMES, patients, strict=True):
        pair[1].put(observation(patient, name))
    pair[1].requests.clear()


async def test_one_search_proves_deletes_that_differ_in_the_id_alone(pair: Pair) -> None:
    gateway, server = pair
    store(pair)
    response = await send_bundle(gateway, "transaction", *DELETES)
    assert statuses(response) == [204, 204, 204]
    before = [request.replace("%2F", "/").replace("%2C", ",") for request in server.requests[:2]]
    assert before == [
        "GET Observation?_id=o-1,o-2,o-3&_count=3",
        "GET Observation?_id=o-1,o-2,o-3&patient=Patient/pat-a&_count=3",
    ]
    assert server.requests[2].startswith("POST")
    assert sorted(server.requests[3:]) == [f"GET Observation/{name}" for name in NAMES]
    assert not any(name in NAMES for _, name in server.records)


async def test_a_delete_that_cannot_be_proven_names_its_entry(pair: Pair) -> None:
    gateway, server = pair
    store(pair)

    def leave(query: str) -> None:
        # Another client moves the second record once all of them were read.
        if "patient=" in query:
            server.put(observation("pat-b", "o-2"))

    server.before_search = leave
    response = await send_bundle(gateway, "transaction", *DELETES)
    server.before_search = None
    assert (response.status_code, reason_of(response)) == (412, "precondition_failed")
    assert response.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert server.transactions == []


async def test_a_record_of_another_patient_is_not_proven_along(pair: Pair) -> None:
    gateway, server = pair
    store(pair, ("pat-a", "pat-b", "pat-a"))
    response = await send_bundle(gateway, "transaction", *DELETES)
    assert response.status_code == 404
    assert server.transactions == []
    assert {name for _, name in server.records} >= set(NAMES)
