"""The leak corpus, addresses: paging links, paths, forwarding headers and references.

The number in a test's name is the number of the line in the corpus. Where a correct server would hide the fault, the
hostile server or a lenient one is behind the gateway.
"""

import re
from pathlib import Path

import pytest

from gateway.commands.selftesting.attempts import read_attempts
from gateway.commands.selftesting.checks.header_checks import SPOOFED_HEADERS
from tests.proxy.leaked_marks import (
    PATIENT_B_MARKS,
    find_leaks,
    ids_in,
    is_refused,
    link_of,
    shows_only_patient_a,
)
from tests.proxy.leaks.leak_gateways import (
    OBSERVATIONS,
    OF_A,
    WHOLE,
    LeakGateways,
    make_observation,
    request_without_upstream,
)
from tests.proxy.lenient_server import lenient_server
from tests.proxy.running_gateway import ISSUER, running_gateway
from tests.servers.hostile import A_MARKER, B_MARKER, HOSTILE_B, Mode
from tests.servers.ports import free_port

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]


async def test_leak_07_no_paging_link_but_our_own_opens_and_that_for_its_own_grant_alone(
    gateways: LeakGateways,
) -> None:
    for query in ("_getpages=a1b2", "_getpages=a1b2&_getpagesoffset=10", "page=2", "ct=a1b2"):
        assert is_refused(await request_without_upstream(gateways, f"/?{query}", WHOLE), 400, "parameter_unknown")
        assert is_refused(await gateways.sekmet.request(f"/?{query}", None), 401, "token_missing")
    of_b = await gateways.sekmet.request("/Observation?_count=5", claims={"patient": "pat-b"})
    following = (link_of(of_b, "next") or "").removeprefix(gateways.sekmet.base_url)
    assert of_b.status_code == 200
    assert (await gateways.sekmet.request(following, claims={"patient": "pat-b"})).status_code == 200
    assert is_refused(await gateways.sekmet.request(following), 404, "page_unknown")
    assert is_refused(await gateways.sekmet.request(following, None), 401, "token_missing")


async def test_leak_07_the_pages_behind_a_link_are_judged_anew(gateways: LeakGateways) -> None:
    gateway = gateways.by_mode[Mode.PAGES_OF_B]
    first = await gateway.request("/Observation")
    second = await gateway.request((link_of(first, "next") or "").removeprefix(gateway.base_url))
    assert shows_only_patient_a(first)
    assert shows_only_patient_a(second)
    assert (A_MARKER in first.text, ids_in(second)) == (True, set())


# Those of the corpus, with the patient's id left open; the other one has an encoded letter.
PATHS = [
    request.target.replace("{b}", "{id}").replace("{encoded_b}", "%70at-a")
    for attempt in read_attempts()
    if attempt.id == "leak_22"
    for request in attempt.requests
]


@pytest.mark.parametrize("path", PATHS)
async def test_leak_22_a_path_has_one_meaning_or_is_refused(gateways: LeakGateways, path: str) -> None:
    gateway = gateways.by_mode[Mode.HONEST]
    base = f"/{Mode.HONEST}/fhir"
    gateways.hostile.clear_requests()
    for patient in ("pat-a", HOSTILE_B):
        response = await gateway.send_raw(base + path.format(id=patient, a="pat-a"), gateway.token(WHOLE))
        assert response.status_code in {400, 404, 406}
        assert A_MARKER not in response.text
    assert gateways.hostile.requests() == []


async def test_leak_22_the_host_of_an_absolute_request_line_means_nothing(gateways: LeakGateways) -> None:
    gateway = gateways.sekmet
    for patient, status in (("pat-a", 200), ("pat-b", 404)):
        target = f"http://evil.example/sekmet/fhir/Patient/{patient}"
        response = await gateway.send_raw(target, gateway.token(WHOLE))
        assert (response.status_code, find_leaks(response, PATIENT_B_MARKS), "evil" in response.text) == (
            status,
            [],
            False,
        )


SPOOFED = ("Host: evil.example", *(f"{name}: {value}" for name, value in SPOOFED_HEADERS.items()))


async def test_leak_23_no_header_of_a_client_changes_an_address_or_opens_anything(gateways: LeakGateways) -> None:
    gateway = gateways.sekmet
    token = gateway.token(WHOLE)
    for path in ("/Observation?_count=2", "/metadata", "/Patient/pat-a"):
        response = await gateway.send_raw(f"/sekmet/fhir{path}", token, *SPOOFED)
        assert (response.status_code, find_leaks(response)) == (200, [])
        assert not re.search("evil|gopher", response.text)
    agents = ("kube-probe/1.30", "ELB-HealthChecker/2.0", "GoogleHC/1.0")
    for agent in agents:
        response = await gateway.send_raw("/sekmet/fhir/Patient/pat-a", None, f"User-Agent: {agent}", *SPOOFED)
        assert is_refused(response, 401, "token_missing")


async def test_leak_25_what_the_gateway_does_not_know_any_more_it_denies(
    gateways: LeakGateways, tmp_path: Path
) -> None:
    """Paging links after their key is lost; tokens while their issuer's keys are unavailable."""
    following = (link_of(await gateways.sekmet.request("/Observation?_count=5"), "next") or "").partition("/?")[2]
    async with running_gateway(gateways.upstream, tmp_path) as restarted:
        assert is_refused(await restarted.request(f"/?{following}"), 404, "page_unknown")
    away = {"issuer": ISSUER, "audiences": ["x"], "jwks_url": f"http://127.0.0.1:{free_port()}/keys"}
    async with running_gateway(gateways.upstream, tmp_path, issuers=[away]) as blind:
        response = await blind.request("/Patient/pat-a", claims={"aud": "x"})
        assert is_refused(response, 503, "token_check_unavailable")


async def test_leak_26_a_reference_counts_only_where_it_leads_to_the_patient(tmp_path: Path) -> None:
    evil = "http://evil.example/fhir/Patient/pat-a"
    identified = {"type": "Patient", "identifier": {"system": "urn:x", "value": "pat-a"}}
    inside = {"contained": [{"resourceType": "Patient", "id": "pat-a"}]}
    async with lenient_server() as lenient, running_gateway(lenient.base_url, tmp_path) as gateway:
        lenient.resources = (
            make_observation("relative", OF_A),
            make_observation("versioned", {"reference": "Patient/pat-a/_history/3"}),
            make_observation("at-the-server", {"reference": f"{lenient.base_url}/Patient/pat-a"}),
            make_observation("at-the-gateway", {"reference": f"{gateway.base_url}/Patient/pat-a"}),
            make_observation("elsewhere", {"reference": evil}, B_MARKER),
            make_observation("by-identifier", identified, B_MARKER),
            make_observation("contained", {"reference": "#pat-a"}, B_MARKER, **inside),
            make_observation("by-uuid", {"reference": "urn:uuid:pat-a"}, B_MARKER),
            make_observation("versioned-b", {"reference": "Patient/pat-b/_history/3"}, B_MARKER),
            make_observation("absolute-b", {"reference": f"{gateway.base_url}/Patient/pat-b"}, B_MARKER),
        )
        found = await gateway.request("/Observation", OBSERVATIONS)
        assert shows_only_patient_a(found)
        own = {"Observation/relative", "Observation/versioned", "Observation/at-the-server"}
        assert ids_in(found) == {*own, "Observation/at-the-gateway"}
        assert lenient.base_url not in found.text
        for resource in lenient.resources:
            response = await gateway.request(f"/Observation/{resource['id']}", OBSERVATIONS)
            assert (response.status_code == 200, find_leaks(response)) == (
                f"Observation/{resource['id']}" in ids_in(found),
                [],
            )


@pytest.mark.parametrize("form", ["{public}/Patient/{id}", "{upstream}/Patient/{id}", "Patient/{id}/_history/1"])
async def test_leak_26_a_criterion_may_name_the_patient_in_every_form(gateways: LeakGateways, form: str) -> None:
    for patient in ("pat-a", "pat-b"):
        value = form.format(public=gateways.sekmet.base_url, upstream=gateways.upstream, id=patient)
        response = await gateways.sekmet.request(f"/Observation?_count=100&subject={value}", OBSERVATIONS)
        assert find_leaks(response) == []
        assert response.status_code in {200, 400}
        if patient == "pat-b" and response.status_code == 200:
            assert ids_in(response) == set()
