"""The leak corpus, searches: includes, chains, criteria, forms, counts and pages.

The number in a test's name is the number of the line in the corpus. Where a correct server would hide the fault, the
hostile server or a lenient one is behind the gateway.
"""

from pathlib import Path

import httpx2
import pytest

from tests.proxy.leaked_marks import (
    find_leaks,
    ids_in,
    is_refused,
    link_of,
    refusal_reason,
    resources_in,
    shows_only_patient_a,
)
from tests.proxy.leaks.leak_gateways import (
    LABORATORY,
    OBSERVATIONS,
    OF_A,
    OF_B,
    OWN_OBSERVATIONS,
    RESTRICTED,
    VITAL_SIGNS,
    WHOLE,
    LeakGateways,
    make_observation,
    request_without_upstream,
)
from tests.proxy.lenient_server import lenient_server
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.servers.hostile import A_MARKER, B_MARKER, Mode
from tests.servers.hostile.documents import TYPES

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]

SMOKING = "http://loinc.org|72166-2"
ALL, NONE = len(OWN_OBSERVATIONS), 0

FORM = {"content-type": "application/x-www-form-urlencoded"}


def omission_texts(response: httpx2.Response) -> str:
    """The texts of the outcome entry: what was omitted from the request."""
    return " ".join(outcome["issue"][0]["details"]["text"] for outcome in resources_in(response, "outcome"))


@pytest.mark.requirement("BS-11")
async def test_leak_01_a_reverse_include_of_a_type_out_of_scope_is_left_out_and_said_so(gateways: LeakGateways) -> None:
    path = "/Patient?_id=pat-a&_revinclude=Observation:subject"
    response = await gateways.sekmet.request(path, "patient/Patient.rs")
    assert shows_only_patient_a(response)
    assert ids_in(response) == {"Patient/pat-a"}
    assert "_revinclude=Observation:subject" in omission_texts(response)
    for mode in (Mode.INCLUDES_OF_B, Mode.IGNORES_EVERYTHING):
        response = await gateways.by_mode[mode].request(path, "patient/Patient.rs")
        assert (ids_in(response), find_leaks(response)) == ({"Patient/pat-a"}, [])


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
    gateways: LeakGateways, includes: str, scope: str
) -> None:
    for gateway in (gateways.sekmet, gateways.by_mode[Mode.INCLUDES_OF_B], gateways.by_mode[Mode.IGNORES_EVERYTHING]):
        response = await gateway.request(f"/Observation?subject=Patient/pat-a&_count=100&{includes}", scope)
        assert shows_only_patient_a(response)
        assert ids_in(response)
        if scope == OBSERVATIONS:
            assert {name.partition("/")[0] for name in ids_in(response)} == {"Observation"}


async def test_leak_03_has_looks_only_where_the_token_may_search(gateway: RunningGateway) -> None:
    path = f"/Patient?_has:Observation:patient:code={SMOKING}"
    assert is_refused(await gateway.request(path, "patient/Patient.rs"), 403, "parameter_out_of_reach")
    constrained = f"patient/Patient.rs {LABORATORY}"
    assert is_refused(await gateway.request(path, constrained), 403, "parameter_out_of_reach")
    both = await gateway.request(path, f"patient/Patient.rs {OBSERVATIONS}")
    assert shows_only_patient_a(both)
    assert ids_in(both) == {"Patient/pat-a"}
    aside = f"/Observation?subject=Patient/pat-a&_has:Observation:patient:code={SMOKING}"
    assert is_refused(await gateway.request(aside, OBSERVATIONS), 400, "parameter_unknown")


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
async def test_leak_04_no_criterion_of_the_client_cancels_our_own(
    gateway: RunningGateway, criteria: str, found: int
) -> None:
    response = await gateway.request(f"/Observation?_count=100&{criteria}", OBSERVATIONS)
    assert shows_only_patient_a(response)
    assert (len(resources_in(response)), response.json()["total"]) == (found, found)


@pytest.mark.parametrize("chain", ["patient.identifier", "subject:Patient.identifier", "patient.name"])
async def test_leak_04_a_chain_into_the_patient_needs_a_scope_for_it(gateway: RunningGateway, chain: str) -> None:
    response = await gateway.request(f"/Observation?{chain}=mrn-pat-b", OBSERVATIONS)
    assert is_refused(response, 403, "parameter_out_of_reach")
    assert shows_only_patient_a(
        await gateway.request(f"/Observation?{chain}=mrn-pat-b", f"{OBSERVATIONS} patient/Patient.rs")
    )


async def test_leak_08_a_search_of_the_whole_system_finds_what_the_scopes_reach(gateways: LeakGateways) -> None:
    for path in ("/?_type=Observation", "?_type=Observation", "/?_type=Observation,Condition", "/"):
        response = await gateways.by_mode[Mode.IGNORES_EVERYTHING].request(path, OBSERVATIONS)
        assert shows_only_patient_a(response)
        assert {name.partition("/")[0] for name in ids_in(response)} <= {"Observation"}
        assert is_refused(await gateways.sekmet.request(path, None), 401, "token_missing")
    observations = await gateways.by_mode[Mode.IGNORES_EVERYTHING].request("/?_type=Observation", OBSERVATIONS)
    assert A_MARKER in observations.text
    assert is_refused(await gateways.sekmet.request("/?_type=Condition", OBSERVATIONS), 403, "scope_insufficient")
    # sekmet has no search over several types, so its refusal is told as ours.
    assert is_refused(await gateways.sekmet.request("/?_type=Observation", OBSERVATIONS), 400, "upstream_rejected")


BODIES = {
    "in the body": ("", "subject=Patient/pat-b", NONE),
    "in the body, beside an honest query": ("?subject=Patient/pat-a", "subject=Patient/pat-b", NONE),
    "in the query, beside an honest body": ("?subject=Patient/pat-b", "subject=Patient/pat-a", NONE),
    "of A alone": ("?_count=100", "subject=Patient/pat-a", ALL),
}


@pytest.mark.parametrize(("query", "body", "found"), BODIES.values(), ids=BODIES)
async def test_leak_10_a_search_by_post_counts_query_and_body(
    gateway: RunningGateway, query: str, body: str, found: int
) -> None:
    path = f"/Observation/_search{query}"
    response = await gateway.request(path, OBSERVATIONS, method="POST", headers=FORM, content=body)
    assert shows_only_patient_a(response)
    assert len(resources_in(response)) == found


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
async def test_leak_10_a_method_override_is_refused(gateways: LeakGateways, name: str) -> None:
    response = await request_without_upstream(gateways, "/Observation/a-1", WHOLE, headers={name: "DELETE"})
    assert is_refused(response, 400, "method_override_refused")


async def test_leak_10_a_body_that_is_no_form_is_refused(gateways: LeakGateways) -> None:
    headers = {"content-type": "application/json"}
    response = await request_without_upstream(
        gateways, "/Observation/_search", WHOLE, method="POST", headers=headers, content='{"subject": "Patient/pat-b"}'
    )
    assert is_refused(response, 415, "media_type_unsupported")


@pytest.mark.parametrize("resource_type", TYPES)
async def test_leak_11_a_server_that_ignores_the_narrowing_of_a_type_shows_a_alone(
    gateways: LeakGateways, resource_type: str
) -> None:
    gateway = gateways.by_mode[Mode.IGNORES_EVERYTHING]
    response = await gateway.request(f"/{resource_type}?_count=50")
    assert find_leaks(response) == []
    assert response.status_code in {200, 403}
    if response.status_code == 200:
        assert shows_only_patient_a(response)
        assert (A_MARKER in response.text, "total" in response.json()) == (True, False)


async def test_leak_12_a_parameter_that_the_server_does_not_declare_narrows_nothing_and_counts_nothing(
    tmp_path: Path,
) -> None:
    records = (make_observation("one", OF_A), make_observation("two", OF_B, B_MARKER))
    async with lenient_server(*records, Observation=("code",)) as lenient:
        async with running_gateway(lenient.base_url, tmp_path) as gateway:
            assert (await gateway.request("/metadata", None)).status_code == 200
            response = await gateway.request("/Observation?_total=accurate", OBSERVATIONS)
            assert shows_only_patient_a(response)
            assert (ids_in(response), "total" in response.json()) == ({"Observation/one"}, False)
            counted = await gateway.request("/Observation?_summary=count", OBSERVATIONS)
            assert is_refused(counted, 403, "count_not_exact")
        assert not any("patient=" in request or "subject=" in request for request in lenient.requests)


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
    gateways: LeakGateways, path: str, scope: str, values: tuple[str, str]
) -> None:
    first, other = [await request_without_upstream(gateways, path.format(value), scope) for value in values]
    assert first.status_code == other.status_code == 403
    assert refusal_reason(first) == refusal_reason(other)
    assert refusal_reason(first) in {"parameter_out_of_reach", "parameter_refused"}


async def test_leak_19_a_count_is_a_count_of_what_the_token_sees_or_is_refused(gateways: LeakGateways) -> None:
    gateway = gateways.sekmet
    for query in ("_summary=count", "_total=accurate&_count=2", "_count=0"):
        counted = await gateway.request(f"/Observation?_tag:missing=true&{query}", OBSERVATIONS)
        assert shows_only_patient_a(counted)
    exact = await gateway.request("/Observation?_summary=count", LABORATORY)
    assert exact.json()["total"] == 6
    unsure = f"{RESTRICTED} {VITAL_SIGNS}"
    assert is_refused(await gateway.request("/Observation?_summary=count", unsure), 403, "count_not_exact")
    assert "total" not in (await gateway.request("/Observation?_total=accurate", unsure)).json()
    mixed = await gateways.by_mode[Mode.IGNORES_EVERYTHING].request("/Observation?_summary=count", OBSERVATIONS)
    assert "total" not in mixed.json()


async def test_leak_19_a_page_of_hidden_records_does_not_tell_of_itself(gateways: LeakGateways) -> None:
    """A search by target cannot be narrowed: the first page is B's, the second one A's."""
    found = await gateways.sekmet.request("/Provenance?target=Observation/pat-b-smoking&_count=1&_sort=_id")
    assert not find_leaks(found)
    assert "Provenance/provenance-of-two" in ids_in(found)
    assert link_of(found, "next") is None


async def test_leak_20_included_contained_and_nested_records_of_b_stay_behind(gateways: LeakGateways) -> None:
    path = "/Observation?_include=Observation:subject&_revinclude=Provenance:target"
    for mode in (Mode.INCLUDES_OF_B, Mode.CONTAINED_B, Mode.BUNDLE_IN_BUNDLE, Mode.HIDDEN_IN_BUNDLE):
        response = await gateways.by_mode[mode].request(path)
        assert shows_only_patient_a(response)
        assert (A_MARKER in response.text) == (mode is not Mode.CONTAINED_B)
    read = await gateways.by_mode[Mode.CONTAINED_B].request("/Observation/a-1")
    assert is_refused(read, 404, "not_found")
