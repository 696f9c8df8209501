"""Writes in front of real servers: what they come to, and races of two clients, of which none gets through."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.proxy.writing.writes import observation, reason_of
from tests.real_servers.gateway_requests import Gateways, TokenGrant
from tests.real_servers.servers_under_test import Feature

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADMINISTRATOR = TokenGrant("system/*.cruds", marks=())
WRITER = TokenGrant("patient/*.cruds", marks=())
ROUNDS = 4
NAME = "Observation/written-1"
FHIR, PATCH = {"content-type": "application/fhir+json"}, {"content-type": "application/json-patch+json"}


async def put(gateways: Gateways, patient: str = "pat-a", **elements: Any) -> httpx2.Response:
    """An update of the record by the app of patient A."""
    headers = {**FHIR, **elements.pop("headers", {})}
    body = observation(patient, "written-1", **elements)
    return await gateways.request(f"/{NAME}", WRITER, method="PUT", json=body, headers=headers)


async def patch(gateways: Gateways, name: str = NAME, text: str = "patched", **headers: str) -> httpx2.Response:
    """A patch of a record by the app of patient A."""
    operations = [{"op": "add", "path": "/note", "value": [{"text": text}]}]
    return await gateways.request(f"/{name}", WRITER, method="PATCH", json=operations, headers={**PATCH, **headers})


async def stored(gateways: Gateways, name: str = NAME) -> dict[str, Any]:
    """The record as the server has it."""
    response = await gateways.request(f"/{name}", TokenGrant("system/*.rs", marks=()))
    document: dict[str, Any] = response.json()
    return document


async def test_a_record_is_made_changed_and_deleted(gateways: Gateways) -> None:
    body = observation(valueQuantity={"value": 1.5}, identifier=[{"system": "urn:written", "value": "0"}])
    created = await gateways.request("/Observation", WRITER, method="POST", json=body, headers=FHIR)
    assert created.status_code == 201, created.text
    name = f"Observation/{created.json()['id']}"
    assert created.headers["location"].startswith(f"{gateways.by_reach['full'].base_url}/{name}")
    first = created.headers["etag"]
    changed = await gateways.request(
        f"/{name}",
        WRITER,
        method="PUT",
        json={**created.json(), "status": "amended"},
        headers={**FHIR, "if-match": first},
    )
    assert (changed.status_code, changed.json()["status"]) == (200, "amended")
    assert changed.headers["etag"] != first
    stale = await gateways.request(
        f"/{name}", WRITER, method="PUT", json=created.json(), headers={**FHIR, "if-match": first}
    )
    assert (stale.status_code, reason_of(stale)) == (412, "precondition_failed")
    patched = await patch(gateways, name)
    assert (patched.status_code, patched.json()["note"]) == (200, [{"text": "patched"}])
    deleted = await gateways.request(f"/{name}", WRITER, method="DELETE")
    if Feature.CONDITIONAL_DELETE in gateways.upstream.lacks:
        assert reason_of(deleted) == "race_not_excluded"
        await gateways.upstream_delete(name)
    assert (await gateways.request(f"/{name}", WRITER)).status_code == 404


async def test_another_patients_record_stays_as_it_is(gateways: Gateways) -> None:
    async with gateways.delete_afterwards(NAME):
        version = await gateways.upstream_put(observation("pat-b", "written-1"))
        refused = [
            await put(gateways),
            await patch(gateways),
            await gateways.request(f"/{NAME}", WRITER, method="DELETE"),
            await patch(gateways, "Observation?_id=written-1"),
        ]
        assert [response.status_code for response in refused] == [404] * 4
        assert (await stored(gateways))["meta"]["versionId"] == version
        nothing = await gateways.request("/Observation?_id=written-1", WRITER, method="DELETE")
        assert nothing.status_code == 204
        assert (await stored(gateways))["meta"]["versionId"] == version


async def test_a_reference_to_a_foreign_record_is_answered_like_one_to_none(gateways: Gateways) -> None:
    async with gateways.delete_afterwards("Encounter/written-e"):
        await gateways.upstream_put(
            {
                "resourceType": "Encounter",
                "id": "written-e",
                "status": "finished",
                "class": {"code": "AMB"},
                "subject": {"reference": "Patient/pat-b"},
            }
        )
        bodies = [observation(encounter={"reference": f"Encounter/{name}"}) for name in ("written-e", "never-was")]
        refused = [
            await gateways.request("/Observation", WRITER, method="POST", json=body, headers=FHIR) for body in bodies
        ]
        assert [reason_of(response) for response in refused] == ["reference_out_of_reach"] * 2
        assert refused[0].content == refused[1].content


async def test_of_two_updates_of_the_same_version_one_is_made(gateways: Gateways) -> None:
    async with gateways.delete_afterwards(NAME):
        for _ in range(ROUNDS):
            version = await gateways.upstream_put(observation("pat-a", "written-1"))
            match = {"if-match": f'W/"{version}"'}
            responses = await asyncio.gather(patch(gateways, text="1", **match), patch(gateways, text="2", **match))
            assert sorted(response.status_code for response in responses) == [200, 412]
            written = next(response.json()["note"] for response in responses if response.status_code == 200)
            assert (await stored(gateways))["note"] == written


async def test_a_patch_and_an_update_at_once_do_not_mix(gateways: Gateways) -> None:
    async with gateways.delete_afterwards(NAME):
        for _ in range(ROUNDS):
            await gateways.upstream_put(observation("pat-a", "written-1", status="final"))
            responses = await asyncio.gather(patch(gateways), put(gateways, status="amended"))
            assert {response.status_code for response in responses} <= {200, 412}
            last = await stored(gateways)
            was_made = [response.status_code == 200 for response in responses]
            assert (last["status"] == "amended") is was_made[1]
            assert was_made[0] or "note" not in last


async def test_a_record_that_goes_to_another_patient_is_never_taken_back_or_deleted(gateways: Gateways) -> None:
    of_b = observation("pat-b", "written-1", note=[{"text": "of B"}])

    async def delete(gateways: Gateways) -> httpx2.Response:
        return await gateways.request(f"/{NAME}", WRITER, method="DELETE")

    async with gateways.delete_afterwards(NAME):
        for number in range(ROUNDS * 3):
            await gateways.upstream_put(observation("pat-a", "written-1"))
            write = (put, patch, delete)[number % 3]

            async def move(delay: float = number * 0.001) -> None:
                await asyncio.sleep(delay)
                statuses = [412]
                while statuses[-1] == 412 and len(statuses) < 5:
                    moved = await gateways.request(f"/{NAME}", ADMINISTRATOR, method="PUT", json=of_b, headers=FHIR)
                    statuses.append(moved.status_code)
                assert statuses[-1] in {200, 201}

            response, _ = await asyncio.gather(write(gateways), move())
            can_delete = Feature.CONDITIONAL_DELETE not in gateways.upstream.lacks
            assert response.status_code in {200, 204, 404, 412} | (set() if can_delete else {403})
            last = await stored(gateways)
            assert last["subject"]["reference"].endswith("Patient/pat-b")
            assert last["note"] == [{"text": "of B"}]


async def until_accepted(write: Callable[[], Awaitable[object]]) -> None:
    """Write directly to the server, again where it answers with a conflict because of the other write (HAPI-0823)."""
    for _ in range(10):
        with contextlib.suppress(AssertionError):
            await write()
            return
    await write()


async def test_a_record_that_is_deleted_and_made_anew_for_another_patient_stays_theirs(gateways: Gateways) -> None:
    of_b = observation("pat-b", "written-1", note=[{"text": "of B"}])
    async with gateways.delete_afterwards(NAME):
        for number in range(ROUNDS * 2):
            await gateways.upstream_put(observation("pat-a", "written-1"))

            async def make_anew(delay: float = number * 0.001) -> None:
                await asyncio.sleep(delay)
                await until_accepted(lambda: gateways.upstream_delete(NAME))
                await until_accepted(lambda: gateways.upstream_put(of_b))

            response, _ = await asyncio.gather((put, patch)[number % 2](gateways), make_anew())
            assert response.status_code in {200, 404, 412}
            last = await stored(gateways)
            assert (last["subject"]["reference"].split("/")[-1], last["note"]) == ("pat-b", [{"text": "of B"}])


async def test_two_conditional_creates_at_once_make_one_record(gateways: Gateways) -> None:
    for number in range(ROUNDS):
        criteria = f"identifier=urn:written|{number + 1}"
        body = observation(identifier=[{"system": "urn:written", "value": str(number + 1)}])
        headers = {**FHIR, "if-none-exist": criteria}
        responses = await asyncio.gather(
            *(gateways.request("/Observation", WRITER, method="POST", json=body, headers=headers) for _ in range(3))
        )
        statuses = sorted(response.status_code for response in responses)
        assert statuses == [200, 200, 201], [response.text for response in responses]
        assert len({response.json()["id"] for response in responses}) == 1
        await gateways.upstream_delete(f"Observation/{responses[0].json()['id']}")
