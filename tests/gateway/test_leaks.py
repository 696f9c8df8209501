"""The leak corpus: for each line that concerns reading, what a token for patient A gets when it asks for B's data.

The number in a test's name is the line's number in the corpus. Where a well-behaved server would hide the fault, the
hostile server or a lenient one stands behind the gateway.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey

from gateway.keys.development import development_key, mint
from tests.gateway.lenient import lenient_server
from tests.gateway.marks import A_STRANGER, ids_in, leaks, link_of, of_a_alone, reason_of, refused, resources_in
from tests.gateway.running import ISSUER, Running, running_gateway, running_gateways
from tests.servers.hostile import A_MARKER, B_MARKER, HOSTILE_B, HostileInLoop, Mode, hostile_in_loop
from tests.servers.hostile.documents import TYPES
from tests.servers.people import CONFIDENTIALITY, MARKER_SYSTEM, Resource
from tests.servers.population import population
from tests.servers.process import Server, free_port

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]

LINES = frozenset(range(1, 31))
PAGE_KEY = base64.b64encode(b"a key of thirty-two bytes, or so").decode()
FORM = {"content-type": "application/x-www-form-urlencoded"}
SMOKING = "http://loinc.org|72166-2"

WHOLE = "patient/*.rs"
OBSERVATIONS = "patient/Observation.rs"
LABORATORY = "patient/Observation.rs?category=laboratory"
VITAL_SIGNS = "patient/Observation.rs?category=vital-signs"
RESTRICTED = f"patient/*.rs?_security={CONFIDENTIALITY}|R"

OWN_OBSERVATIONS = {
    f"Observation/{one['id']}" for one in population() if one["resourceType"] == "Observation" and "pat-a-" in one["id"]
} | {"Observation/pat-a-absolute"}


@dataclass(frozen=True)
class Front:
    """The gateways, each before a server of its own, and the hostile server that stands behind most of them."""

    sekmet: Running
    upstream: str
    hostile: HostileInLoop
    hostiles: dict[Mode, Running]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(sekmet: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    async with hostile_in_loop() as hostile:
        upstreams = {"sekmet": sekmet.base_url, **{str(mode): hostile.base(mode) for mode in Mode}}
        folder = tmp_path_factory.mktemp("leaks")
        async with running_gateways(upstreams, folder, paging={"key": PAGE_KEY}) as running:
            for one in (running["sekmet"], running[str(Mode.HONEST)]):
                assert (await one.ask("/metadata", None)).status_code == 200
            hostiles = {mode: running[str(mode)] for mode in Mode}
            yield Front(running["sekmet"], sekmet.base_url, hostile, hostiles)


@pytest.fixture
def gateway(front: Front) -> Running:
    """The gateway before a real server."""
    return front.sekmet


async def nothing_is_sent(
    front: Front, path: str, scope: str, *, method: str = "GET", **options: Any
) -> httpx2.Response:
    """The answer to what must be refused before the server hears of it."""
    front.hostile.forget()
    answer = await front.hostiles[Mode.HONEST].ask(path, scope, method=method, **options)
    assert front.hostile.requests() == []
    return answer


def told_left_out(answer: httpx2.Response) -> str:
    """What the outcome entry says was left out."""
    return " ".join(one["issue"][0]["details"]["text"] for one in resources_in(answer, "outcome"))


@pytest.mark.requirement("BS-11")
async def test_leak_01_a_reverse_include_of_a_type_out_of_scope_is_left_out_and_said_so(front: Front) -> None:
    path = "/Patient?_id=pat-a&_revinclude=Observation:subject"
    answer = await front.sekmet.ask(path, "patient/Patient.rs")
    assert of_a_alone(answer)
    assert ids_in(answer) == {"Patient/pat-a"}
    assert "_revinclude=Observation:subject" in told_left_out(answer)
    for mode in (Mode.INCLUDES_OF_B, Mode.IGNORES_EVERYTHING):
        answer = await front.hostiles[mode].ask(path, "patient/Patient.rs")
        assert (ids_in(answer), leaks(answer)) == ({"Patient/pat-a"}, [])


ITERATED = [
    ("_include:iterate=Observation:subject&_revinclude:iterate=Provenance:target", OBSERVATIONS),
    ("_include:recurse=Observation:subject&_revinclude:recurse=Provenance:target", OBSERVATIONS),
    ("_include:iterate=*&_revinclude:iterate=*", OBSERVATIONS),
    ("_include:iterate=*&_revinclude:iterate=*", WHOLE),
    ("_include=Observation:performer&_revinclude:iterate=Patient:general-practitioner", WHOLE),
    ("_include:iterate=Observation:performer&_revinclude:iterate=Observation:performer", WHOLE),
]


@pytest.mark.parametrize(("includes", "scope"), ITERATED)
async def test_leak_02_iterated_includes_bring_nothing_of_another_patient_or_type(
    front: Front, includes: str, scope: str
) -> None:
    for one in (front.sekmet, front.hostiles[Mode.INCLUDES_OF_B], front.hostiles[Mode.IGNORES_EVERYTHING]):
        answer = await one.ask(f"/Observation?subject=Patient/pat-a&_count=100&{includes}", scope)
        assert of_a_alone(answer)
        assert ids_in(answer)
        if scope == OBSERVATIONS:
            assert {name.partition("/")[0] for name in ids_in(answer)} == {"Observation"}


async def test_leak_03_has_looks_only_where_the_token_may_search(gateway: Running) -> None:
    path = f"/Patient?_has:Observation:patient:code={SMOKING}"
    assert refused(await gateway.ask(path, "patient/Patient.rs"), 403, "parameter_out_of_reach")
    constrained = f"patient/Patient.rs {LABORATORY}"
    assert refused(await gateway.ask(path, constrained), 403, "parameter_out_of_reach")
    both = await gateway.ask(path, f"patient/Patient.rs {OBSERVATIONS}")
    assert of_a_alone(both)
    assert ids_in(both) == {"Patient/pat-a"}
    aside = f"/Observation?subject=Patient/pat-a&_has:Observation:patient:code={SMOKING}"
    assert refused(await gateway.ask(aside, OBSERVATIONS), 400, "parameter_unknown")


ALL, NONE = len(OWN_OBSERVATIONS), 0
CANCELLING = {
    "subject=Patient/pat-a,Group/group-1": ALL,
    "subject=Patient/pat-a,Patient/pat-b": ALL,
    "patient=pat-a,pat-b": ALL,
    "patient=pat-a&patient=pat-b": NONE,
    "patient=pat-b&patient=pat-a": NONE,
    "patient=pat-b": NONE,
    "patient=Patient/pat-b": NONE,
    "subject=Patient/pat-b": NONE,
    "subject=Group/group-1": NONE,
    "subject:Patient=pat-b": NONE,
    "subject:identifier=urn:smart-fhir-gateway:identifier|mrn-pat-b": NONE,
    "patient:missing=true": NONE,
    "subject:missing=false": ALL,
}


@pytest.mark.parametrize(("criteria", "found"), CANCELLING.items())
async def test_leak_04_no_criterion_of_the_client_cancels_our_own(gateway: Running, criteria: str, found: int) -> None:
    answer = await gateway.ask(f"/Observation?_count=100&{criteria}", OBSERVATIONS)
    assert of_a_alone(answer)
    assert (len(resources_in(answer)), answer.json()["total"]) == (found, found)


@pytest.mark.parametrize("chain", ["patient.identifier", "subject:Patient.identifier", "patient.name"])
async def test_leak_04_a_chain_into_the_patient_needs_a_scope_for_it(gateway: Running, chain: str) -> None:
    answer = await gateway.ask(f"/Observation?{chain}=mrn-pat-b", OBSERVATIONS)
    assert refused(answer, 403, "parameter_out_of_reach")
    assert of_a_alone(await gateway.ask(f"/Observation?{chain}=mrn-pat-b", f"{OBSERVATIONS} patient/Patient.rs"))


BELOW_AN_INSTANCE = {
    "/Patient/pat-a/$everything": "operation_not_allowed",
    "/Patient/pat-b/$everything": "operation_not_allowed",
    "/Patient/pat-a/$graphql?query=x": "operation_not_allowed",
    "/Patient/pat-a/Observation": "scope_insufficient",
    "/Patient/pat-a/Observation/_search": "scope_insufficient",
}


@pytest.mark.parametrize(("path", "reason"), BELOW_AN_INSTANCE.items())
async def test_leak_05_reading_a_patient_opens_nothing_below_it(front: Front, path: str, reason: str) -> None:
    method = "POST" if path.endswith("_search") else "GET"
    assert refused(await nothing_is_sent(front, path, "patient/Patient.r", method=method), 403, reason)


async def test_leak_05_reading_a_patient_opens_its_own_history_alone(gateway: Running) -> None:
    own = await gateway.ask("/Patient/pat-a/_history", "patient/Patient.r")
    assert of_a_alone(own)
    assert ids_in(own) == {"Patient/pat-a"}
    assert refused(await gateway.ask("/Patient/pat-b/_history", "patient/Patient.r"), 404, "not_found")


@pytest.mark.requirement("SC-5")
@pytest.mark.parametrize("path", ["/Patient/$everything", "/Observation/$lastn", "/$everything", "/Patient/$match"])
async def test_leak_06_operations_on_a_type_are_refused_even_under_the_widest_scope(front: Front, path: str) -> None:
    for scope in (WHOLE, "system/*.cruds"):
        assert refused(await nothing_is_sent(front, path, scope), 403, "operation_not_allowed")


async def test_leak_07_no_paging_link_but_our_own_opens_and_that_for_its_own_grant_alone(front: Front) -> None:
    for query in ("_getpages=a1b2", "_getpages=a1b2&_getpagesoffset=10", "page=2", "ct=a1b2"):
        assert refused(await nothing_is_sent(front, f"/?{query}", WHOLE), 400, "parameter_unknown")
        assert refused(await front.sekmet.ask(f"/?{query}", None), 401, "token_missing")
    of_b = await front.sekmet.ask("/Observation?_count=5", claims={"patient": "pat-b"})
    following = (link_of(of_b, "next") or "").removeprefix(front.sekmet.base_url)
    assert of_b.status_code == 200
    assert (await front.sekmet.ask(following, claims={"patient": "pat-b"})).status_code == 200
    assert refused(await front.sekmet.ask(following), 404, "page_unknown")
    assert refused(await front.sekmet.ask(following, None), 401, "token_missing")


async def test_leak_07_the_pages_behind_a_link_are_judged_anew(front: Front) -> None:
    gateway = front.hostiles[Mode.PAGES_OF_B]
    first = await gateway.ask("/Observation")
    second = await gateway.ask((link_of(first, "next") or "").removeprefix(gateway.base_url))
    assert of_a_alone(first)
    assert of_a_alone(second)
    assert (A_MARKER in first.text, ids_in(second)) == (True, set())


async def test_leak_08_a_search_of_the_whole_system_finds_what_the_scopes_reach(front: Front) -> None:
    for path in ("/?_type=Observation", "?_type=Observation", "/?_type=Observation,Condition", "/"):
        answer = await front.hostiles[Mode.IGNORES_EVERYTHING].ask(path, OBSERVATIONS)
        assert of_a_alone(answer)
        assert {name.partition("/")[0] for name in ids_in(answer)} <= {"Observation"}
        assert refused(await front.sekmet.ask(path, None), 401, "token_missing")
    asked = await front.hostiles[Mode.IGNORES_EVERYTHING].ask("/?_type=Observation", OBSERVATIONS)
    assert A_MARKER in asked.text
    assert refused(await front.sekmet.ask("/?_type=Condition", OBSERVATIONS), 403, "scope_insufficient")
    # sekmet has no search over several types, so its refusal is told as ours.
    assert refused(await front.sekmet.ask("/?_type=Observation", OBSERVATIONS), 400, "upstream_rejected")


def batch(*urls: str) -> Resource:
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


BATCHES = {
    "a search for another patient": batch("Observation?subject=Patient/pat-b"),
    "an absolute address of the server": batch("http://127.0.0.1/fhir/Patient/pat-b"),
    "a Bundle in a Bundle": {**batch(), "entry": [{"resource": batch("Patient/pat-b")}]},
    "a transaction": {**batch("Patient/pat-b"), "type": "transaction"},
}


@pytest.mark.parametrize("bundle", BATCHES.values(), ids=BATCHES)
async def test_leak_09_a_bundle_is_not_let_through(front: Front, bundle: Resource) -> None:
    answer = await nothing_is_sent(front, "/", WHOLE, method="POST", json=bundle)
    assert refused(answer, 403, "interaction_not_supported")


BODIES = {
    "in the body": ("", "subject=Patient/pat-b", NONE),
    "in the body, beside an honest query": ("?subject=Patient/pat-a", "subject=Patient/pat-b", NONE),
    "in the query, beside an honest body": ("?subject=Patient/pat-b", "subject=Patient/pat-a", NONE),
    "of A alone": ("?_count=100", "subject=Patient/pat-a", ALL),
}


@pytest.mark.parametrize(("query", "body", "found"), BODIES.values(), ids=BODIES)
async def test_leak_10_a_search_by_post_counts_query_and_body(
    gateway: Running, query: str, body: str, found: int
) -> None:
    path = f"/Observation/_search{query}"
    answer = await gateway.ask(path, OBSERVATIONS, method="POST", headers=FORM, content=body)
    assert of_a_alone(answer)
    assert len(resources_in(answer)) == found


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
async def test_leak_10_a_method_override_is_refused(front: Front, name: str) -> None:
    answer = await nothing_is_sent(front, "/Observation/a-1", WHOLE, headers={name: "DELETE"})
    assert refused(answer, 400, "method_override_refused")


async def test_leak_10_a_body_that_is_no_form_is_refused(front: Front) -> None:
    headers = {"content-type": "application/json"}
    answer = await nothing_is_sent(
        front, "/Observation/_search", WHOLE, method="POST", headers=headers, content='{"subject": "Patient/pat-b"}'
    )
    assert refused(answer, 415, "media_type_unsupported")


@pytest.mark.parametrize("resource_type", TYPES)
async def test_leak_11_a_server_that_ignores_the_narrowing_of_a_type_shows_a_alone(
    front: Front, resource_type: str
) -> None:
    gateway = front.hostiles[Mode.IGNORES_EVERYTHING]
    answer = await gateway.ask(f"/{resource_type}?_count=50")
    assert leaks(answer) == []
    assert answer.status_code in {200, 403}
    if answer.status_code == 200:
        assert of_a_alone(answer)
        assert (A_MARKER in answer.text, "total" in answer.json()) == (True, False)


def record(resource_id: str, subject: Any, marker: str = "", **elements: Any) -> Resource:
    """An Observation of whoever `subject` says."""
    tag = [{"system": MARKER_SYSTEM, "code": marker}] if marker else []
    return {
        "resourceType": "Observation",
        "id": resource_id,
        "meta": {"tag": tag},
        "status": "final",
        "code": {"text": "x"},
        "subject": subject,
        **elements,
    }


OF_A, OF_B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}


async def test_leak_12_a_parameter_that_the_server_does_not_declare_narrows_nothing_and_counts_nothing(
    tmp_path: Path,
) -> None:
    records = (record("one", OF_A), record("two", OF_B, B_MARKER))
    async with lenient_server(*records, Observation=("code",)) as lenient:
        async with running_gateway(lenient.base_url, tmp_path) as gateway:
            assert (await gateway.ask("/metadata", None)).status_code == 200
            answer = await gateway.ask("/Observation?_total=accurate", OBSERVATIONS)
            assert of_a_alone(answer)
            assert (ids_in(answer), "total" in answer.json()) == ({"Observation/one"}, False)
            counted = await gateway.ask("/Observation?_summary=count", OBSERVATIONS)
            assert refused(counted, 403, "count_not_exact")
        assert not any("patient=" in one or "subject=" in one for one in lenient.asked)


async def test_leak_13_a_conditional_patch_is_not_let_through(front: Front) -> None:
    patch = [{"op": "replace", "path": "/status", "value": "entered-in-error"}]
    for scope in (OBSERVATIONS, "patient/*.cruds"):
        answer = await nothing_is_sent(front, "/Observation?code=x", scope, method="PATCH", json=patch)
        assert refused(answer, 403, "interaction_not_supported")


WRITES = {
    "a create that names A and B": ("POST", "/Observation", record("x", [OF_A, OF_B])),
    "an update that moves B's record to A": ("PUT", "/Observation/pat-b-smoking", record("pat-b-smoking", OF_A)),
    "a patch of the subject": ("PATCH", "/Observation/a-1", [{"op": "replace", "path": "/subject", "value": OF_B}]),
    "a delete": ("DELETE", "/Observation/pat-b-smoking", None),
}


@pytest.mark.parametrize(("method", "path", "body"), WRITES.values(), ids=WRITES)
async def test_leak_14_a_write_is_not_let_through(front: Front, method: str, path: str, body: Any) -> None:
    sent = {} if body is None else {"json": body}
    answer = await nothing_is_sent(front, path, "patient/*.cruds", method=method, **sent)
    assert refused(answer, 403, "interaction_not_supported")


async def moved(upstream: str, resource_id: str, *owners: tuple[Any, str]) -> None:
    """A record with a version for each owner."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        for subject, marker in owners:
            url = f"{upstream}/Observation/{resource_id}"
            (await client.put(url, json=record(resource_id, subject, marker))).raise_for_status()


async def test_leak_15_a_version_is_shown_where_it_and_the_present_one_are_as(front: Front) -> None:
    gateway = front.sekmet
    await moved(front.upstream, "came-to-a", (OF_B, B_MARKER), (OF_A, ""))
    await moved(front.upstream, "went-to-b", (OF_A, ""), (OF_B, B_MARKER))
    assert (await gateway.ask("/Observation/came-to-a/_history/2")).json()["subject"] == OF_A
    history = await gateway.ask("/Observation/came-to-a/_history")
    assert of_a_alone(history)
    assert [one["meta"]["versionId"] for one in resources_in(history)] == ["2"]
    absent = await gateway.ask("/Observation/never-was/_history/1")
    for path in ("came-to-a/_history/1", "went-to-b/_history/1", "went-to-b/_history/2", "went-to-b/_history"):
        answer = await gateway.ask(f"/Observation/{path}")
        assert refused(answer, 404, "not_found")
        assert answer.content == absent.content
    everywhere = await gateway.ask("/Observation/_history?_count=50")
    assert of_a_alone(everywhere)


@pytest.mark.requirement("SC-23")
async def test_leak_16_a_constraint_that_cannot_be_evaluated_grants_nothing(gateway: Running) -> None:
    for scope in ("patient/Observation.rs?unknown=x", "patient/Observation.rs?code:in=urn:x", "patient/*.rs?unknown=x"):
        for path in ("/Observation", "/Observation/pat-a-smoking", "/Observation/_history"):
            answer = await gateway.ask(path, scope)
            assert (answer.status_code, leaks(answer)) == (403, [])
    beside = await gateway.ask("/Observation?_count=100", f"patient/Observation.rs?unknown=x {LABORATORY}")
    assert categories(beside) == {"laboratory"}


def categories(answer: httpx2.Response) -> set[str]:
    """The categories of the Observations found."""
    assert of_a_alone(answer)
    return {one["category"][0]["coding"][0]["code"] for one in resources_in(answer) if "category" in one}


@pytest.mark.requirement("SC-13", "SC-17", "SC-19")
async def test_leak_17_two_constrained_scopes_for_a_type_are_or_ed(gateway: Running) -> None:
    for scope in (f"{LABORATORY} {VITAL_SIGNS}", f"{VITAL_SIGNS} {LABORATORY}"):
        assert categories(await gateway.ask("/Observation?_count=100", scope)) == {"laboratory", "vital-signs"}
        assert (await gateway.ask("/Observation/pat-a-observation-1", scope)).status_code == 200
        assert (await gateway.ask("/Observation/pat-a-observation-6", scope)).status_code == 200
        assert refused(await gateway.ask("/Observation/pat-a-smoking", scope), 404, "not_found")
    narrowed = await gateway.ask("/Observation?_count=100&category=laboratory", f"{LABORATORY} {VITAL_SIGNS}")
    assert categories(narrowed) == {"laboratory"}


@pytest.mark.requirement("SC-15", "SC-16")
async def test_leak_18_units_are_or_ed_in_any_order_and_lend_each_other_nothing(gateway: Running) -> None:
    orders = [f"{RESTRICTED} {LABORATORY}", f"{LABORATORY} {RESTRICTED}"]
    one, other = [await gateway.ask("/Observation?_count=100", scope) for scope in orders]
    assert ids_in(one) == ids_in(other) > {"Observation/pat-a-restricted"}
    assert categories(one) == categories(other) == {"laboratory"}
    for scope in (f"{RESTRICTED} {OBSERVATIONS}", f"{OBSERVATIONS} {RESTRICTED}"):
        assert ids_in(await gateway.ask("/Observation?_count=100", scope)) >= OWN_OBSERVATIONS
    writer = f"{LABORATORY} patient/Observation.c"
    assert categories(await gateway.ask("/Observation?_count=100", writer)) == {"laboratory"}
    included = await gateway.ask("/Observation?_include=Observation:subject", f"{OBSERVATIONS} patient/Patient.c")
    assert of_a_alone(included)
    assert ids_in(included, "include") == set()


ORACLES = [
    ("/Observation?encounter.reason-code={}", OBSERVATIONS, ("x", "y")),
    ("/Observation?patient.name={}", OBSERVATIONS, (B_MARKER.lower(), "nobody")),
    ("/Patient?_has:Condition:patient:code={}", "patient/Patient.rs", ("I10", "nothing")),
    ("/Observation?_filter=subject eq {}", OBSERVATIONS, ("pat-a", "pat-b")),
    ("/Observation?_list={}", OBSERVATIONS, ("pat-b-list", "no-list")),
    ("/Observation?_text={}", OBSERVATIONS, ("secret", "nothing")),
    ("/Observation?_content={}", OBSERVATIONS, ("secret", "nothing")),
    ("/Observation?_query={}", OBSERVATIONS, ("one", "other")),
    ("/Observation?_sort=patient.{}", OBSERVATIONS, ("birthdate", "family")),
]


@pytest.mark.parametrize(("path", "scope", "values"), ORACLES, ids=[path for path, _, _ in ORACLES])
async def test_leak_19_a_criterion_that_looks_out_of_reach_answers_alike_whatever_it_would_find(
    front: Front, path: str, scope: str, values: tuple[str, str]
) -> None:
    one, other = [await nothing_is_sent(front, path.format(value), scope) for value in values]
    assert one.status_code == other.status_code == 403
    assert reason_of(one) == reason_of(other)
    assert reason_of(one) in {"parameter_out_of_reach", "parameter_refused"}


async def test_leak_19_a_count_is_a_count_of_what_the_token_sees_or_is_refused(front: Front) -> None:
    gateway = front.sekmet
    for query in ("_summary=count", "_total=accurate&_count=2", "_count=0"):
        counted = await gateway.ask(f"/Observation?_tag:missing=true&{query}", OBSERVATIONS)
        assert of_a_alone(counted)
    exact = await gateway.ask("/Observation?_summary=count", LABORATORY)
    assert exact.json()["total"] == 6
    unsure = f"{RESTRICTED} {VITAL_SIGNS}"
    assert refused(await gateway.ask("/Observation?_summary=count", unsure), 403, "count_not_exact")
    assert "total" not in (await gateway.ask("/Observation?_total=accurate", unsure)).json()
    mixed = await front.hostiles[Mode.IGNORES_EVERYTHING].ask("/Observation?_summary=count", OBSERVATIONS)
    assert "total" not in mixed.json()


async def test_leak_19_a_page_of_hidden_records_does_not_tell_of_itself(front: Front) -> None:
    """A search by target cannot be narrowed: the first page is another's, the second one ours."""
    found = await front.sekmet.ask("/Provenance?target=Observation/pat-b-smoking&_count=1&_sort=_id")
    assert not leaks(found)
    assert "Provenance/provenance-of-two" in ids_in(found)
    assert link_of(found, "next") is None


async def test_leak_20_included_contained_and_nested_records_of_b_stay_behind(front: Front) -> None:
    path = "/Observation?_include=Observation:subject&_revinclude=Provenance:target"
    for mode in (Mode.INCLUDES_OF_B, Mode.CONTAINED_B, Mode.BUNDLE_IN_BUNDLE, Mode.HIDDEN_IN_BUNDLE):
        answer = await front.hostiles[mode].ask(path)
        assert of_a_alone(answer)
        assert (A_MARKER in answer.text) == (mode is not Mode.CONTAINED_B)
    read = await front.hostiles[Mode.CONTAINED_B].ask("/Observation/a-1")
    assert refused(read, 404, "not_found")


async def test_leak_21_an_export_is_not_let_through_and_a_binary_is_shown_to_its_owner(front: Front) -> None:
    for path in ("/$export", "/Patient/$export", "/Group/group-1/$export"):
        for scope in (WHOLE, "system/*.rs"):
            assert refused(await nothing_is_sent(front, path, scope), 403, "operation_not_allowed")
    gateway = front.sekmet
    for accept in ("application/fhir+json", "*/*"):
        own = await gateway.ask("/Binary/pat-a-binary", headers={"accept": accept})
        assert (own.status_code, leaks(own)) == (200, [])
    # A form that the server does not have: that must not be said of what is out of reach.
    for accept in ("application/fhir+json", "*/*", "text/plain"):
        for hidden in ("pat-b-binary", "never-was"):
            answer = await gateway.ask(f"/Binary/{hidden}", headers={"accept": accept})
            assert refused(answer, 404, "not_found")


PATHS = (
    "//Patient/{id}",
    "/Patient//{id}",
    "/./Patient/{id}",
    "/Observation/../Patient/{id}",
    "/../fhir/Patient/{id}",
    "/%2e%2e/Patient/{id}",
    "/%2E/Patient/{id}",
    "/Patient%2F{id}",
    "/Patient/%70at-a",
    "/Patient;x=y/{id}",
    "/Patient/{id};x=y",
    "/Patient/{id}/",
    "/Patient/{id}%00",
    "/Patient/{id}%20",
    "/Patient/{id}%23x",
    "/Patient\\{id}",
    "/patient/{id}",
    "/PATIENT/{id}",
    "/Patient/{id}?_format=xml",
    "/Patient/{id}?_format=text/html",
    "/Patient/{id}?_format=application/fhir%2Bxml",
    "/Patient/{id}?_format=ttl",
    "/Patient/{id}?_format=json&_format=xml",
    "/Patient/{id}?id=pat-b",
)


@pytest.mark.parametrize("path", PATHS)
async def test_leak_22_a_path_has_one_meaning_or_is_refused(front: Front, path: str) -> None:
    gateway = front.hostiles[Mode.HONEST]
    base = f"/{Mode.HONEST}/fhir"
    front.hostile.forget()
    for patient in ("pat-a", HOSTILE_B):
        answer = await gateway.raw(base + path.format(id=patient), gateway.token(WHOLE))
        assert answer.status_code in {400, 404, 406}
        assert A_MARKER not in answer.text
    assert front.hostile.requests() == []


async def test_leak_22_the_host_of_an_absolute_request_line_means_nothing(front: Front) -> None:
    gateway = front.sekmet
    for patient, status in (("pat-a", 200), ("pat-b", 404)):
        target = f"http://evil.example/sekmet/fhir/Patient/{patient}"
        answer = await gateway.raw(target, gateway.token(WHOLE))
        assert (answer.status_code, leaks(answer, A_STRANGER), "evil" in answer.text) == (status, [], False)


SPOOFED = (
    "Host: evil.example",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: gopher",
    "X-Forwarded-Uri: /fhir/Patient/pat-b",
    "X-Original-URL: /fhir/Patient/pat-b",
    "X-Rewrite-URL: /fhir/Patient/pat-b",
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-Prefix: /evil",
    "Forwarded: host=evil.example;proto=gopher",
)


async def test_leak_23_no_header_of_a_client_changes_an_address_or_opens_anything(front: Front) -> None:
    gateway = front.sekmet
    token = gateway.token(WHOLE)
    for path in ("/Observation?_count=2", "/metadata", "/Patient/pat-a"):
        answer = await gateway.raw(f"/sekmet/fhir{path}", token, *SPOOFED)
        assert (answer.status_code, leaks(answer)) == (200, [])
        assert not re.search("evil|gopher", answer.text)
    agents = ("kube-probe/1.30", "ELB-HealthChecker/2.0", "GoogleHC/1.0")
    for agent in agents:
        answer = await gateway.raw("/sekmet/fhir/Patient/pat-a", None, f"User-Agent: {agent}", *SPOOFED)
        assert refused(answer, 401, "token_missing")


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged(gateway: Running) -> dict[str, tuple[str, str]]:
    """Tokens that must not count, each with the reason."""
    key = development_key(gateway.key_file)
    assert isinstance(key, ECKey)
    good = {"iss": ISSUER, "aud": gateway.base_url, "sub": "x", "client_id": "app", "scope": WHOLE, "patient": "pat-a"}
    claims = {**good, "exp": int(time.time()) + 600}
    other = ECKey.generate_key("P-256", {"kid": key.kid or ""})
    unsigned = f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{encoded(claims)}"
    symmetric = f"{encoded({'alg': 'HS256', 'typ': 'at+jwt', 'kid': key.kid})}.{encoded(claims)}"
    tag = hmac.new(key.as_pem(private=False), symmetric.encode(), hashlib.sha256).digest()
    head, _, signature = mint(key, claims).split(".")
    return {
        "for another audience": (mint(key, {**claims, "aud": "https://other.example"}), "token_audience_wrong"),
        "without a signature": (f"{unsigned}.", "token_algorithm_refused"),
        "signed by the public key as a secret": (
            f"{symmetric}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}",
            "token_algorithm_refused",
        ),
        "of another issuer with the same kid": (
            mint(other, {**claims, "iss": "https://other.example"}),
            "token_issuer_unknown",
        ),
        "signed by another key with the same kid": (mint(other, claims), "token_signature_invalid"),
        "expired": (mint(key, {**claims, "exp": int(time.time()) - 3600}), "token_expired"),
        "with another patient put in": (
            f"{head}.{encoded({**claims, 'patient': 'pat-b'})}.{signature}",
            "token_signature_invalid",
        ),
    }


@pytest.mark.requirement("BS-13")
async def test_leak_24_a_token_that_is_not_good_opens_nothing(gateway: Running) -> None:
    for kind, (token, reason) in forged(gateway).items():
        for path in ("/Patient/pat-a", "/Observation", "/?_page=abc"):
            answer = await gateway.ask(path, None, headers={"authorization": f"Bearer {token}"})
            assert refused(answer, 401, reason), kind


async def test_leak_24_an_open_page_ends_with_the_token(gateway: Running) -> None:
    following = (link_of(await gateway.ask("/Observation?_count=5"), "next") or "").removeprefix(gateway.base_url)
    assert (await gateway.ask(following)).status_code == 200
    expired = await gateway.ask(following, claims={"exp": int(time.time()) - 3600})
    assert refused(expired, 401, "token_expired")
    assert refused(await gateway.ask(following, OBSERVATIONS), 404, "page_unknown")


async def test_leak_25_what_the_gateway_does_not_know_any_more_it_denies(front: Front, tmp_path: Path) -> None:
    """Pages after the key that sealed them is gone; tokens while their issuer's keys cannot be had."""
    following = (link_of(await front.sekmet.ask("/Observation?_count=5"), "next") or "").partition("/?")[2]
    async with running_gateway(front.upstream, tmp_path) as restarted:
        assert refused(await restarted.ask(f"/?{following}"), 404, "page_unknown")
    away = {"issuer": ISSUER, "audiences": ["x"], "jwks_url": f"http://127.0.0.1:{free_port()}/keys"}
    async with running_gateway(front.upstream, tmp_path, issuers=[away]) as blind:
        answer = await blind.ask("/Patient/pat-a", claims={"aud": "x"})
        assert refused(answer, 503, "token_check_unavailable")


async def test_leak_26_a_reference_counts_only_where_it_leads_to_the_patient(tmp_path: Path) -> None:
    evil = "http://evil.example/fhir/Patient/pat-a"
    identified = {"type": "Patient", "identifier": {"system": "urn:x", "value": "pat-a"}}
    inside = {"contained": [{"resourceType": "Patient", "id": "pat-a"}]}
    async with lenient_server() as lenient, running_gateway(lenient.base_url, tmp_path) as gateway:
        lenient.resources = (
            record("relative", OF_A),
            record("versioned", {"reference": "Patient/pat-a/_history/3"}),
            record("at-the-server", {"reference": f"{lenient.base_url}/Patient/pat-a"}),
            record("at-the-gateway", {"reference": f"{gateway.base_url}/Patient/pat-a"}),
            record("elsewhere", {"reference": evil}, B_MARKER),
            record("by-identifier", identified, B_MARKER),
            record("contained", {"reference": "#pat-a"}, B_MARKER, **inside),
            record("by-uuid", {"reference": "urn:uuid:pat-a"}, B_MARKER),
            record("versioned-b", {"reference": "Patient/pat-b/_history/3"}, B_MARKER),
            record("absolute-b", {"reference": f"{gateway.base_url}/Patient/pat-b"}, B_MARKER),
        )
        found = await gateway.ask("/Observation", OBSERVATIONS)
        assert of_a_alone(found)
        own = {"Observation/relative", "Observation/versioned", "Observation/at-the-server"}
        assert ids_in(found) == {*own, "Observation/at-the-gateway"}
        assert lenient.base_url not in found.text
        for one in lenient.resources:
            answer = await gateway.ask(f"/Observation/{one['id']}", OBSERVATIONS)
            assert (answer.status_code == 200, leaks(answer)) == (f"Observation/{one['id']}" in ids_in(found), [])


@pytest.mark.parametrize("form", ["{public}/Patient/{id}", "{upstream}/Patient/{id}", "Patient/{id}/_history/1"])
async def test_leak_26_a_criterion_may_name_the_patient_in_every_form(front: Front, form: str) -> None:
    for patient in ("pat-a", "pat-b"):
        value = form.format(public=front.sekmet.base_url, upstream=front.upstream, id=patient)
        answer = await front.sekmet.ask(f"/Observation?_count=100&subject={value}", OBSERVATIONS)
        assert leaks(answer) == []
        assert answer.status_code in {200, 400}
        if patient == "pat-b" and answer.status_code == 200:
            assert ids_in(answer) == set()


async def test_leak_27_a_condition_proves_nothing_about_what_is_out_of_reach(front: Front) -> None:
    gateway = front.sekmet
    absent = await gateway.ask("/Observation/never-was")
    etags = ("*", 'W/"1"', 'W/"1", W/"2"')
    for etag in etags:
        for headers in ({"if-none-match": etag}, {"if-modified-since": "Thu, 01 Jan 2037 09:00:00 GMT"}):
            answer = await gateway.ask("/Observation/pat-b-smoking", headers=headers)
            assert (answer.status_code, answer.content) == (404, absent.content)
    own = await gateway.ask("/Observation/pat-a-smoking")
    unchanged = await gateway.ask("/Observation/pat-a-smoking", headers={"if-none-match": own.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    liar = front.hostiles[Mode.ALWAYS_304]
    answer = await liar.ask("/Observation/a-1", headers={"if-none-match": "*"})
    assert (answer.status_code in {404, 502}, leaks(answer)) == (True, [])


FAILURES = {
    Mode.OUTCOME_QUOTES_B: (400, "upstream_rejected"),
    Mode.PATIENT_AS_404: (404, "not_found"),
    Mode.PATIENT_AS_500: (502, "upstream_failed"),
    Mode.STACK_TRACE: (502, "upstream_failed"),
    Mode.UNAUTHORIZED: (502, "upstream_refused"),
    Mode.REDIRECT: (502, "upstream_malformed"),
}
# What hangs on the record that was asked for is told as not found (leak_30).
OF_THE_RECORD = {Mode.OUTCOME_QUOTES_B, Mode.UNAUTHORIZED, Mode.REDIRECT}


@pytest.mark.parametrize("mode", FAILURES)
async def test_leak_28_what_a_server_says_of_its_failure_stays_behind(front: Front, mode: Mode) -> None:
    for path in ("/Observation/a-1", "/Observation?code=x", "/Observation/_history"):
        answer = await front.hostiles[mode].ask(path)
        unseen = path == "/Observation/a-1" and mode in OF_THE_RECORD
        assert refused(answer, *((404, "not_found") if unseen else FAILURES[mode]))
        assert leaks(answer, (HOSTILE_B, "evil.example")) == []


async def test_leak_29_what_the_check_needs_is_asked_for_even_where_the_client_wants_less(front: Front) -> None:
    gateway = front.sekmet
    for query in ("_elements=status", "_elements=id,status", "_summary=text", "_summary=true", "_summary=data"):
        found = await gateway.ask(f"/Observation?_count=100&{query}", LABORATORY)
        assert of_a_alone(found)
        assert len(resources_in(found)) == 6
        assert (await gateway.ask(f"/Observation/pat-a-observation-1?{query}", LABORATORY)).status_code == 200
        for hidden in ("pat-a-smoking", "pat-b-observation-1"):
            assert refused(await gateway.ask(f"/Observation/{hidden}?{query}", LABORATORY), 404, "not_found")
        stripped = front.hostiles[Mode.STRIPPED_SUBJECT]
        assert refused(await stripped.ask(f"/Observation/a-1?{query}"), 404, "not_found")
        assert of_a_alone(await stripped.ask(f"/Observation?{query}"))


SAME = (
    ("/{}/pat-b", "/{}/never-was", "Patient"),
    ("/{}/pat-b-smoking", "/{}/never-was", "Observation"),
    ("/{}/pat-b-smoking/_history", "/{}/never-was/_history", "Observation"),
    ("/{}/pat-b-smoking/_history/1", "/{}/never-was/_history/1", "Observation"),
    ("/{}/pat-b-smoking/_history/77", "/{}/never-was/_history/1", "Observation"),
    ("/{}/pat-b-smoking?_elements=status", "/{}/never-was", "Observation"),
    ("/{}/pat-b-binary", "/{}/never-was", "Binary"),
    ("/{}/pat-b-device", "/{}/never-was", "Device"),
)


@pytest.mark.parametrize(("hidden", "absent", "resource_type"), SAME)
async def test_leak_30_refused_and_absent_are_the_same_bytes(
    gateway: Running, hidden: str, absent: str, resource_type: str
) -> None:
    for method in ("GET", "HEAD"):
        one, other = await asyncio.gather(
            gateway.ask(hidden.format(resource_type), method=method),
            gateway.ask(absent.format(resource_type), method=method),
        )
        assert (one.status_code, one.content, _lasting(one)) == (404, other.content, _lasting(other))


def _lasting(answer: httpx2.Response) -> dict[str, str]:
    """The headers that are not of this one answer."""
    passing = {"x-request-id", "x-decision-id", "date"}
    return {name: value for name, value in answer.headers.items() if name not in passing}


async def test_leak_30_refused_and_absent_cost_the_server_the_same(tmp_path: Path) -> None:
    of_b = record("of-b", OF_B, B_MARKER)
    async with lenient_server(of_b) as lenient, running_gateway(lenient.base_url, tmp_path) as gateway:
        assert (await gateway.ask("/metadata", None)).status_code == 200
        for path in ("/Observation/{}", "/Observation/{}/_history", "/Observation/{}/_history/1"):
            costs = []
            for name in ("of-b", "never-was"):
                lenient.asked.clear()
                assert refused(await gateway.ask(path.format(name)), 404, "not_found")
                costs.append([one.replace(name, "id") for one in lenient.asked])
            assert costs[0] == costs[1]


async def test_every_line_of_the_corpus_has_a_test() -> None:
    names = (re.match(r"test_leak_(\d\d)_", name) for name in globals())
    assert {int(found[1]) for found in names if found} == LINES
