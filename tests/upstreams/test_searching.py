"""Searches: what is asked is found, page by page to the end, and nothing else is."""

import pytest

from gateway.scopes.resource_types import RESOURCE_TYPES
from tests.gateway.marks import ids_in, link_of, reason_of, resources_in
from tests.upstreams.asking import FORM, A, Front, Grant
from tests.upstreams.searches import SEARCHES, Search
from tests.upstreams.stored import about, in_chart, nothing, of_type
from tests.upstreams.upstream import Feature

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("search", SEARCHES, ids=[search.sentence for search in SEARCHES])
async def test_it_finds(front: Front, search: Search) -> None:
    options = {} if search.form is None else {"method": "POST", "content": search.form, "headers": FORM}
    answers = await front.pages(search.path, search.grant, **options)
    assert front.misses(search.grant, answers) == [], "the alarm rang"
    matches, includes = (front.found(answers, mode) for mode in ("match", "include"))
    if front.upstream.lacks.keys().isdisjoint(search.needs):
        assert [answer.status_code for answer in answers] == [200] * len(answers)
        assert matches == front.expected(search.matches)
        assert includes == front.expected(search.includes)
        assert answers[0].json().get("total", len(matches)) == len(matches)
        assert any(resources_in(answer, "outcome") for answer in answers) == search.left_out
    else:
        assert answers[0].status_code in {200, 400}
        assert matches <= front.expected(search.matches)
        assert includes <= front.expected(search.includes)


@pytest.mark.parametrize(
    "grant",
    [A, Grant("user/*.rs", {"fhirUser": "Practitioner/practitioner-1", "patient": None}, reach="practice")],
    ids=["a patient's app", "a practitioner held to a practice"],
)
async def test_every_type_is_refused_or_narrowed_by_a_parameter_that_the_server_knows(
    front: Front, grant: Grant
) -> None:
    statement = (await front.ask("/metadata", grant)).json()
    declared = {resource["type"] for resource in statement["rest"][0]["resource"]}
    for resource_type in sorted(RESOURCE_TYPES):
        answer = await front.ask(f"/{resource_type}", grant)
        assert front.misses(grant, [answer]) == [], resource_type
        if answer.status_code == 403:
            assert reason_of(answer) in {"type_out_of_reach", "search_by_id_only"}, resource_type
        else:
            assert answer.status_code == 200 or resource_type not in declared, resource_type


@pytest.mark.parametrize("count", [5, 200])
async def test_a_servers_own_compartments_hold_what_the_patient_takes_part_in(front: Front, count: int) -> None:
    """The links of sekmet leave the compartment out: from the second page on everybody's records are dropped here."""
    if Feature.COMPARTMENT in front.upstream.lacks:
        pytest.skip(f"{front.upstream.name}: {front.upstream.lacks[Feature.COMPARTMENT]}")
    grant = Grant(reach="compartment")
    answers = await front.pages(f"/Observation?_count={count}", grant)
    assert front.found(answers) == front.expected(of_type("Observation", in_chart("pat-a")))
    other = await front.pages(f"/Patient/pat-b/Observation?_count={count}", grant)
    assert front.found(other) == {"Observation/pat-b-by-pat-a"}


async def test_our_own_address_is_understood(front: Front) -> None:
    """A client may write a reference as the absolute address that it was shown (R4 Search 3.1.1.4.12)."""
    base_url = front.gateways["full"].base_url
    for patient, where in (("pat-a", about("pat-a")), ("pat-b", nothing)):
        answers = await front.pages(f"/Observation?patient={base_url}/Patient/{patient}")
        assert [answer.status_code for answer in answers] == [200] * len(answers)
        assert front.found(answers) == front.expected(of_type("Observation", where))


async def test_a_search_may_be_asked_for_its_head(front: Front) -> None:
    head = await front.ask("/Observation?patient=Patient/pat-a", method="HEAD")
    assert (head.status_code, head.content) == (200, b"")


async def test_a_page_that_has_run_its_course_stays_the_same(front: Front) -> None:
    """Each page is asked anew, so the same link shows the same twice."""
    if Feature.PAGES in front.upstream.lacks:
        pytest.skip("This server answers one page.")
    following = link_of(await front.ask("/Observation?_count=5&_include=Observation:performer"), "next")
    assert following is not None
    once, twice = await front.ask(following), await front.ask(following)
    assert ids_in(once) == ids_in(twice) != set()
