"""Searches: everything that matches is found over all pages, and nothing else."""

import pytest

from gateway.scopes.resource_types import RESOURCE_TYPES
from tests.proxy.leaked_marks import ids_in, link_of, refusal_reason, resources_in
from tests.real_servers.gateway_requests import A_APP, FORM, Gateways, TokenGrant
from tests.real_servers.searches import SEARCHES, Search
from tests.real_servers.servers_under_test import Feature
from tests.real_servers.stored_resources import about, in_chart, nothing, of_type

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("search", SEARCHES, ids=[search.sentence for search in SEARCHES])
async def test_it_finds(gateways: Gateways, search: Search) -> None:
    options = {} if search.form is None else {"method": "POST", "content": search.form, "headers": FORM}
    responses = await gateways.follow_pages(search.path, search.grant, **options)
    assert gateways.narrowing_misses(search.grant, responses) == [], "the alarm rang"
    matches, includes = (gateways.found_names(responses, mode) for mode in ("match", "include"))
    if gateways.upstream.lacks.keys().isdisjoint(search.needs):
        assert [response.status_code for response in responses] == [200] * len(responses)
        assert matches == gateways.expected_names(search.matches)
        assert includes == gateways.expected_names(search.includes)
        assert responses[0].json().get("total", len(matches)) == len(matches)
        assert any(resources_in(response, "outcome") for response in responses) == search.left_out
    else:
        assert responses[0].status_code in {200, 400}
        assert matches <= gateways.expected_names(search.matches)
        assert includes <= gateways.expected_names(search.includes)


@pytest.mark.parametrize(
    "grant",
    [A_APP, TokenGrant("user/*.rs", {"fhirUser": "Practitioner/practitioner-1", "patient": None}, reach="practice")],
    ids=["a patient's app", "a practitioner held to a practice"],
)
async def test_every_type_is_refused_or_searched_by_what_the_server_knows(
    gateways: Gateways, grant: TokenGrant
) -> None:
    await gateways.request("/metadata", grant)
    for resource_type in sorted(RESOURCE_TYPES):
        response = await gateways.request(f"/{resource_type}", grant)
        assert gateways.narrowing_misses(grant, [response]) == [], resource_type
        if response.status_code == 403:
            assert refusal_reason(response) in {"type_out_of_reach", "search_by_id_only"}, resource_type
        else:
            assert response.status_code == 200, resource_type


@pytest.mark.parametrize("count", [5, 200])
async def test_a_servers_own_compartments_hold_what_the_patient_takes_part_in(gateways: Gateways, count: int) -> None:
    """The paging links of sekmet omit the compartment, so that later pages have records of other patients."""
    if Feature.COMPARTMENT in gateways.upstream.lacks:
        pytest.skip(f"{gateways.upstream.name}: {gateways.upstream.lacks[Feature.COMPARTMENT]}")
    grant = TokenGrant(reach="compartment")
    responses = await gateways.follow_pages(f"/Observation?_count={count}", grant)
    assert gateways.found_names(responses) == gateways.expected_names(of_type("Observation", in_chart("pat-a")))
    other = await gateways.follow_pages(f"/Patient/pat-b/Observation?_count={count}", grant)
    assert gateways.found_names(other) == {"Observation/pat-b-by-pat-a"}


async def test_our_own_address_is_understood(gateways: Gateways) -> None:
    """A client may send a reference as an absolute URL under the gateway's base (R4 Search 3.1.1.4.12)."""
    base_url = gateways.by_reach["full"].base_url
    for patient, condition in (("pat-a", about("pat-a")), ("pat-b", nothing)):
        responses = await gateways.follow_pages(f"/Observation?patient={base_url}/Patient/{patient}")
        assert [response.status_code for response in responses] == [200] * len(responses)
        assert gateways.found_names(responses) == gateways.expected_names(of_type("Observation", condition))


async def test_a_search_may_be_asked_for_its_head(gateways: Gateways) -> None:
    head = await gateways.request("/Observation?patient=Patient/pat-a", method="HEAD")
    assert (head.status_code, head.content) == (200, b"")


async def test_a_page_that_has_run_its_course_stays_the_same(gateways: Gateways) -> None:
    """A page is requested again each time, so that a link shows the same twice."""
    if Feature.PAGES in gateways.upstream.lacks:
        pytest.skip("This server answers one page.")
    following = link_of(await gateways.request("/Observation?_count=5&_include=Observation:performer"), "next")
    assert following is not None
    once, twice = await gateways.request(following), await gateways.request(following)
    assert ids_in(once) == ids_in(twice) != set()
