"""Batches and transactions in front of real servers."""

import asyncio
import contextlib
from typing import Any

import httpx2
import pytest

from tests.proxy.bundles.bundles import entry, statuses
from tests.proxy.writing.writes import observation, reason_of
from tests.real_servers.gateway_requests import Gateways, TokenGrant
from tests.real_servers.servers_under_test import Feature

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRITER = TokenGrant("patient/*.cruds", marks=())
URN = "urn:uuid:11111111-1111-4111-8111-111111111111"
NAME = "Observation/bundled-1"
ROUNDS = 6


async def send(gateways: Gateways, kind: str, *entries: Any) -> httpx2.Response:
    """A Bundle of the app of patient A."""
    bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return await gateways.request(
        "/", WRITER, method="POST", json=bundle, headers={"content-type": "application/fhir+json"}
    )


def encounter(**elements: Any) -> Any:
    """An Encounter of patient A."""
    subject = {"reference": "Patient/pat-a"}
    return {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, "subject": subject, **elements}


def find_names(response: httpx2.Response) -> list[str]:
    """The resources that were written, as `Type/id`."""
    locations = [answer["response"].get("location", "") for answer in response.json()["entry"]]
    return ["/".join(location.split("/_history")[0].split("/")[-2:]) for location in locations if location]


async def put_until_accepted(gateways: Gateways, resource: Any) -> None:
    """Write directly to the server, again where it answers with a conflict because of the other write (HAPI-0823)."""
    for _ in range(10):
        with contextlib.suppress(AssertionError):
            await gateways.upstream_put(resource)
            return
    await gateways.upstream_put(resource)


async def test_a_batch_is_answered_entry_by_entry(gateways: Gateways) -> None:
    response = await send(
        gateways,
        "batch",
        entry("GET", "Patient/pat-a"),
        entry("GET", "Patient/pat-b"),
        entry("GET", "Observation?_count=2"),
        entry("POST", "Observation", observation("pat-b")),
        entry("POST", "Observation", observation()),
    )
    assert statuses(response) == [200, 404, 200, 403, 201]
    own, _, found, _, created = response.json()["entry"]
    assert own["resource"]["id"] == "pat-a"
    assert found["resource"]["type"] == "searchset"
    assert created["resource"]["status"] == "final"
    await gateways.upstream_delete(find_names(response)[0])


async def test_a_transaction_makes_records_that_refer_to_each_other(gateways: Gateways) -> None:
    response = await send(
        gateways,
        "transaction",
        entry("POST", "Observation", observation(encounter={"reference": URN})),
        entry("POST", "Encounter", encounter(), URN),
        entry("GET", "Observation?_count=1"),
    )
    assert statuses(response) == [201, 201, 200], response.text
    name, made = find_names(response)
    stored = (await gateways.request(f"/{name}", WRITER)).json()
    assert stored["encounter"]["reference"].endswith(made)
    for written in (name, made):
        await gateways.upstream_delete(written)


async def test_a_transaction_changes_deletes_and_makes_by_condition(gateways: Gateways) -> None:
    known = {"identifier": [{"system": "urn:bundled", "value": "1"}]}
    async with gateways.delete_afterwards(NAME, "Observation/bundled-2"):
        version = await gateways.upstream_put(observation("pat-a", "bundled-1", **known))
        await gateways.upstream_put(observation("pat-a", "bundled-2"))
        can_delete = Feature.CONDITIONAL_DELETE not in gateways.upstream.lacks
        response = await send(
            gateways,
            "transaction",
            entry(
                "PUT",
                NAME,
                observation("pat-a", "bundled-1", status="amended", **known),
                ifMatch=f'W/"{version}"',
            ),
            entry("POST", "Encounter", encounter(**known), ifNoneExist="identifier=urn:bundled|1"),
            *([entry("DELETE", "Observation/bundled-2")] if can_delete else []),
        )
        assert statuses(response) == [200, 201, *([204] if can_delete else [])], response.text
        assert response.json()["entry"][0]["resource"]["status"] == "amended"
        again = await send(
            gateways,
            "transaction",
            entry("POST", "Encounter", encounter(**known), ifNoneExist="identifier=urn:bundled|1"),
            entry("PUT", NAME, observation("pat-a", "bundled-1", **known)),
        )
        assert statuses(again) == [200, 200], again.text
        made = find_names(again)[0]
        assert made == find_names(response)[1]
        await gateways.upstream_delete(made)


async def test_a_refused_entry_leaves_everything_as_it_is(gateways: Gateways) -> None:
    async with gateways.delete_afterwards(NAME):
        version = await gateways.upstream_put(observation("pat-a", "bundled-1"))
        update = entry("PUT", NAME, observation("pat-a", "bundled-1", status="amended"))
        refused = await send(gateways, "transaction", update, entry("DELETE", "Observation/pat-b-smoking"))
        assert (refused.status_code, reason_of(refused)) == (404, "not_found")
        assert refused.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]
        stored = (await gateways.request(f"/{NAME}", WRITER)).json()
        assert stored["meta"]["versionId"] == version


async def test_a_record_that_goes_to_another_patient_is_not_taken_back_by_a_transaction(gateways: Gateways) -> None:
    of_b = observation("pat-b", "bundled-1", note=[{"text": "of B"}])
    async with gateways.delete_afterwards(NAME):
        for number in range(ROUNDS):
            await gateways.upstream_put(observation("pat-a", "bundled-1"))

            async def move(delay: float = number * 0.002) -> None:
                await asyncio.sleep(delay)
                await put_until_accepted(gateways, of_b)

            update = entry("PUT", NAME, observation("pat-a", "bundled-1", status="amended"))
            response, _ = await asyncio.gather(send(gateways, "transaction", update), move())
            assert response.status_code in {200, 404, 412}
            seen = await gateways.request(f"/{NAME}", TokenGrant("system/*.rs", marks=()))
            assert seen.json()["note"] == [{"text": "of B"}]
