"""Binaries are written by those to whom they belong, by their securityContext, and by nobody else."""

import base64
from typing import Any

import pytest
import pytest_asyncio

from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.writing.binary_server import EMPTY_PDF, BinaryServer, binary, binary_server, fill_with_binaries
from tests.proxy.writing.record_server import Habits
from tests.proxy.writing.writes import EVERYTHING, reason_of, replace, write
from tests.servers.people import Resource

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, BinaryServer]


@pytest_asyncio.fixture(loop_scope="module")
async def pair(binary_pair: Pair) -> Pair:
    """A gateway in front of a server with Binaries of two patients."""
    fill_with_binaries(binary_pair[1])
    return binary_pair


OWNERS: dict[str, tuple[Any, str]] = {
    "the patient": ("Patient/pat-a", ""),
    "the patient, in a version": ("Patient/pat-a/_history/1", ""),
    "a record of the patient": ("Encounter/e-a", ""),
    "another patient": ("Patient/pat-b", "binary_not_vouched"),
    "a record of another patient": ("Encounter/e-b", "binary_not_vouched"),
    "a record that there is not": ("Encounter/none", "binary_not_vouched"),
    "a record that belongs to nobody": ("Organization/org", "binary_not_vouched"),
    "a type that is no compartment's": ("Binary/of-a", "binary_not_vouched"),
    "nobody": (None, "binary_not_vouched"),
    "a patient of another server": ("https://elsewhere.example/fhir/Patient/pat-a", "reference_out_of_reach"),
    "criteria": ("Patient?identifier=urn:x|1", "reference_refused"),
    "two in one text": ("Patient/pat-a, Patient/pat-b", "reference_refused"),
}


@pytest.mark.parametrize(("owner", "reason"), OWNERS.values(), ids=OWNERS)
async def test_a_new_binary_that_belongs_to(pair: Pair, owner: str | None, reason: str) -> None:
    gateway, server = pair
    response = await write(gateway, "POST", "/Binary", binary(owner))
    assert reason_of(response) == reason, response.text
    assert (response.status_code == 201) is (reason == "")
    assert len(server.take_writes()) == (0 if reason else 1)


@pytest.mark.parametrize(("owner", "reason"), OWNERS.values(), ids=OWNERS)
async def test_raw_content_that_belongs_to(pair: Pair, owner: str | None, reason: str) -> None:
    gateway, server = pair
    headers = {} if owner is None else {"x_security_context": owner}
    response = await write(gateway, "POST", "/Binary", b"%PDF-", content_type="application/pdf", **headers)
    assert reason_of(response) == reason, response.text
    assert len(server.take_writes()) == (0 if reason else 1)


async def test_absent_and_foreign_owners_are_the_same_refusal(pair: Pair) -> None:
    gateway, _ = pair
    absent = await write(gateway, "POST", "/Binary", binary("Encounter/none"))
    foreign = await write(gateway, "POST", "/Binary", binary("Encounter/e-b"))
    assert (absent.status_code, absent.content) == (foreign.status_code, foreign.content) == (403, foreign.content)


async def test_raw_content_leaves_as_the_resource_that_was_judged(pair: Pair) -> None:
    gateway, server = pair
    content = bytes(range(256)) * 7
    owner = f"{gateway.base_url}/Patient/pat-a"
    response = await write(gateway, "POST", "/Binary", content, content_type="image/png; q=1", x_security_context=owner)
    assert response.status_code == 201
    (stored,) = (one for (name, key), one in server.records.items() if name == "Binary" and key.startswith("new-"))
    assert stored["contentType"] == "image/png; q=1"
    assert stored["securityContext"] == {"reference": "Patient/pat-a"}
    assert base64.b64decode(stored["data"]) == content
    assert response.content == b""
    assert response.headers["location"] == f"{gateway.base_url}/Binary/{stored['id']}/_history/1"
    assert response.headers["etag"] == 'W/"1"'
    read = await gateway.request(f"/Binary/{stored['id']}", EVERYTHING, headers={"accept": "*/*"})
    assert (read.status_code, read.json()["data"]) == (200, stored["data"])


@pytest.mark.parametrize("scope", ["patient/Binary.c", "patient/Binary.cr"])
async def test_who_may_not_read_it_sees_the_id_alone(pair: Pair, scope: str) -> None:
    """The second token may read Binaries, but not the Patient who would vouch for this one."""
    gateway, _ = pair
    response = await write(gateway, "POST", "/Binary", binary(), scope)
    assert (response.status_code, response.content) == (201, b"")
    assert "etag" not in response.headers
    assert "_history" not in response.headers["location"]


async def test_who_may_read_it_gets_it_back(pair: Pair) -> None:
    gateway, server = pair
    response = await write(gateway, "POST", "/Binary", binary(), "patient/Binary.cr patient/Patient.r")
    assert (response.status_code, response.json()["data"], response.headers["etag"]) == (201, EMPTY_PDF, 'W/"1"')
    assert server.take_writes() == ["POST Binary"]


async def test_what_the_server_makes_of_it_is_shown_only_to_whom_it_belongs(pair: Pair) -> None:
    gateway, server = pair
    server.stores_as = {"securityContext": {"reference": "Patient/pat-b"}}
    try:
        response = await write(gateway, "POST", "/Binary", binary())
    finally:
        server.stores_as = {}
    assert (response.status_code, response.content, "etag" in response.headers) == (201, b"", False)


CHANGES: dict[str, tuple[str, Any, str]] = {
    "of the patient's own": ("of-a", "Patient/pat-a", ""),
    "of one that a record of the patient owns": ("of-visit-a", "Encounter/e-a", ""),
    "that gives it to a record of the patient": ("of-a", "Encounter/e-a", ""),
    "of another patient's": ("of-b", "Patient/pat-a", "not_found"),
    "of one that a record of another owns": ("of-visit-b", "Patient/pat-a", "not_found"),
    "of nobody's, which a document shows": ("shared", "Patient/pat-a", "not_found"),
    "of none": ("none", "Patient/pat-a", "not_found"),
    "that gives it to another patient": ("of-a", "Patient/pat-b", "binary_not_vouched"),
    "that gives it to nobody": ("of-a", None, "binary_not_vouched"),
}


@pytest.mark.parametrize(("name", "owner", "reason"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("is_raw", [False, True], ids=["as FHIR JSON", "raw"])
async def test_an_update(pair: Pair, name: str, owner: str | None, reason: str, is_raw: bool) -> None:
    gateway, server = pair
    if is_raw:
        headers = {} if owner is None else {"x_security_context": owner}
        response = await write(gateway, "PUT", f"/Binary/{name}", b"new", content_type="text/plain", **headers)
    else:
        new = binary(owner, name, contentType="text/plain", data="bmV3")
        response = await write(gateway, "PUT", f"/Binary/{name}", new)
    assert reason_of(response) == reason, response.text
    assert server.take_writes() == ([] if reason else [f"PUT Binary/{name}"])
    if not reason:
        assert server.records["Binary", name]["data"] == "bmV3"
        assert server.records["Binary", name]["meta"]["versionId"] == "2"


async def test_a_precondition_tells_nothing_of_a_binary_that_a_record_of_another_owns(pair: Pair) -> None:
    gateway, _ = pair
    new = binary("Patient/pat-a", "of-visit-b")
    foreign = await write(gateway, "PUT", "/Binary/of-visit-b", new, if_match='W/"7"')
    absent = await write(gateway, "PUT", "/Binary/none", {**new, "id": "none"}, if_match='W/"7"')
    assert (foreign.status_code, foreign.content) == (absent.status_code, absent.content) == (404, foreign.content)
    own = await write(gateway, "PUT", "/Binary/of-visit-a", {**new, "id": "of-visit-a"}, if_match='W/"7"')
    assert reason_of(own) == "precondition_failed"


async def test_a_lost_race_is_told(pair: Pair) -> None:
    gateway, server = pair
    server.before_write = lambda: server.put(binary("Patient/pat-b", "of-a"))
    response = await write(
        gateway, "PUT", "/Binary/of-a", b"new", content_type="text/plain", x_security_context="Patient/pat-a"
    )
    assert reason_of(response) == "precondition_failed"
    assert server.records["Binary", "of-a"]["securityContext"] == {"reference": "Patient/pat-b"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [("of-a", ""), ("of-visit-a", ""), ("of-b", "not_found"), ("of-visit-b", "not_found"), ("shared", "not_found")],
)
async def test_a_delete(pair: Pair, name: str, reason: str) -> None:
    gateway, server = pair
    response = await write(gateway, "DELETE", f"/Binary/{name}")
    assert reason_of(response) == reason
    assert (("Binary", name) in server.records) is bool(reason)


async def test_a_delete_is_tied_to_the_version_that_was_checked(pair: Pair) -> None:
    gateway, server = pair
    server.before_write = lambda: server.put(binary("Patient/pat-b", "of-a"))
    response = await write(gateway, "DELETE", "/Binary/of-a")
    assert reason_of(response) == "precondition_failed"
    assert server.records["Binary", "of-a"]["securityContext"] == {"reference": "Patient/pat-b"}


async def test_a_patch_sets_elements_but_never_whose_it_is(pair: Pair) -> None:
    gateway, server = pair
    assert (await write(gateway, "PATCH", "/Binary/of-a", replace("/data", "bmV3"))).status_code == 200
    assert server.records["Binary", "of-a"]["data"] == "bmV3"
    assert server.records["Binary", "of-a"]["contentType"] == "application/pdf"
    for path in ("/securityContext", "/securityContext/reference"):
        response = await write(gateway, "PATCH", "/Binary/of-a", replace(path, "Patient/pat-b"))
        assert reason_of(response) == "patch_test_refused"
    assert reason_of(await write(gateway, "PATCH", "/Binary/of-b", replace("/data", "bmV3"))) == "not_found"


UNCLEAR: dict[str, tuple[Any, dict[str, str], str]] = {
    "an element that no Binary has": ({**binary(), "text": {}}, {}, "body_malformed"),
    "a contained resource": ({**binary(), "contained": [{"resourceType": "Patient"}]}, {}, "body_malformed"),
    "a list of owners": ({**binary(None), "securityContext": [{"reference": "Patient/pat-a"}]}, {}, "body_malformed"),
    "its name in other letters": (
        {**binary(None), "securitycontext": {"reference": "Patient/pat-a"}},
        {},
        "body_malformed",
    ),
    "data that is no text": (binary(data=[]), {}, "body_malformed"),
    "a type that is none": (binary(contentType="pdf"), {}, "media_type_unsupported"),
    "a type that would be a header line": (binary(contentType="text/plain\r\nx: y"), {}, "media_type_unsupported"),
    "content that could be taken for the resource": (
        binary(contentType="application/fhir+json"),
        {},
        "media_type_unsupported",
    ),
    "the same in other letters": (binary(contentType="Application/JSON;a=b"), {}, "media_type_unsupported"),
    "an owner in a header beside FHIR JSON": (binary(), {"x_security_context": "Patient/pat-a"}, "body_malformed"),
    "raw JSON": (b"{}", {"content_type": "text/json"}, "media_type_unsupported"),
    "FHIR XML": (b"<Binary/>", {"content_type": "application/fhir+xml"}, "media_type_unsupported"),
    "raw content without a type": (b"x", {"content_type": "pdf"}, "media_type_unsupported"),
    "raw content in two types": (b"x", {"content_type": "text/plain, text/html"}, "media_type_unsupported"),
    "compressed raw content": (
        b"x",
        {"content_type": "text/plain", "content_encoding": "gzip"},
        "media_type_unsupported",
    ),
    "no raw content": (b"", {"content_type": "text/plain", "x_security_context": "Patient/pat-a"}, "body_missing"),
    "an owner that no header can hold": (
        b"x",
        {"content_type": "text/plain", "x_security_context": "Patient/" + "a" * 2000},
        "body_malformed",
    ),
}


@pytest.mark.parametrize(("body", "headers", "reason"), UNCLEAR.values(), ids=UNCLEAR)
async def test_what_has_more_than_one_meaning_is_refused(
    pair: Pair, body: Resource | bytes, headers: dict[str, str], reason: str
) -> None:
    gateway, server = pair
    assert reason_of(await write(gateway, "POST", "/Binary", body, **headers)) == reason
    assert server.take_writes() == []


async def test_json_that_is_sent_as_json_is_the_resource(pair: Pair) -> None:
    """fhirclient.js creates resources as application/json."""
    gateway, _ = pair
    response = await write(gateway, "POST", "/Binary", binary(), content_type="application/json; charset=utf-8")
    assert response.status_code == 201


async def test_a_scope_for_the_whole_server_needs_no_owner(pair: Pair) -> None:
    gateway, server = pair
    scope = "system/Binary.cud"
    assert (await write(gateway, "POST", "/Binary", b"x", scope, content_type="text/plain")).status_code == 201
    assert (await write(gateway, "PUT", "/Binary/of-b", b"x", scope, content_type="text/plain")).status_code == 200
    assert (await write(gateway, "PUT", "/Binary/new", b"x", scope, content_type="text/plain")).status_code == 201
    assert (await write(gateway, "DELETE", "/Binary/shared", None, scope)).status_code == 204
    assert server.records["Binary", "new"]["data"] == "eA=="


async def test_a_scope_without_the_letter_is_told_before_the_body_is_read(pair: Pair) -> None:
    gateway, _ = pair
    response = await write(gateway, "POST", "/Binary", b"x", "patient/Binary.ru", content_type="text/plain")
    assert reason_of(response) == "scope_insufficient"
    assert "patient/Binary.c" in response.headers["www-authenticate"]


async def test_a_constraint_that_no_binary_can_show_grants_nothing(pair: Pair) -> None:
    gateway, _ = pair
    assert reason_of(await write(gateway, "POST", "/Binary", binary(), "patient/Binary.c?_tag=x"))


async def test_a_page_in_a_binary_is_no_page_of_this_origin(pair: Pair) -> None:
    gateway, _ = pair
    page = b"<script>alert(1)</script>"
    created = await write(
        gateway, "POST", "/Binary", page, content_type="text/html", x_security_context="Patient/pat-a"
    )
    path = created.headers["location"].removeprefix(gateway.base_url).partition("/_history")[0]
    read = await gateway.request(path, EVERYTHING, headers={"accept": "text/html"})
    assert (read.status_code, read.content, read.headers["content-type"]) == (200, page, "text/html")
    assert read.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert read.headers["x-content-type-options"] == "nosniff"


async def test_a_delete_that_cannot_be_tied_is_refused(tmp_path: Any) -> None:
    habits = Habits(declares_conditional_delete=False)
    async with binary_server(habits) as server, running_gateway(server.base_url, tmp_path) as gateway:
        fill_with_binaries(server)
        assert (await gateway.request("/metadata", None)).status_code == 200
        assert reason_of(await write(gateway, "DELETE", "/Binary/of-a")) == "race_not_excluded"


async def test_the_statement_says_what_can_be_written(pair: Pair) -> None:
    gateway, _ = pair
    statement = (await gateway.request("/metadata", None)).json()
    (listed,) = (one for one in statement["rest"][0]["resource"] if one["type"] == "Binary")
    codes = {interaction["code"] for interaction in listed["interaction"]}
    assert {"create", "update", "patch", "delete"} <= codes
