"""What is let through of writes, what is sent to the FHIR server, and what comes back."""

import json
from typing import Any

import pytest

from tests.proxy.running_gateway import RunningGateway
from tests.proxy.writing.record_server import RecordServer
from tests.proxy.writing.writes import EVERYTHING, observation, reason_of, replace, write

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, RecordServer]
OF_B = {"reference": "Patient/pat-b"}
PATIENT = {"resourceType": "Patient", "id": "pat-a"}

SENT: dict[str, tuple[str, str, Any, str, int, list[str]]] = {
    "a create": ("POST", "/Observation", observation(), EVERYTHING, 201, ["POST Observation"]),
    "a create with c alone": (
        "POST",
        "/Observation",
        observation(),
        "patient/Observation.c",
        201,
        ["POST Observation"],
    ),
    "a create that refers to the same patient's record": (
        "POST",
        "/Observation",
        observation(encounter={"reference": "Encounter/e-a"}),
        EVERYTHING,
        201,
        ["POST Observation"],
    ),
    "a create by a token for everything": (
        "POST",
        "/Observation",
        observation("pat-b", performer=[OF_B]),
        "system/*.cruds",
        201,
        ["POST Observation"],
    ),
    "an update": ("PUT", "/Observation/o-a", observation("pat-a", "o-a"), EVERYTHING, 200, ["PUT Observation/o-a"]),
    "an update with u alone": (
        "PUT",
        "/Observation/o-a",
        observation("pat-a", "o-a"),
        "patient/Observation.u",
        200,
        ["PUT Observation/o-a"],
    ),
    "an update of the patient": ("PUT", "/Patient/pat-a", PATIENT, EVERYTHING, 200, ["PUT Patient/pat-a"]),
    "an update that creates, by a token for everything": (
        "PUT",
        "/Observation/none",
        observation("pat-a", "none"),
        "system/*.cruds",
        201,
        ["PUT Observation/none"],
    ),
    "a patch, as the resource that comes of it": (
        "PATCH",
        "/Observation/o-a",
        replace("/status", "amended"),
        EVERYTHING,
        200,
        ["PUT Observation/o-a"],
    ),
    "a delete, by criteria that hold only while it is the patient's": (
        "DELETE",
        "/Observation/o-a",
        None,
        EVERYTHING,
        204,
        ["DELETE Observation?_id=o-a&patient=Patient/pat-a"],
    ),
    "a delete by a token for everything": (
        "DELETE",
        "/Observation/o-a",
        None,
        "system/*.cruds",
        204,
        ["DELETE Observation/o-a"],
    ),
    "a conditional update, by the id of what was found": (
        "PUT",
        "/Observation?identifier=urn:x|1",
        observation(identifier=[{"system": "urn:x", "value": "1"}]),
        EVERYTHING,
        200,
        ["PUT Observation/o-a"],
    ),
    "a conditional update that finds nothing, as a create": (
        "PUT",
        "/Observation?identifier=urn:x|2",
        observation(),
        EVERYTHING,
        201,
        ["POST Observation"],
    ),
    "a conditional patch": (
        "PATCH",
        "/Observation?identifier=urn:x|1",
        replace("/status", "amended"),
        EVERYTHING,
        200,
        ["PUT Observation/o-a"],
    ),
    "a conditional delete": (
        "DELETE",
        "/Observation?identifier=urn:x|1",
        None,
        EVERYTHING,
        204,
        ["DELETE Observation?_id=o-a&patient=Patient/pat-a"],
    ),
    "a conditional delete of nothing": ("DELETE", "/Observation?identifier=urn:x|2", None, EVERYTHING, 204, []),
}


@pytest.mark.parametrize(("method", "path", "body", "scope", "status", "sent"), SENT.values(), ids=SENT)
async def test_a_write_is_sent_as(
    honest: Pair, method: str, path: str, body: Any, scope: str, status: int, sent: list[str]
) -> None:
    gateway, server = honest
    response = await write(gateway, method, path, body, scope)
    assert response.status_code == status, response.text
    assert server.take_writes() == sent


@pytest.mark.parametrize("scope", ["patient/Observation.c", "patient/Observation.cu"])
async def test_without_r_nothing_of_the_resource_comes_back(honest: Pair, scope: str) -> None:
    gateway, _ = honest
    response = await write(gateway, "POST", "/Observation", observation(), scope, prefer="return=representation")
    assert (response.status_code, response.content) == (201, b"")
    assert response.headers["location"].startswith(f"{gateway.base_url}/Observation/new-")
    assert "_history" not in response.headers["location"]
    assert not response.headers.keys() & {"etag", "last-modified"}


async def test_with_r_the_stored_resource_comes_back_with_its_version(honest: Pair) -> None:
    gateway, _ = honest
    response = await write(gateway, "PUT", "/Observation/o-a", observation("pat-a", "o-a"))
    assert response.json()["meta"]["versionId"] == "2"
    assert response.headers["etag"] == 'W/"2"'
    assert response.headers["content-location"] == f"{gateway.base_url}/Observation/o-a/_history/2"


async def test_what_the_client_prefers_comes_back(honest: Pair) -> None:
    gateway, _ = honest
    minimal = await write(gateway, "POST", "/Observation", observation(), prefer="return=minimal")
    outcome = await write(gateway, "POST", "/Observation", observation(), prefer="return=OperationOutcome")
    assert (minimal.content, minimal.headers["etag"]) == (b"", 'W/"1"')
    assert outcome.json()["resourceType"] == "OperationOutcome"


async def test_what_the_server_says_of_itself_is_not_believed_of_the_client(honest: Pair) -> None:
    gateway, server = honest
    body = observation(id="chosen", meta={"versionId": "9", "lastUpdated": "2020-01-01T00:00:00Z", "source": "urn:a"})
    assert (await write(gateway, "POST", "/Observation", body)).status_code == 201
    sent = json.loads(server.bodies[-1])
    assert (sent.get("id"), sent["meta"]) == (None, {"source": "urn:a"})


async def test_own_addresses_are_sent_as_relative_references(honest: Pair) -> None:
    gateway, server = honest
    body = observation(subject={"reference": f"{gateway.base_url}/Patient/pat-a"})
    assert (await write(gateway, "POST", "/Observation", body)).status_code == 201
    assert json.loads(server.bodies[-1])["subject"] == {"reference": "Patient/pat-a"}


async def test_decimals_keep_their_digits(honest: Pair) -> None:
    gateway, server = honest
    text = json.dumps(observation()).replace('"final"', '"final", "valueQuantity": {"value": 1.10}')
    assert (await write(gateway, "POST", "/Observation", text)).status_code == 201
    assert b'"value":1.10' in server.bodies[-1]
    created = next(record["id"] for record in server.records.values() if record["id"].startswith("new-"))
    assert (await write(gateway, "PATCH", f"/Observation/{created}", replace("/status", "amended"))).status_code == 200


async def test_a_reference_that_stands_already_is_not_looked_up(honest: Pair) -> None:
    gateway, server = honest
    server.put(observation("pat-a", "o-a", encounter={"reference": "Encounter/gone"}))
    body = observation("pat-a", "o-a", encounter={"reference": "Encounter/gone"})
    assert (await write(gateway, "PUT", "/Observation/o-a", body)).status_code == 200
    assert [request.split(" ")[0] for request in server.requests] == ["GET", "PUT"]
    without_r = await write(gateway, "PUT", "/Observation/o-a", body, "patient/Observation.u")
    assert reason_of(without_r) == "reference_out_of_reach"


PRECONDITIONS = {
    "the current version": ({"if_match": 'W/"1"'}, 200),
    "any version": ({"if_match": "*"}, 200),
    "an older version": ({"if_match": 'W/"0"'}, 412),
    "no resource at all": ({"if_none_match": "*"}, 412),
    "a list of versions": ({"if_match": 'W/"1", W/"2"'}, 400),
    "a version that is none": ({"if_match": "1"}, 400),
    "two that contradict each other": ({"if_match": 'W/"1"', "if_none_match": "*"}, 400),
    "the condition of a create, which would be ignored": ({"if_none_exist": "identifier=urn:x|2"}, 400),
    "a date, which would be ignored": ({"if_unmodified_since": "Mon, 30 Nov 2026 00:00:00 GMT"}, 400),
}


@pytest.mark.parametrize(("headers", "status"), PRECONDITIONS.values(), ids=PRECONDITIONS)
async def test_an_update_requires(honest: Pair, headers: dict[str, str], status: int) -> None:
    gateway, server = honest
    response = await write(gateway, "PUT", "/Observation/o-a", observation("pat-a", "o-a"), **headers)
    assert response.status_code == status
    assert bool(server.take_writes()) is (status == 200)


async def test_a_precondition_tells_nothing_of_a_record_out_of_reach(honest: Pair) -> None:
    gateway, _ = honest
    responses = [
        await write(gateway, "PUT", f"/Observation/{name}", observation("pat-a", name), if_match='W/"7"')
        for name in ("o-b", "none")
    ]
    assert [(response.status_code, response.content) for response in responses] == [
        (404, responses[0].content),
        (404, responses[0].content),
    ]
