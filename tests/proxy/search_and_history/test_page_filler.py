"""Pages are as full as the server's own, whatever is hidden, and `next` continues after the last shown match."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.proxy.search_and_history.page_filler import MAX_FOLLOWING_PAGES
from tests.proxy.leaked_marks import ids_in, link_of, resources_in
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, ScriptedServer, bundle, make_resource, scripted_server
from tests.servers.people import Resource
from tests.telemetry.lost_lines import LostLines

over_http = pytest.mark.asyncio(loop_scope="module")

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
LAB = [{"coding": [{"code": "lab"}]}]
# Two different constraints cannot be narrowed, so a correct server also finds what neither permits.
GRANULAR = "patient/Observation.rs?category=lab patient/Observation.rs?status=amended"
PATIENT, BOTH = "patient/*.rs", "openid fhirUser patient/*.rs user/*.rs"
SCOPE = f"{GRANULAR} patient/Practitioner.r"


class PagedServer:
    """A server that finds all its rows, in linked pages of `_count`, with their performers if they are included.

    Pages have `default_size` rows without `_count`, and never more than `max_size`.
    """

    def __init__(self, *rows: Resource) -> None:
        self.rows: Sequence[Resource] = rows
        self.default_size, self.max_size = 2, 100
        self.server: ScriptedServer | None = None

    def __call__(self, path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        """Respond to a read or to a request for a page."""
        if "/" in path and not path.endswith("_history"):
            return next(((200, row, {}) for row in self.rows if path == f"{row['resourceType']}/{row['id']}"), ABSENT)
        assert self.server is not None
        parameters = parse_qs(query)
        start, size = (
            int(parameters.get("at", ["0"])[0]),
            min(int(parameters.get("_count", [str(self.default_size)])[0]), self.max_size),
        )
        rows, links = self.rows[start : start + size], {}
        if start + size < len(self.rows):
            include = "&_include=x" if "_include" in parameters else ""
            links["next"] = f"{self.server.base_url}/{path}?at={start + size}&_count={size}{include}"
        page = bundle(*rows, links=links) | {"total": len(self.rows)}
        if "_include" in parameters:
            page["entry"] += [
                {"resource": practitioner, "search": {"mode": "include"}} for practitioner in performers(rows)
            ]
        return 200, page, {}


def performers(rows: Sequence[Resource]) -> list[Resource]:
    """The practitioners to whom the rows refer, each once, in the order of the rows."""
    references = dict.fromkeys(performer["reference"] for row in rows for performer in row.get("performer", []))
    return [make_resource("Practitioner", name.partition("/")[2]) for name in references]


def row(name: str, *, is_visible: bool = True, performer_id: str | None = None, **members: Any) -> Resource:
    """An Observation of A that the granular scopes show, or hide if it is not `is_visible`."""
    category = {"category": LAB} if is_visible else {}
    performer = {"performer": [{"reference": f"Practitioner/{performer_id}"}]} if performer_id else {}
    return make_resource("Observation", name, **{"status": "final", "subject": A, **category, **performer, **members})


async def get_all_pages(gateway: RunningGateway, path: str, scope: str = SCOPE) -> list[httpx2.Response]:
    """All pages, from the first to the last."""
    pages: list[httpx2.Response] = []
    next_url: str | None = path
    while next_url is not None:
        response = await gateway.request(next_url.removeprefix(gateway.base_url), scope)
        assert response.status_code == 200, response.text
        pages.append(response)
        next_url = link_of(response, "next")
    return pages


def match_ids(responses: Sequence[httpx2.Response]) -> list[list[str]]:
    """The ids of the Observations on each page, in order."""
    return [
        [resource["id"] for resource in resources_in(page) if resource["resourceType"] == "Observation"]
        for page in responses
    ]


def mask_handles(response: httpx2.Response) -> bytes:
    """The body with each handle replaced by a mask of the same length."""
    return re.sub(rb"(?<=_page=)[^\"]*", lambda handle: b"x" * len(handle[0]), response.content)


class FillerCase:
    """A server and a gateway in front of it."""

    def __init__(self, paged_server: PagedServer, gateway: RunningGateway) -> None:
        self.server, self.gateway = paged_server, gateway

    def __repr__(self) -> str:
        return "case"  # so that a counterexample shows the rows alone


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def case(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FillerCase]:
    paged_server, folder = PagedServer(), tmp_path_factory.mktemp("shelf")
    async with (
        scripted_server(paged_server) as paged_server.server,
        running_gateway(paged_server.server.base_url, folder) as gateway,
    ):
        yield FillerCase(paged_server, gateway)


PATHS = {
    "a search": "/Observation?code=secret",
    "a search with includes": "/Observation?code=secret&_include=Observation:performer",
    "a search of the system": "/?_type=Observation&code=secret",
    "a history of the type": "/Observation/_history?_since=2024-05-01T10:00:00Z",
    "a history of the system": "/_history?_type=Observation",
}
sizes = st.integers(1, 5)
kinds = st.tuples(st.booleans(), st.sampled_from([None, "p", "q", "r"]))


@settings(max_examples=150)
@given(st.sampled_from(sorted(PATHS)), sizes, st.booleans(), st.data())
@over_http
async def test_what_is_permitted_comes_once_in_order_and_in_full_pages_whatever_is_hidden(
    case: FillerCase, kind: str, size: int, said: bool, data: st.DataObject
) -> None:
    drawn = data.draw(
        st.lists(kinds, max_size=(MAX_FOLLOWING_PAGES + 1) * size), label="rows: whether seen, and by whom"
    )
    rows = [row(f"o{number}", is_visible=seen, performer_id=by) for number, (seen, by) in enumerate(drawn)]
    permitted = [row for row in rows if "category" in row]
    path = f"{PATHS[kind]}&_count={size}" if said or "history" in kind else PATHS[kind]
    case.server.default_size = size
    case.server.rows = rows
    responses = await get_all_pages(case.gateway, path)
    parts = [permitted[first : first + size] for first in range(0, len(permitted), size)] or [[]]
    assert match_ids(responses) == [[row["id"] for row in part] for part in parts]
    if "include" in kind:
        for response, part in zip(responses, parts, strict=True):
            assert ids_in(response, "include") == {
                f"Practitioner/{practitioner['id']}" for practitioner in performers(part)
            }
            assert len(resources_in(response, "include")) == len(ids_in(response, "include"))
    case.server.rows = permitted
    none_hidden = await get_all_pages(case.gateway, path)
    assert [mask_handles(page) for page in responses] == [mask_handles(page) for page in none_hidden]


LIMITS: dict[str, tuple[int, int]] = {"fewer than is asked for": (2, 2), "as many as is asked for": (100, 3)}


@over_http
@pytest.mark.parametrize(("most", "size"), LIMITS.values(), ids=LIMITS)
async def test_a_page_is_as_large_as_the_server_makes_it(case: FillerCase, most: int, size: int) -> None:
    paged_server = case.server
    paged_server.rows, paged_server.max_size = (
        [row(f"o{number}", is_visible=number % 3 > 0) for number in range(12)],
        most,
    )
    try:
        responses = match_ids(await get_all_pages(case.gateway, "/Observation?code=secret&_count=3"))
    finally:
        paged_server.max_size = 100
    shown = [f"o{number}" for number in range(12) if number % 3]
    assert responses == [shown[first : first + size] for first in range(0, len(shown), size)]


@over_http
async def test_what_is_left_of_a_page_is_shown_although_the_server_now_narrows_as_it_says(case: FillerCase) -> None:
    """And neither its total nor its other links are: they count what was hidden before."""
    of_b = row("of-b", subject=B)
    case.server.rows = [row("one"), of_b, row("two"), row("three")]
    first, second = await get_all_pages(case.gateway, "/Observation?code=x&_count=2", "patient/Observation.rs")
    assert match_ids([first, second]) == [["one", "two"], ["three"]]
    assert "total" not in second.json()
    assert {link["relation"] for link in second.json()["link"]} == {"self"}


@over_http
async def test_where_nothing_can_be_hidden_one_page_of_the_server_is_one_of_ours(case: FillerCase) -> None:
    case.server.rows, server = [row(f"o{number}") for number in range(5)], case.server.server
    assert server is not None
    server.requests.clear()
    responses = await get_all_pages(case.gateway, "/Observation?code=x&_count=2", "patient/Observation.rs")
    assert [len(page) for page in match_ids(responses)] == [2, 2, 1]
    assert [page.json()["total"] for page in responses] == [5, 5, 5]
    assert len(server.requests) == 3


@over_http
async def test_beyond_the_bound_a_page_is_short_and_nothing_is_lost(case: FillerCase) -> None:
    hidden = [row(f"h{number}", is_visible=False) for number in range(2 * MAX_FOLLOWING_PAGES + 1)]
    case.server.rows = [row("one"), *hidden, row("two"), row("three")]
    links = case.gateway.gateway.watched_parts(LostLines()).links
    counted = links.refilled_pages, links.short_pages
    responses = await get_all_pages(case.gateway, "/Observation?code=secret&_count=2")
    assert match_ids(responses) == [["one"], ["two", "three"]]
    assert (links.refilled_pages - counted[0], links.short_pages - counted[1]) == (MAX_FOLLOWING_PAGES, 1)


SHORT: dict[str, tuple[str, str, dict[str, Any]]] = {
    "scopes of different categories": (
        "/Observation?subject=Patient/pat-a,Patient/pat-b&_sort=date&_count=2",
        "patient/Observation.rs system/Observation.rs?category=lab",
        {},
    ),
    "scopes of a patient and of a user": (
        "/Observation?subject=Patient/pat-a,Patient/pat-b&code=hiv,glucose&_count=2",
        BOTH,
        {"fhirUser": "Practitioner/p"},
    ),
    "types that nothing narrows alike": (
        "/?_type=Observation,Group&code=hiv,glucose&_id=one,two,of-b&_count=2",
        PATIENT,
        {},
    ),
    "a history": ("/Observation/_history?_count=2&_since=2024-05-01T10:00:00Z", PATIENT, {}),
}


@pytest.mark.parametrize(("path", "scope", "claims"), SHORT.values(), ids=SHORT)
async def test_no_page_tells_where_another_patients_record_stands(
    tmp_path: Path, path: str, scope: str, claims: dict[str, Any]
) -> None:
    paged_server = PagedServer()
    reach: dict[str, Any] = {"compartments": {"practitioner_reach": "compartment"}}
    bodies = []
    async with (
        scripted_server(paged_server) as paged_server.server,
        running_gateway(paged_server.server.base_url, tmp_path, **reach) as gateway,
    ):
        for paged_server.rows in (
            [row("one"), row("of-b", is_visible=False, subject=B), row("two")],
            [row("one"), row("two")],
        ):
            response = await gateway.request(path, scope, claims=claims)
            assert (response.status_code, ids_in(response)) == (200, {"Observation/one", "Observation/two"})
            bodies.append(response.content)
    assert bodies[0] == bodies[1]
