"""HAPI's quirks in searches: what HAPI does otherwise than other servers, and that none of it reaches A's app.

Each test first sends its request to HAPI itself, so that a quirk that a later version mends is noticed. It runs in
front of HAPI alone (see `conftest.py`).
"""

import httpx2
import pytest

from tests.proxy.leaked_marks import ids_in, link_of
from tests.real_servers.gateway_requests import A_APP, Gateways, TokenGrant
from tests.real_servers.hapi_quirks import A_OBSERVATIONS, request_hapi, request_refused_unsent, shows_b
from tests.real_servers.servers_under_test import HAPI_STRICT
from tests.real_servers.stored_resources import observation

pytestmark = pytest.mark.asyncio(loop_scope="module")


B = TokenGrant(claims={"patient": "pat-b"}, marks=())
SYSTEM = TokenGrant("system/*.rs", {"patient": None}, marks=())
EMPTY = ("patient=", "patient=%20", "subject=", "patient=,", "_id=", "code=", "date=")


async def test_b1_a_paging_handle_is_for_whoever_holds_it(gateways: Gateways) -> None:
    own = await gateways.request("/Observation?_count=3", B)
    sealed = link_of(own, "next")
    assert sealed is not None
    assert (await gateways.request(sealed, B)).status_code == 200
    assert (await gateways.request(sealed)).status_code == 404

    hapi_response = await request_hapi(gateways, "/Observation?patient=Patient/pat-b&_count=3")
    handle = httpx2.URL(link_of(hapi_response, "next") or "").query.decode()
    assert shows_b(await request_hapi(gateways, f"?{handle}")), "the quirk is gone"
    for path in ("", "/", "/Observation"):
        assert await request_refused_unsent(gateways, f"{path}?{handle}") == "parameter_unknown"
    assert await request_refused_unsent(gateways, f"/?_page=x&{handle}") == "parameter_unknown"


async def test_b1_the_content_of_a_page_is_as_it_is_now(gateways: Gateways) -> None:
    """HAPI keeps the list of a search, but reads the current resources, one of which belongs to B by then."""
    async with gateways.delete_afterwards("Observation/pat-a-observation-3x"):
        await gateways.upstream_put(observation("pat-a", "pat-a-observation-3x"))
        first = await gateways.request("/Observation?_sort=_id&_count=5")
        hapi_response = await request_hapi(gateways, "/Observation?patient=Patient/pat-a&_sort=_id&_count=50")
        assert ids_in(hapi_response) == gateways.expected_names(A_OBSERVATIONS) | {"Observation/pat-a-observation-3x"}
        hapi_response = await request_hapi(gateways, "/Observation?patient=Patient/pat-a&_sort=_id&_count=5")
        await gateways.upstream_put(observation("pat-b", "pat-a-observation-3x"))

        is_b_shown = False
        while (following := link_of(hapi_response, "next")) is not None:
            hapi_response = await gateways.by_reach["full"].client.get(following)
            is_b_shown = is_b_shown or shows_b(hapi_response)
        assert is_b_shown, "the quirk is gone"

        pages = [first, *await gateways.follow_pages(link_of(first, "next") or "")]
        assert gateways.found_names(pages) == gateways.expected_names(A_OBSERVATIONS)
        assert gateways.narrowing_misses(A_APP, pages) == [{"Observation": 1}], "the alarm did not ring"
        assert link_of(pages[-1], "next") is None


@pytest.mark.parametrize("query", EMPTY)
async def test_b2_what_has_no_value_is_dropped(gateways: Gateways, query: str) -> None:
    assert shows_b(await request_hapi(gateways, f"/Observation?{query}&_count=1000")), "the quirk is gone"
    assert await request_refused_unsent(gateways, f"/Observation?{query}") in {"parameter_empty", "parameter_invalid"}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/Observation?patient=,Patient/pat-a", "parameter_empty"),
        ("/Observation?patient=Patient/pat-a,", "parameter_empty"),
        ("/Observation?patient:=pat-a", "modifier_unknown"),
        ("/Observation?_bogus=1", "parameter_unknown"),
        ("/Observation?_type=Observation", "parameter_unknown"),
        ("/Observation?_since=2026-01-01T00:00:00Z", "parameter_unknown"),
        ("/Observation?_resource=x", "parameter_unknown"),
        ("/Patient?name:not=x", "modifier_unknown"),
        ("/Observation?_id:bogus=pat-b-smoking", "modifier_unknown"),
        ("/Patient?_revinclude:bogus=Observation:subject", "modifier_unknown"),
        ("/Observation?PATIENT=pat-a", "parameter_unknown"),
        ("/Observation/pat-a-smoking?_bogus=1", "parameter_unknown"),
        ("//Observation", "path_malformed"),
        ("/Observation/", "path_malformed"),
        ("/%4fbservation;x=y", "path_malformed"),
    ],
)
async def test_b2_what_is_not_understood_is_dropped(gateways: Gateways, path: str, reason: str) -> None:
    assert await request_refused_unsent(gateways, path) in {reason, "parameter_invalid"}


async def test_b2_a_name_may_be_encoded(gateways: Gateways) -> None:
    assert (await gateways.request("/Observation?%70atient=Patient/pat-b")).json().get("entry", []) == []


@pytest.mark.parametrize(
    ("media_type", "body"), [("application/json", '{"patient":"pat-a"}'), ("text/plain", "patient=pat-a")]
)
async def test_b3_a_search_reads_no_other_body_than_a_form(gateways: Gateways, media_type: str, body: str) -> None:
    options = {"method": "POST", "headers": {"content-type": media_type}, "content": body}
    assert shows_b(await request_hapi(gateways, "/Observation/_search?_count=1000", **options)), "the quirk is gone"
    assert await request_refused_unsent(gateways, "/Observation/_search", **options) == "media_type_unsupported"


async def test_b4_results_are_kept_for_everyone(gateways: Gateways) -> None:
    """A cached result has a resource that is now B's, and lacks a new one. The gateway does not use HAPI's cache.

    No other test asks in this order, so that the result is not one that was kept before.
    """
    async with gateways.delete_afterwards("Observation/a-going", "Observation/a-coming"):
        query = "/Observation?patient=Patient%2Fpat-a&_count=50&_sort=-_lastUpdated"
        await gateways.upstream_put(observation("pat-a", "a-going"))
        await request_hapi(gateways, query)
        await gateways.upstream_put(observation("pat-b", "a-going"))
        await gateways.upstream_put(observation("pat-a", "a-coming"))
        cached = await request_hapi(gateways, query)
        if gateways.upstream is HAPI_STRICT:
            assert "HIT" in cached.headers.get("x-cache", ""), "the quirk is gone"
            assert shows_b(cached)
        responses = await gateways.follow_pages("/Observation?_count=50")
        assert gateways.found_names(responses) == gateways.expected_names(A_OBSERVATIONS) | {"Observation/a-coming"}


async def test_b4_a_kept_result_may_be_poisoned(gateways: Gateways) -> None:
    """HAPI shortens an absolute reference in the key of the cache, but not in the search itself."""
    await request_hapi(gateways, "/Observation?patient=http://evil.example/fhir/Patient/pat-a&_count=49")
    cached = await request_hapi(gateways, "/Observation?patient=Patient/pat-a&_count=49")
    if gateways.upstream is HAPI_STRICT:
        assert "entry" not in cached.json(), "the quirk is gone"
    await gateways.request("/Observation?patient=http://evil.example/fhir/Patient/pat-a", SYSTEM)
    assert gateways.found_names(await gateways.follow_pages("/Observation?_count=49")) == gateways.expected_names(
        A_OBSERVATIONS
    )
    poisoned = await gateways.follow_pages("/Observation?patient=http://evil.example/fhir/Patient/pat-b")
    assert gateways.found_names(poisoned) == set()


async def test_b13_there_is_a_second_query_language(gateways: Gateways) -> None:
    query = "_filter=patient%20eq%20pat-b&_count=50"
    assert shows_b(await request_hapi(gateways, f"/Observation?{query}")), "the quirk is gone"
    assert await request_refused_unsent(gateways, f"/Observation?{query}") == "parameter_refused"


@pytest.mark.parametrize(
    "query",
    [
        "_revinclude=*",
        "_include=*",
        "_include:iterate=*&_revinclude:iterate=*",
        "_revinclude=*&_include:iterate=*&_revinclude=List:item&_revinclude=Group:member",
        "_revinclude=Appointment:actor&_include:iterate=Appointment:actor",
        "_revinclude=Group:member&_include:iterate=Group:member",
    ],
)
async def test_b14_includes_bring_what_they_like(gateways: Gateways, query: str) -> None:
    responses = await gateways.follow_pages(f"/Patient?_id=pat-a&{query}")
    assert gateways.found_names(responses, "match") == {"Patient/pat-a"}
    patients = {name for name in gateways.found_names(responses, "include") if name.startswith("Patient/")}
    assert patients == set()


async def test_b14_an_include_of_everybody_is_really_brought(gateways: Gateways) -> None:
    hapi_response = await request_hapi(
        gateways, "/Patient?_id=pat-a&_revinclude=Group:member&_include:iterate=Group:member"
    )
    assert shows_b(hapi_response), "the quirk is gone"


@pytest.mark.parametrize("count", [1, 7, 50, 51, 1000, 999999999])
async def test_b15_a_page_is_as_long_as_the_server_likes(gateways: Gateways, count: int) -> None:
    assert gateways.found_names(await gateways.follow_pages(f"/Observation?_count={count}")) == gateways.expected_names(
        A_OBSERVATIONS
    )


@pytest.mark.parametrize("query", ["_count=-1", "_count=x", "_count=1e3", "_offset=1", "_offset=-1"])
async def test_b15_pages_by_number_are_refused(gateways: Gateways, query: str) -> None:
    assert await request_refused_unsent(gateways, f"/Observation?{query}") in {"parameter_invalid", "parameter_unknown"}


async def test_the_compartment_is_searched_by_a_parameter(gateways: Gateways) -> None:
    assert (await request_hapi(gateways, "/Patient/pat-a/Observation")).status_code == 400, (
        "HAPI searches compartments now"
    )
    assert gateways.found_names(await gateways.follow_pages("/Patient/pat-a/Observation")) == gateways.expected_names(
        A_OBSERVATIONS
    )
