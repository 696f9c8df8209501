"""Binary and Provenance: what vouches for one must be in its unit's reach, and only what was judged is sent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.leaked_marks import find_leaks, ids_in
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ABSENT, Script, ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.people import B_MARKER, Resource

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
SECRET = {"meta": {"tag": [{"code": B_MARKER}]}}
PATIENT_A, PATIENT_B = make_resource("Patient", "pat-a"), make_resource("Patient", "pat-b", name=[{"family": B_MARKER}])
JSON, RAW, ANY = "application/fhir+json", "text/plain", "*/*"


def binary(name: str, /, **members: Any) -> Resource:
    return make_resource("Binary", name, contentType=RAW, data="YQ==", **members)


def observation(name: str, subject: Any, /, **members: Any) -> Resource:
    return make_resource("Observation", name, status="final", code={"text": "x"}, subject=subject, **members)


def provenance(name: str, /, *targets: str, **members: Any) -> Resource:
    return make_resource("Provenance", name, target=[{"reference": target} for target in targets], **members)


def document(of: Any, attached: str) -> Resource:
    content = [{"attachment": {"url": f"Binary/{attached}"}}]
    return make_resource("DocumentReference", "d", status="current", subject=of, content=content)


def script_for(*resources: Resource, found: tuple[Resource, ...] = ()) -> Script:
    """A server that has `resources`, and responds to every search with `found`."""
    held = {f"{resource['resourceType']}/{resource['id']}": resource for resource in resources}

    def script(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        if "/" not in path:
            return 200, bundle(*found), {}
        return (200, held[path], {}) if path in held else ABSENT

    return script


def with_raw_binaries(script: Script, *contexts: str | None, body: bytes = b"letter") -> Script:
    """The same server with raw content for each Binary, whose heads name these security contexts in turn."""
    remaining = list(contexts)

    def scripted_raw(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        if not path.startswith("Binary/") or headers["accept"] == JSON:
            return script(path, query, headers)
        context = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        return 200, body, {"content-type": RAW, **({} if context is None else {"x-security-context": context})}

    return scripted_raw


USER = {"fhirUser": "Practitioner/p"}
EVERY_BINARY: tuple[tuple[str, dict[str, str]], ...] = (("system/Binary.rs", {}), ("user/Binary.r patient/*.rs", USER))


@pytest.mark.parametrize("accept", [JSON, ANY, RAW])
@pytest.mark.parametrize(("scope", "claims"), EVERY_BINARY)
async def test_a_token_for_every_binary_is_given_no_other_type(
    tmp_path: Path, scope: str, claims: Any, accept: str
) -> None:
    async with (
        scripted_server(lambda *_: (200, PATIENT_B, {})) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        response = await gateway.request("/Binary/x", scope, claims=claims, headers={"accept": accept})
        assert (response.status_code, find_leaks(response)) == (404, [])


@pytest.mark.parametrize("accept", [JSON, ANY])
async def test_a_token_for_every_binary_is_given_the_binary_it_asks_for(tmp_path: Path, accept: str) -> None:
    async with (
        scripted_server(script_for(binary("x"), binary("y"))) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        response = await gateway.request("/Binary/x", "system/Binary.r", headers={"accept": accept})
        assert (response.status_code, response.json()) == (200, binary("x"))
        assert response.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("content_type", ["application/fhir+xml", "Application/FHIR+xml;charset=utf-8"])
async def test_a_resource_in_a_form_that_cannot_be_read_leaves_in_json(tmp_path: Path, content_type: str) -> None:
    held = script_for(binary("x"))

    def script(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        asked_for = headers["accept"]
        return held(path, query, headers) if asked_for == JSON else (200, PATIENT_B, {"content-type": content_type})

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request(
            "/Binary/x", "system/Binary.r", headers={"accept": "application/fhir+xml, */*;q=0.1"}
        )
        assert (response.status_code, response.json()) == (200, binary("x"))


async def test_a_raw_binary_is_streamed_and_one_in_json_is_read_within_the_limit(tmp_path: Path) -> None:
    large = binary("x", note="x" * 200_000)
    async with scripted_server(with_raw_binaries(script_for(large), None, body=b"x" * 200_000)) as server:
        limit = {"max_verified_body_bytes": 100_000}
        async with running_gateway(server.base_url, tmp_path, upstream=limit) as gateway:
            streamed = await gateway.request("/Binary/x", "system/Binary.r", headers={"accept": RAW})
            assert (streamed.status_code, len(streamed.content)) == (200, 200_000)
            assert server.requests.count("Binary/x") == 1
            refused = await gateway.request("/Binary/x", "system/Binary.r", headers={"accept": JSON})
            assert refused.status_code != 200


@pytest.mark.parametrize("swapped", [1, 2, 3])
@pytest.mark.parametrize("accept", [JSON, ANY, RAW])
async def test_the_binary_that_leaves_is_the_one_that_was_judged(tmp_path: Path, accept: str, swapped: int) -> None:
    """One of the responses is another patient's, as from a shared cache."""
    times: list[str] = []

    def script(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        if path == "Patient/pat-a":
            return 200, PATIENT_A, {}
        times.append(path)
        return 200, PATIENT_B if len(times) == swapped else binary("x", securityContext=A), {}

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        assert find_leaks(await gateway.request("/Binary/x", headers={"accept": accept})) == []


async def test_a_binary_in_json_is_asked_for_once(tmp_path: Path) -> None:
    async with (
        scripted_server(script_for(binary("x", securityContext=A), PATIENT_A)) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        assert (await gateway.request("/Binary/x", headers={"accept": JSON})).status_code == 200
        assert [path for path in server.requests if path != "metadata"] == ["Binary/x", "Patient/pat-a"]


# The security contexts in the heads of successive raw responses, for a Binary without one that A's document attaches.
HEADS = {
    "it never names a context": ((None,), 200),
    "it names the patient": (("Patient/pat-a",), 200),
    "it names the patient the second time": ((None, "Patient/pat-a"), 200),
    "it names another patient": (("Patient/pat-b",), 404),
    "it names another patient the second time": ((None, "Patient/pat-b"), 404),
    "it names two patients": (("Patient/pat-a, Patient/pat-b",), 404),
    "it names what everybody may see": (("Organization/hospital",), 404),
    "it names what is no reference": (("whoever",), 404),
}


@pytest.mark.parametrize(("contexts", "status"), HEADS.values(), ids=HEADS)
async def test_a_raw_binary_leaves_unless_its_head_says_otherwise(
    tmp_path: Path, contexts: tuple[str | None, ...], status: int
) -> None:
    held = script_for(
        binary("x"), PATIENT_A, PATIENT_B, make_resource("Organization", "hospital"), found=(document(A, "x"),)
    )
    async with scripted_server(with_raw_binaries(held, *contexts)) as server:
        # With few connections, a response that was not closed would soon block the pool.
        pool = {"pool": {"connections": 2, "queue": 1, "queue_timeout_seconds": 0.2}}
        async with running_gateway(server.base_url, tmp_path, upstream=pool) as gateway:
            response = await gateway.request("/Binary/x", headers={"accept": RAW})
            assert (response.status_code, response.content == b"letter") == (status, status == 200)
            for _ in range(3):
                assert (
                    await gateway.request("/Binary/x", headers={"accept": RAW}, method="HEAD")
                ).status_code == status


HELD = script_for(
    binary("of-a", securityContext=A),
    binary("of-b", securityContext=B, **SECRET),
    binary("of-hospital", securityContext={"reference": "Organization/hospital"}, **SECRET),
    binary("free", **SECRET),
    binary("stuffed", securityContext=A, contained=[PATIENT_B]),
    provenance("of-a", "Observation/of-a"),
    provenance("of-b", "Observation/of-b", **SECRET),
    provenance("of-hospital", "Organization/hospital", "Observation/of-b", **SECRET),
    provenance("by-doctor", "Practitioner/p", "Observation/of-b", **SECRET),
    observation("of-a", A),
    observation("of-b", B),
    PATIENT_A,
    PATIENT_B,
    make_resource("Organization", "hospital"),
    make_resource("Practitioner", "p"),
    found=(document(B, "free"),),
)
NO_VOUCHER = {
    "a patient's Binary by a user's Patient": ("/Binary/of-b", "patient/Binary.r user/Patient.r"),
    "a patient's Binary by a user's document": ("/Binary/free", "patient/Binary.r user/DocumentReference.rs"),
    "a patient's Binary by what everybody may see": ("/Binary/of-hospital", "patient/*.rs"),
    "a Binary that contains another patient": ("/Binary/stuffed", "patient/*.rs"),
    "a Binary outside its own constraint": ("/Binary/of-b", "system/Binary.r?_id=another system/Patient.r"),
    "a patient's Provenance by a user's Observation": ("/Provenance/of-b", "patient/Provenance.r user/Observation.r"),
    "a patient's Provenance by an Organization": ("/Provenance/of-hospital", "patient/*.rs"),
    "a patient's Provenance by a Practitioner": ("/Provenance/by-doctor", "patient/*.rs"),
}


@pytest.mark.parametrize(("path", "scope"), NO_VOUCHER.values(), ids=NO_VOUCHER)
async def test_units_do_not_borrow_each_others_reach(tmp_path: Path, path: str, scope: str) -> None:
    async with scripted_server(HELD) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request(path, scope, claims=USER)
        assert (response.status_code, find_leaks(response)) == (404, [])


VOUCHED = {
    "a patient's Binary by the patient that another scope shows": ("/Binary/of-a", "patient/Binary.r user/Patient.r"),
    "a Binary within its own constraint": ("/Binary/free", "system/Binary.r?_id=free"),
    "a patient's Provenance by a record that another scope shows": (
        "/Provenance/of-a",
        "patient/Provenance.r user/Observation.r",
    ),
}


@pytest.mark.parametrize(("path", "scope"), VOUCHED.values(), ids=VOUCHED)
async def test_what_lies_in_both_reaches_vouches(tmp_path: Path, path: str, scope: str) -> None:
    async with scripted_server(HELD) as server, running_gateway(server.base_url, tmp_path) as gateway:
        assert (await gateway.request(path, scope, claims=USER)).status_code == 200


@pytest.mark.parametrize(("named", "status"), [("another", 404), ("free", 200)])
async def test_a_raw_binary_is_held_to_the_constraint_of_its_scope(tmp_path: Path, named: str, status: int) -> None:
    async with (
        scripted_server(with_raw_binaries(HELD, "Patient/pat-b")) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        scope = f"system/Binary.r?_id={named} system/Patient.r"
        assert (await gateway.request("/Binary/free", scope, headers={"accept": RAW})).status_code == status


PAGES = {
    "records of another scope beside it": ("patient/Provenance.rs user/Observation.rs", "of-b"),
    "what everybody may see beside it": ("patient/*.rs user/Observation.rs", "of-hospital"),
}


@pytest.mark.parametrize(("scope", "hidden"), PAGES.values(), ids=PAGES)
async def test_a_provenance_on_a_page_is_not_vouched_for_by(tmp_path: Path, scope: str, hidden: str) -> None:
    page = bundle(observation("of-a", A), observation("of-b", B), make_resource("Organization", "hospital"))
    provenances = bundle(
        provenance("of-a", "Observation/of-a"), provenance(hidden, "Organization/hospital", "Observation/of-b")
    )
    page["entry"] += provenances["entry"]
    for entry in page["entry"][2:]:
        entry["search"] = {"mode": "include"}
    async with (
        scripted_server(lambda path, query, headers: (200, page, {}) if "/" not in path else ABSENT) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        path = "/Observation?_include=Observation:performer&_revinclude=Provenance:target"
        shown = ids_in(await gateway.request(path, scope, claims=USER))
        assert {name for name in shown if name.startswith("Provenance/")} == {"Provenance/of-a"}
        assert "Observation/of-b" in shown
