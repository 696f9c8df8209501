"""Writes that are refused, before anything is changed."""

import json
from typing import Any

import pytest

from tests.proxy.running_gateway import RunningGateway
from tests.proxy.writing.record_server import RecordServer
from tests.proxy.writing.writes import EVERYTHING, observation, reason_of, replace, write

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, RecordServer]
LABORATORY = [{"coding": [{"code": "laboratory"}]}]
OF_B = {"reference": "Patient/pat-b"}
PATIENT = {"resourceType": "Patient", "id": "pat-a"}

# The body of a create by the app of patient A, the status and the reason.
CREATES: dict[str, tuple[Any, int, str]] = {
    "a create about another patient": (observation("pat-b"), 403, "write_out_of_reach"),
    "a create about nobody": (observation(subject={"reference": "Organization/org"}), 403, "write_out_of_reach"),
    "a create that names another patient beside": (observation(performer=[OF_B]), 403, "write_out_of_reach"),
    "a reference to another patient in any other element": (observation(focus=[OF_B]), 403, "reference_out_of_reach"),
    "a reference to another patient in an extension": (
        observation(extension=[{"url": "urn:x", "valueReference": OF_B}]),
        403,
        "reference_out_of_reach",
    ),
    "a contained record of another patient": (
        observation(contained=[{"resourceType": "Encounter", "id": "e", "subject": OF_B}]),
        403,
        "write_out_of_reach",
    ),
    "a resource beside contained": (
        observation(note=[{"text": "x", "x": {"resourceType": "Patient"}}]),
        400,
        "body_nested_resource",
    ),
    "a reference to another patient's record": (
        observation(encounter={"reference": "Encounter/e-b"}),
        403,
        "reference_out_of_reach",
    ),
    "a reference to a record that does not exist": (
        observation(encounter={"reference": "Encounter/none"}),
        403,
        "reference_out_of_reach",
    ),
    "a reference to another patient's record at the gateway's own address": (
        observation(encounter={"reference": "{base}/Encounter/e-b"}),
        403,
        "reference_out_of_reach",
    ),
    "a reference to a record of another server": (
        observation(encounter={"reference": "https://other.example/Encounter/e-a"}),
        403,
        "reference_out_of_reach",
    ),
    "B9: criteria in place of a reference": (
        observation(performer=[{"reference": "Patient?identifier=urn:x|1"}]),
        400,
        "reference_refused",
    ),
    "a reference whose name some servers read in any case": (
        observation(subject={"reference": "Patient/pat-a", "Reference": "Patient/pat-b"}),
        400,
        "reference_refused",
    ),
    "a reference that servers could read in several ways": (
        observation(performer=[{"reference": "Patient/pat-b/"}]),
        400,
        "reference_refused",
    ),
    "a reference whose type is another one": (
        observation(performer=[{"reference": "Patient/pat-a", "type": "Group"}]),
        400,
        "reference_refused",
    ),
}

WRITES: dict[str, tuple[str, Any, str, int, str]] = {
    "B9: criteria in place of a reference, for a token that sees everything": (
        "POST /Observation",
        observation(performer=[{"reference": "Patient?identifier=urn:x|1"}]),
        "system/*.cruds",
        400,
        "reference_refused",
    ),
    "a document that points at a Binary of whose owner nothing is known": (
        "POST /DocumentReference",
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "subject": {"reference": "Patient/pat-a"},
            "content": [{"attachment": {"url": "Binary/of-b"}}],
        },
        EVERYTHING,
        403,
        "reference_out_of_reach",
    ),
    "an update of another patient's record": (
        "PUT /Observation/o-b",
        observation("pat-a", "o-b"),
        EVERYTHING,
        404,
        "not_found",
    ),
    "an update that gives a record away": (
        "PUT /Observation/o-a",
        observation("pat-b", "o-a"),
        EVERYTHING,
        403,
        "write_out_of_reach",
    ),
    "an update of what does not exist": (
        "PUT /Observation/none",
        observation("pat-a", "none"),
        EVERYTHING,
        404,
        "not_found",
    ),
    "an update without the constraint of its scope": (
        "PUT /Observation/o-a",
        observation("pat-a", "o-a", category=LABORATORY),
        "patient/Observation.u?category=laboratory",
        404,
        "not_found",
    ),
    "a create outside the constraint of its scope": (
        "POST /Observation",
        observation(),
        "patient/Observation.c?category=laboratory",
        403,
        "write_out_of_reach",
    ),
    "an update that names another patient beside": (
        "PUT /Observation/o-a",
        observation("pat-a", "o-a", performer=[OF_B]),
        EVERYTHING,
        403,
        "write_out_of_reach",
    ),
    "a patch that gives a record away": (
        "PATCH /Observation/o-a",
        replace("/subject/reference", "Patient/pat-b"),
        EVERYTHING,
        403,
        "write_out_of_reach",
    ),
    "a patch of the id": ("PATCH /Observation/o-a", replace("/id", "o-b"), EVERYTHING, 400, "body_id_mismatch"),
    "a patch of the type": (
        "PATCH /Observation/o-a",
        replace("/resourceType", "Patient"),
        EVERYTHING,
        400,
        "body_type_mismatch",
    ),
    "a patch of another patient's record": (
        "PATCH /Observation/o-b",
        replace("/status", "amended"),
        EVERYTHING,
        404,
        "not_found",
    ),
    "a patch that tests what may not be read": (
        "PATCH /Observation/o-a",
        [{"op": "test", "path": "/status", "value": "final"}],
        "patient/Observation.u",
        403,
        "patch_test_refused",
    ),
    "a patch that tests in vain what may not be read": (
        "PATCH /Observation/o-a",
        [{"op": "test", "path": "/status", "value": "x"}],
        "patient/Observation.u",
        403,
        "patch_test_refused",
    ),
    "a patch that would make a record readable": (
        "PATCH /Observation/o-a",
        [{"op": "add", "path": "/category", "value": LABORATORY}],
        "patient/Observation.u patient/Observation.r?category=laboratory",
        403,
        "patch_test_refused",
    ),
    "a patch of a part of what may not be read": (
        "PATCH /Observation/o-a",
        replace("/code/text", "x"),
        "patient/Observation.u",
        403,
        "patch_test_refused",
    ),
    "a patch of what may not be read that ends in failure": (
        "PATCH /Observation/o-a",
        [{"op": "remove", "path": "/note"}, {"op": "replace", "path": "/id", "value": "o-b"}],
        "patient/Observation.u",
        403,
        "patch_test_refused",
    ),
    "a patch that does not fit": (
        "PATCH /Observation/o-a",
        replace("/note/0/text", "x"),
        EVERYTHING,
        422,
        "patch_not_applicable",
    ),
    "a patch with an operation that there is not": (
        "PATCH /Observation/o-a",
        [{"op": "append", "path": "/note", "value": 1}],
        EVERYTHING,
        400,
        "patch_malformed",
    ),
    "a delete of another patient's record": ("DELETE /Observation/o-b", None, EVERYTHING, 404, "not_found"),
    "a delete of what does not exist": ("DELETE /Observation/none", None, EVERYTHING, 404, "not_found"),
    "a new Patient": ("POST /Patient", {"resourceType": "Patient"}, EVERYTHING, 403, "write_out_of_reach"),
    "a link to another Patient": (
        "PUT /Patient/pat-a",
        {**PATIENT, "link": [{"other": OF_B, "type": "seealso"}]},
        EVERYTHING,
        403,
        "reference_out_of_reach",
    ),
    "a shared type": (
        "PUT /Organization/org",
        {"resourceType": "Organization", "id": "org"},
        EVERYTHING,
        403,
        "type_out_of_reach",
    ),
    "a conditional update of another patient's record": (
        "PATCH /Observation?_id=o-b",
        replace("/status", "amended"),
        EVERYTHING,
        404,
        "not_found",
    ),
}


@pytest.mark.parametrize(("body", "status", "reason"), CREATES.values(), ids=CREATES)
async def test_a_create_is_refused_and_nothing_is_sent(honest: Pair, body: Any, status: int, reason: str) -> None:
    gateway, server = honest
    text = json.dumps(body).replace("{base}", gateway.base_url)
    response = await write(gateway, "POST", "/Observation", text)
    assert (response.status_code, reason_of(response)) == (status, reason)
    assert server.take_writes() == []


@pytest.mark.parametrize(("request_", "body", "scope", "status", "reason"), WRITES.values(), ids=WRITES)
async def test_a_write_is_refused_and_nothing_is_changed(
    honest: Pair, request_: str, body: Any, scope: str, status: int, reason: str
) -> None:
    gateway, server = honest
    before = dict(server.records)
    method, _, path = request_.partition(" ")
    response = await write(gateway, method, path, body, scope)
    assert (response.status_code, reason_of(response)) == (status, reason)
    assert server.take_writes() == []
    assert server.records == before


async def test_a_reference_to_a_foreign_record_is_refused_like_one_to_none(honest: Pair) -> None:
    gateway, _ = honest
    bodies = [observation(encounter={"reference": f"Encounter/{name}"}) for name in ("e-b", "none")]
    foreign, absent = [await write(gateway, "POST", "/Observation", body) for body in bodies]
    assert foreign.content == absent.content
    assert foreign.status_code == absent.status_code
