"""Links of a page do not tell of hidden records: `next` leads to something, and no other leads where some may be."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from gateway.web.pages import MAX_SKIPPED
from tests.gateway.marks import ids_in, link_of
from tests.gateway.running import Running, running_gateway
from tests.gateway.scripted import ABSENT, Answered, Scripted, bundle, record, scripted
from tests.servers.people import Resource

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
# Two constraints that differ cannot be narrowed: an honest server finds what neither permits.
GRANULAR = "patient/Observation.rs?category=lab patient/Observation.rs?status=amended"
EXACT = "patient/Observation.rs"


def observation(name: str, subject: Any = A, **members: Any) -> Resource:
    return record("Observation", name, status="final", code={"text": "x"}, subject=subject, **members)


def lab(name: str) -> Resource:
    return observation(name, category=[{"coding": [{"code": "lab"}]}])


HIDDEN = observation("hidden")


class Book:
    """What a server has, a page for each resource, with every link that FHIR knows; and a total."""

    def __init__(self, *pages: Resource) -> None:
        self.pages: Sequence[Resource] = pages
        self.server: Scripted | None = None

    def __call__(self, path: str, query: str, _: Mapping[str, str]) -> Answered:
        """Answer one request: a read, or a page."""
        if "/" in path and not path.endswith("_history"):
            one = next((one for one in self.pages if path == f"{one['resourceType']}/{one['id']}"), None)
            return ABSENT if one is None else (200, one, {})
        assert self.server is not None
        base, at = self.server.base_url, int(parse_qs(query).get("page", ["0"])[0])
        last = max(len(self.pages) - 1, 0)
        links = {"first": f"{base}?page=0", "last": f"{base}?page={last}"}
        if at:
            links["previous"] = f"{base}?page={at - 1}"
        if at < last:
            links["next"] = f"{base}?page={at + 1}"
        answer = bundle(*self.pages[at : at + 1], links=links)
        return 200, {**answer, "total": len(self.pages)}, {}


async def walked(gateway: Running, path: str, scope: str) -> list[tuple[set[str], set[str]]]:
    """Each page from the first to the last: what it shows, and which links it has."""
    found: list[tuple[set[str], set[str]]] = []
    following: str | None = path
    while following is not None:
        answer = await gateway.ask(following.removeprefix(gateway.base_url), scope)
        assert answer.status_code == 200
        found.append((ids_in(answer), {link["relation"] for link in answer.json()["link"]} - {"self"}))
        following = link_of(answer, "next")
    return found


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
    book = Book(*without)
    async with scripted(book) as book.server, running_gateway(book.server.base_url, tmp_path) as gateway:
        told = await walked(gateway, path, scope)
        assert [names for names, _ in told if names] == [{f"Observation/{one['id']}"} for one in without]
        assert all(links <= {"next"} for _, links in told)
        book.pages = with_hidden
        assert await walked(gateway, path, scope) == told


async def test_the_history_of_one_record_does_not_tell_of_versions_that_are_hidden(tmp_path: Path) -> None:
    now, before = observation("one"), observation("one", B)
    book = Book(now)
    async with scripted(book) as book.server, running_gateway(book.server.base_url, tmp_path) as gateway:
        told = await walked(gateway, "/Observation/one/_history", EXACT)
        book.pages = (now, before)
        assert await walked(gateway, "/Observation/one/_history", EXACT) == told == [({"Observation/one"}, set())]


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
    book = Book(observation("one"), observation("two"))
    if "/one/" in path:
        book = Book(observation("one"), observation("one"))
    async with scripted(book) as book.server, running_gateway(book.server.base_url, tmp_path) as gateway:
        first = await gateway.ask(path, scope)
        assert first.json()["total"] == 2
        assert {link["relation"] for link in first.json()["link"]} == {"self", "first", "last", "next"}
        assert [one for one in book.server.asked if "page=" in one] == []
        last = await gateway.ask((link_of(first, "last") or "").removeprefix(gateway.base_url), scope)
        assert {link["relation"] for link in last.json()["link"]} == {"self", "first", "last", "previous"}


async def test_a_server_that_ignores_its_narrowing_has_no_links_that_count(tmp_path: Path) -> None:
    of_b = observation("of-b", B)
    book = Book(of_b, observation("one"), of_b, of_b)
    async with scripted(book) as book.server, running_gateway(book.server.base_url, tmp_path) as gateway:
        answer = await gateway.ask("/Observation", EXACT)
        assert ids_in(answer) == {"Observation/one"}
        assert {link["relation"] for link in answer.json()["link"]} == {"self"}
        assert "total" not in answer.json()


async def test_beyond_a_bound_the_link_stays_so_that_nothing_that_is_shown_is_lost(tmp_path: Path) -> None:
    book = Book(*[HIDDEN] * (MAX_SKIPPED + 2), lab("one"))
    async with scripted(book) as book.server, running_gateway(book.server.base_url, tmp_path) as gateway:
        told = await walked(gateway, "/Observation?code=secret", GRANULAR)
        assert told == [(set(), {"next"}), ({"Observation/one"}, set())]
