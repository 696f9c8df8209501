"""Bodies of writes that are not what they must be: each has its own reason, and none is sent on."""

import gzip
import json

import pytest

from gateway.fhir.request.content import MAX_DEPTH
from tests.proxy.running_gateway import RunningGateway
from tests.proxy.writing.record_server import RecordServer
from tests.proxy.writing.writes import JSON_PATCH, observation, reason_of, write

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, RecordServer]
TEXT = json.dumps(observation())
DEEP = TEXT[:-1] + ', "extension": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}"
DEEPER = TEXT[:-1] + ', "extension": ' + "[" * 100_000 + "]" * 100_000 + "}"
FHIR = "application/fhir+json"

BODIES: dict[str, tuple[str | bytes, dict[str, str], int, str]] = {
    "nothing": (b" ", {}, 400, "body_missing"),
    "no JSON": ("{", {}, 400, "body_malformed"),
    "no UTF-8": (b'{"resourceType": "Observation", "x": "\xff"}', {}, 400, "body_malformed"),
    "half a character": ('{"resourceType": "Observation", "x": "\\ud800"}', {}, 400, "body_malformed"),
    "a number that is none": ('{"resourceType": "Observation", "x": NaN}', {}, 400, "body_malformed"),
    "a list": ("[]", {}, 400, "body_not_a_resource"),
    "an object without a type": ("{}", {}, 400, "body_not_a_resource"),
    "a type that R4 does not have": ('{"resourceType": "Nothing"}', {}, 400, "body_not_a_resource"),
    "another type": ('{"resourceType": "Patient"}', {}, 400, "body_type_mismatch"),
    "a member twice": (TEXT[:-1] + ', "status": "amended"}', {}, 400, "body_member_repeated"),
    "a member twice, once with an escape": (TEXT[:-1] + ', "s\\u0075bject": {}}', {}, 400, "body_member_repeated"),
    "a member twice for servers that read names in any case": (
        TEXT[:-1] + ', "ResourceType": "Patient"}',
        {},
        400,
        "body_member_repeated",
    ),
    "a member twice, further down": (TEXT[:-1] + ', "x": [{"y": 1, "y": 2}]}', {}, 400, "body_member_repeated"),
    "a member twice beside a long number": (
        TEXT[:-1] + ', "z": [1e5, 1e5, 1e5, 1e5, 1e5], "x": {"y": 1, "y": 2}}',
        {},
        400,
        "body_member_repeated",
    ),
    "too many levels": (DEEP, {}, 400, "body_too_deep"),
    "far too many levels": (DEEPER, {}, 400, "body_too_deep"),
    "too many bytes": (TEXT[:-1] + ', "x": "' + "x" * 1_100_000 + '"}', {}, 413, "request_too_large"),
    "XML": ("<Observation/>", {"content-type": "application/fhir+xml"}, 415, "media_type_unsupported"),
    "a form": ("a=b", {"content-type": "application/x-www-form-urlencoded"}, 415, "media_type_unsupported"),
    "another encoding": (TEXT, {"content-type": f"{FHIR}; charset=latin-1"}, 415, "media_type_unsupported"),
    "another version of FHIR": (TEXT, {"content-type": f"{FHIR}; fhirVersion=5.0"}, 415, "media_type_unsupported"),
    "gzip": (gzip.compress(TEXT.encode()), {"content-encoding": "gzip"}, 415, "media_type_unsupported"),
}


@pytest.mark.parametrize(("body", "headers", "status", "reason"), BODIES.values(), ids=BODIES)
async def test_a_create_is_refused_whose_body_is(
    honest: Pair, body: str | bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    gateway, server = honest
    response = await write(gateway, "POST", "/Observation", body, **headers)
    assert (response.status_code, reason_of(response)) == (status, reason)
    assert server.requests == []


PATCHES = {
    "FHIRPath Patch": ('{"resourceType": "Parameters"}', FHIR, 415, "patch_format_unsupported"),
    "XML Patch": ("<diff/>", "application/xml-patch+xml", 415, "patch_format_unsupported"),
    "a merge patch": ("{}", "application/merge-patch+json", 415, "patch_format_unsupported"),
    "plain JSON": ("[]", "application/json", 415, "patch_format_unsupported"),
    "an object": ("{}", JSON_PATCH, 400, "patch_malformed"),
    "a list of something else": ("[1]", JSON_PATCH, 400, "patch_malformed"),
    "very many operations": (json.dumps([{"op": "remove", "path": "/x"}] * 201), JSON_PATCH, 413, "request_too_large"),
}


@pytest.mark.parametrize(("body", "content_type", "status", "reason"), PATCHES.values(), ids=PATCHES)
async def test_a_patch_is_refused_that_is(honest: Pair, body: str, content_type: str, status: int, reason: str) -> None:
    gateway, server = honest
    response = await write(gateway, "PATCH", "/Observation/o-a", body, **{"content-type": content_type})
    assert (response.status_code, reason_of(response)) == (status, reason)
    assert (response.headers.get("accept-patch") == JSON_PATCH) is (status == 415)
    assert server.requests == []


async def test_a_patch_that_grows_by_copying_ends_at_a_bound(honest: Pair) -> None:
    gateway, server = honest
    grow = [{"op": "add", "path": "/note", "value": [{"text": "x" * 1000}]}]
    grow += [{"op": "copy", "from": "/note", "path": "/note/-"}] * 100
    response = await write(gateway, "PATCH", "/Observation/o-a", grow)
    assert response.status_code in {400, 413}
    assert server.take_writes() == []


async def test_the_body_of_a_write_without_scope_is_not_read(honest: Pair) -> None:
    gateway, server = honest
    response = await write(gateway, "POST", "/Observation", "{", "patient/Observation.ruds")
    assert (response.status_code, reason_of(response)) == (403, "scope_insufficient")
    assert 'scope="patient/Observation.c"' in response.headers["www-authenticate"]
    assert server.requests == []


CONDITIONS = {
    "no criterion": ("DELETE", "/Observation", 400),
    "an empty criterion": ("DELETE", "/Observation?_id=", 400),
    "a criterion of white space": ("DELETE", "/Observation?patient=%20", 400),
    "a lone comma": ("DELETE", "/Observation?patient=,", 400),
    "a control parameter alone": ("DELETE", "/Observation?_count=1", 400),
    "an unknown parameter": ("DELETE", "/Observation?_bogus=1", 400),
    "an unknown modifier": ("DELETE", "/Observation?_id:bogus=1", 400),
    "a patch without criteria": ("PATCH", "/Observation", 400),
    "an update without criteria": ("PUT", "/Observation", 400),
    "an update by a control parameter": ("PUT", "/Observation?_format=json", 400),
}


@pytest.mark.parametrize(("method", "path", "status"), CONDITIONS.values(), ids=CONDITIONS)
async def test_a_condition_that_means_everything_is_refused(honest: Pair, method: str, path: str, status: int) -> None:
    gateway, server = honest
    body = None if method == "DELETE" else "[]" if method == "PATCH" else observation()
    for scope in ("patient/*.cruds", "system/*.cruds"):
        assert (await write(gateway, method, path, body, scope)).status_code == status
    assert server.requests == []


@pytest.mark.parametrize("criteria", ["code:text=zzz", "status:not=final", "subject:Patient.name=zzz"])
async def test_a_condition_is_refused_whose_matches_cannot_be_checked(ignorant: Pair, criteria: str) -> None:
    """A server that ignores it would have a record changed that does not meet it (hapi.md B7, B8)."""
    gateway, server = ignorant
    for method, body in (("PUT", observation()), ("PATCH", "[]"), ("DELETE", None)):
        response = await write(gateway, method, f"/Observation?{criteria}", body)
        assert (response.status_code, reason_of(response)) == (403, "parameter_refused")
    assert server.take_writes() == []


@pytest.mark.parametrize("criteria", ["", "_count=1", "identifier=", "_bogus=1", "identifier:bogus=1"])
async def test_a_create_without_a_criterion_that_counts_is_refused(honest: Pair, criteria: str) -> None:
    gateway, server = honest
    response = await write(gateway, "POST", "/Observation", observation(), if_none_exist=criteria)
    assert response.status_code == 400
    assert server.requests == []


async def test_criteria_that_match_several_records_change_none(honest: Pair) -> None:
    gateway, server = honest
    server.put(observation("pat-a", "twin", identifier=[{"system": "urn:x", "value": "1"}]))
    for method, body in (("PUT", observation()), ("PATCH", "[]"), ("DELETE", None)):
        response = await write(gateway, method, "/Observation?identifier=urn:x|1", body)
        assert (response.status_code, reason_of(response)) == (412, "several_matches")
    assert server.take_writes() == []
