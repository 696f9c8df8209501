"""Reach and labels are kept by every kind of write over HTTP: alone, conditional, in a batch and in a transaction."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.proxy.bundles.bundles import entry, entry_reason, patch_binary, send_bundle
from tests.proxy.bundles.transaction_server import TransactionServer, transaction_server
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.writing.writes import observation, reason_of, write
from tests.servers.people import Resource

pytestmark = pytest.mark.asyncio(loop_scope="module")

LABEL = {"system": "urn:c", "code": "R"}
SCOPE = "user/*.cruds"
SETTINGS: dict[str, Any] = {
    "compartments": {
        "practitioner_reach": "panel",
        "panel": [{"resource_type": "CareTeam", "parameter": "participant", "patient_element": "subject"}],
        "cache_seconds": 0,
    },
    "record_rules": {"security_labels": {"labels": ["urn:c|R"], "user_types": ["Practitioner"]}},
}
USER = {"fhirUser": "Practitioner/p", "patient": None}


def care_team(**elements: Any) -> Resource:
    return {
        "resourceType": "CareTeam",
        "id": "t",
        "status": "active",
        "subject": {"reference": "Patient/pat-a"},
        "participant": [{"member": {"reference": "Practitioner/p"}}],
        "identifier": [{"system": "urn:x", "value": "t"}],
        **elements,
    }


LATER = {"period": {"end": "2090-01-01"}}
LABELLED = observation("pat-a", "o-a", meta={"security": [LABEL]}, identifier=[{"system": "urn:x", "value": "1"}])
PLAIN = observation("pat-a", "o-a", identifier=[{"system": "urn:x", "value": "1"}])
LATER_PATCH = [{"op": "add", "path": "/period", "value": LATER["period"]}]
LABEL_PATCH = [{"op": "remove", "path": "/meta/security"}]
REFUSED: dict[str, tuple[str, str, Any, str]] = {
    "a new team": ("POST", "CareTeam", care_team(), "reach_extended"),
    "a team for longer": ("PUT", "CareTeam/t", care_team(**LATER), "reach_extended"),
    "a team for longer, by a condition": (
        "PUT",
        "CareTeam?identifier=urn:x|t",
        care_team(**LATER),
        "reach_extended",
    ),
    "a team for longer, by a patch": ("PATCH", "CareTeam/t", LATER_PATCH, "reach_extended"),
    "a record without its label": ("PUT", "Observation/o-a", PLAIN, "labels_changed"),
    "a record without its label, by a condition": ("PUT", "Observation?identifier=urn:x|1", PLAIN, "labels_changed"),
    "a record without its label, by a patch": ("PATCH", "Observation/o-a", LABEL_PATCH, "labels_changed"),
    "a record without its label, by a patch with a condition": (
        "PATCH",
        "Observation?identifier=urn:x|1",
        LABEL_PATCH,
        "labels_changed",
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[RunningGateway, TransactionServer]]:
    async with (
        transaction_server() as server,
        running_gateway(server.base_url, tmp_path_factory.mktemp("kept"), **SETTINGS) as gateway,
    ):
        assert (await gateway.request("/metadata", None)).status_code == 200
        yield gateway, server


@pytest.fixture
def pair(running: tuple[RunningGateway, TransactionServer]) -> tuple[RunningGateway, TransactionServer]:
    server = running[1]
    server.records.clear()
    for resource in ({"resourceType": "Patient", "id": "pat-a"}, care_team(), LABELLED):
        server.put(resource)
    return running


@pytest.mark.parametrize(("method", "path", "body", "reason"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("by", ["itself", "batch", "transaction"])
async def test_nobody_writes(
    pair: tuple[RunningGateway, TransactionServer], by: str, method: str, path: str, body: Any, reason: str
) -> None:
    gateway, server = pair
    before = dict(server.records)
    response = await _send(gateway, by, method, path, body)
    refused = entry_reason(response.json()["entry"][0]) if response.status_code == 200 else reason_of(response)
    assert refused == reason, response.text
    assert server.records == before


@pytest.mark.parametrize("by", ["itself", "batch", "transaction"])
async def test_a_team_is_ended_and_with_it_the_reach(pair: tuple[RunningGateway, TransactionServer], by: str) -> None:
    gateway, server = pair
    assert (await gateway.request("/Patient/pat-a", SCOPE, claims=USER)).status_code == 200
    response = await _send(gateway, by, "PUT", "CareTeam/t", care_team(status="inactive"))
    assert response.status_code == 200, response.text
    assert server.records["CareTeam", "t"]["status"] == "inactive"
    assert (await gateway.request("/Patient/pat-a", SCOPE, claims=USER)).status_code == 403


async def _send(gateway: RunningGateway, by: str, method: str, path: str, body: Any) -> httpx2.Response:
    token = {"authorization": f"Bearer {gateway.token(SCOPE, **USER)}"}
    if by == "itself":
        return await write(gateway, method, f"/{path}", body, **token)
    resource = patch_binary(body) if method == "PATCH" else body
    return await send_bundle(gateway, by, entry(method, path, resource), **token)
