"""Paging links do not reveal hidden resources: `next` leads to a match, and there is no other link."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from gateway.proxy.search_and_history.page_filler import MAX_FOLLOWING_PAGES
from tests.proxy.leaked_marks import ids_in, link_of
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, ScriptedServer, bundle, make_resource, scripted_server
from tests.servers.people import Resource

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
# Two different constraints cannot be narrowed, so a correct server also finds what neither permits.
GRANULAR = "patient/Observation.rs?category=lab patient/Observation.rs?status=amended"
EXACT = "patient/Observation.rs"


def observation(name: str, subject: Any = A, **members: Any) -> Resource:
    return make_resource("Observation", name, status="final", code={"text": "x"}, subject=subject, **members)


def lab(name: str) -> Resource:
    return observation(name, category=[{"coding": [{"code": "lab"}]}])


HIDDEN = observation("hidden")


class BookServer:
    """A server with a page per resource, with all paging links of FHIR, and a total."""

    def __init__(self, *pages: Resource) -> None:
        self.pages: Sequence[Resource] = pages
        self.server: ScriptedServer | None = None

    def __call__(self, path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        """Respond to a read or to a request for a page."""
        if "/" in path and not path.endswith("_history"):
            resource = next(
                (resource for resource in self.pages if path == f"{resource['resourceType']}/{resource['id']}"), None
            )
            return ABSENT if resource is None else (200, resource, {})
        assert self.server is not None
        base, number = self.server.base_url, int(parse_qs(query).get("page", ["0"])[0])
        last = max(len(self.pages) - 1, 0)
        links = {"first": f"{base}?page=0", "last": f"{base}?page={last}"}
        if number:
            links["previous"] = f"{base}?page={number - 1}"
        if number < last:
            links["next"] = f"{base}?page={number + 1}"
        response = bundle(*self.pages[number : number + 1], links=links)
        return 200, {**response, "total": len(self.pages)}, {}


async def get_all_pages(gateway: RunningGateway, path: str, scope: str) -> list[tuple[set[str], set[str]]]:
    """The ids and the link relations of each page, from the first to the last."""
    pages: list[tuple[set[str], set[str]]] = []
    next_url: str | None = path
    while next_url is not None:
        response = await gateway.request(next_url.removeprefix(gateway.base_url), scope)
        assert response.status_code == 200
        pages.append((ids_in(response), {link["relation"] for link in response.json()["link"]} - {"self"}))
        next_url = link_of(response, "next")
    return pages


PATHS = {
    "a search that cannot be narrowed": ("/Observation?code=secret&_count=1", GRANULAR),
    "a search of the system": ("/?_type=Observation&_count=1", GRANULAR),
    "a history of the type": ("/Observation/_history?_count=1", GRANULAR),
    "a history of the system": ("/_history?_count=1", GRANULAR),
}
BOOKS: dict[str, tuple[tuple[Resource, ...], tuple[Resource, ...]]] = {
    "behind the last that is shown": ((lab("one"),), (lab("one"), HIDDEN)),
    "before the first that is shown": ((lab("one"),), (HIDDEN, HIDDEN, lab("one"))),
    "between those that are shown": ((lab("one"), lab("two")), (lab("one"), HIDDEN, lab("two"))),
    "everywhere": ((lab("one"), lab("two")), (HIDDEN, lab("one"), HIDDEN, HIDDEN, lab("two"), HIDDEN)),
    "alone": ((), (HIDDEN, HIDDEN, HIDDEN)),
}


@pytest.mark.parametrize(("without", "with_hidden"), BOOKS.values(), ids=BOOKS)
@pytest.mark.parametrize(("path", "scope"), PATHS.values(), ids=PATHS)
async def test_pages_are_the_same_with_hidden_records(
    tmp_path: Path, path: str, scope: str, without: tuple[Resource, ...], with_hidden: tuple[Resource, ...]
) -> None:
    book = BookServer(*without)
    async with scripted_server(book) as book.server, running_gateway(book.server.base_url, tmp_path) as gateway:
        told = await get_all_pages(gateway, path, scope)
        assert [names for names, _ in told if names] == [{f"Observation/{resource['id']}"} for resource in without]
        assert all(links <= {"next"} for _, links in told)
        book.pages = with_hidden
        assert await get_all_pages(gateway, path, scope) == told


async def test_the_history_of_one_record_does_not_tell_of_versions_that_are_hidden(tmp_path: Path) -> None:
    now, before = observation("one"), observation("one", B)
    book = BookServer(now)
    async with scripted_server(book) as book.server, running_gateway(book.server.base_url, tmp_path) as gateway:
        told = await get_all_pages(gateway, "/Observation/one/_history", EXACT)
        book.pages = (now, before)
        assert (
            await get_all_pages(gateway, "/Observation/one/_history", EXACT) == told == [({"Observation/one"}, set())]
        )


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/Observation", EXACT),
        ("/Observation/_history", "system/Observation.rs"),
        ("/Observation/one/_history", "system/Observation.rs"),
        ("/?_type=Observation", "system/*.rs"),
    ],
)
async def test_where_nothing_is_hidden_every_link_and_the_total_stay(tmp_path: Path, path: str, scope: str) -> None:
    book = BookServer(observation("one"), observation("two"))
    if "/one/" in path:
        book = BookServer(observation("one"), observation("one"))
    async with scripted_server(book) as book.server, running_gateway(book.server.base_url, tmp_path) as gateway:
        first = await gateway.request(path, scope)
        assert first.json()["total"] == 2
        assert {link["relation"] for link in first.json()["link"]} == {"self", "first", "last", "next"}
        assert [path for path in book.server.requests if "page=" in path] == []
        last = await gateway.request((link_of(first, "last") or "").removeprefix(gateway.base_url), scope)
        assert {link["relation"] for link in last.json()["link"]} == {"self", "first", "last", "previous"}


async def test_a_server_that_ignores_its_narrowing_has_no_links_that_count(tmp_path: Path) -> None:
    of_b = observation("of-b", B)
    book = BookServer(of_b, observation("one"), of_b, of_b)
    async with scripted_server(book) as book.server, running_gateway(book.server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Observation", EXACT)
        assert ids_in(response) == {"Observation/one"}
        assert {link["relation"] for link in response.json()["link"]} == {"self"}
        assert "total" not in response.json()


async def test_beyond_a_bound_the_link_stays_so_that_nothing_that_is_shown_is_lost(tmp_path: Path) -> None:
    book = BookServer(*[HIDDEN] * (MAX_FOLLOWING_PAGES + 2), lab("one"))
    async with scripted_server(book) as book.server, running_gateway(book.server.base_url, tmp_path) as gateway:
        told = await get_all_pages(gateway, "/Observation?code=secret", GRANULAR)
        assert told == [(set(), {"next"}), ({"Observation/one"}, set())]
