"""A page is as full as the server's own, whatever is hidden, and `next` goes on behind the last that was shown."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.web.pages import MAX_SKIPPED
from tests.gateway.marks import ids_in, link_of, resources_in
from tests.gateway.running import Running, running_gateway
from tests.gateway.scripted import ABSENT, Answered, Scripted, bundle, record, scripted
from tests.servers.people import Resource
from tests.servers.sekmet import start_sekmet

over_http = pytest.mark.asyncio(loop_scope="module")

A, B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
LAB = [{"coding": [{"code": "lab"}]}]
# Two constraints that differ cannot be narrowed: an honest server finds what neither permits.
GRANULAR = "patient/Observation.rs?category=lab patient/Observation.rs?status=amended"
PATIENT, BOTH = "patient/*.rs", "openid fhirUser patient/*.rs user/*.rs"
SCOPE = f"{GRANULAR} patient/Practitioner.r"


class Shelf:
    """A server that finds all its rows, in pages of `_count` or of `size`, with their performers, and links them on.

    It has `unsaid` as the size of pages where the question does not say one, and `most` as the largest.
    """

    def __init__(self, *rows: Resource) -> None:
        self.rows: Sequence[Resource] = rows
        self.unsaid, self.most = 2, 100
        self.server: Scripted | None = None

    def __call__(self, path: str, query: str, _: Mapping[str, str]) -> Answered:
        """Answer one request: a read, or a page."""
        if "/" in path and not path.endswith("_history"):
            return next(((200, one, {}) for one in self.rows if path == f"{one['resourceType']}/{one['id']}"), ABSENT)
        assert self.server is not None
        said = parse_qs(query)
        at, size = int(said.get("at", ["0"])[0]), min(int(said.get("_count", [str(self.unsaid)])[0]), self.most)
        rows, links = self.rows[at : at + size], {}
        if at + size < len(self.rows):
            include = "&_include=x" if "_include" in said else ""
            links["next"] = f"{self.server.base_url}/{path}?at={at + size}&_count={size}{include}"
        page = bundle(*rows, links=links) | {"total": len(self.rows)}
        if "_include" in said:
            page["entry"] += [{"resource": one, "search": {"mode": "include"}} for one in performers(rows)]
        return 200, page, {}


def performers(rows: Sequence[Resource]) -> list[Resource]:
    """The practitioners whom the rows refer to, each once, in that order."""
    named = dict.fromkeys(one["reference"] for row in rows for one in row.get("performer", []))
    return [record("Practitioner", name.partition("/")[2]) for name in named]


def row(name: str, *, seen: bool = True, by: str | None = None, **members: Any) -> Resource:
    """An Observation of A's that the granular scopes show, or one that they hide."""
    shown = {"category": LAB} if seen else {}
    performer = {"performer": [{"reference": f"Practitioner/{by}"}]} if by else {}
    return record("Observation", name, **{"status": "final", "subject": A, **shown, **performer, **members})


async def walked(gateway: Running, path: str, scope: str = SCOPE) -> list[httpx2.Response]:
    """Every page from the first to the last."""
    found: list[httpx2.Response] = []
    following: str | None = path
    while following is not None:
        answer = await gateway.ask(following.removeprefix(gateway.base_url), scope)
        assert answer.status_code == 200, answer.text
        found.append(answer)
        following = link_of(answer, "next")
    return found


def matches_of(answers: Sequence[httpx2.Response]) -> list[list[str]]:
    """The ids of the Observations on each page, in order."""
    return [[one["id"] for one in resources_in(page) if one["resourceType"] == "Observation"] for page in answers]


def without_handles(answer: httpx2.Response) -> bytes:
    """The answer with every handle made of the same sign: how long one is stays."""
    return re.sub(rb"(?<=_page=)[^\"]*", lambda handle: b"x" * len(handle[0]), answer.content)


class Case:
    """A shelf with a gateway before it."""

    def __init__(self, shelf: Shelf, gateway: Running) -> None:
        self.shelf, self.gateway = shelf, gateway

    def __repr__(self) -> str:
        return "case"  # so that a counterexample shows the rows alone


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def case(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Case]:
    shelf, folder = Shelf(), tmp_path_factory.mktemp("shelf")
    async with scripted(shelf) as shelf.server, running_gateway(shelf.server.base_url, folder) as gateway:
        yield Case(shelf, gateway)


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
    case: Case, kind: str, size: int, said: bool, data: st.DataObject
) -> None:
    drawn = data.draw(st.lists(kinds, max_size=(MAX_SKIPPED + 1) * size), label="rows: whether seen, and by whom")
    rows = [row(f"o{number}", seen=seen, by=by) for number, (seen, by) in enumerate(drawn)]
    permitted = [one for one in rows if "category" in one]
    path = f"{PATHS[kind]}&_count={size}" if said or "history" in kind else PATHS[kind]
    case.shelf.unsaid = size
    case.shelf.rows = rows
    told = await walked(case.gateway, path)
    parts = [permitted[first : first + size] for first in range(0, len(permitted), size)] or [[]]
    assert matches_of(told) == [[one["id"] for one in part] for part in parts]
    if "include" in kind:
        for answer, part in zip(told, parts, strict=True):
            assert ids_in(answer, "include") == {f"Practitioner/{one['id']}" for one in performers(part)}
            assert len(resources_in(answer, "include")) == len(ids_in(answer, "include"))
    case.shelf.rows = permitted
    none_hidden = await walked(case.gateway, path)
    assert [without_handles(one) for one in told] == [without_handles(one) for one in none_hidden]


LIMITS: dict[str, tuple[int, int]] = {"fewer than is asked for": (2, 2), "as many as is asked for": (100, 3)}


@over_http
@pytest.mark.parametrize(("most", "size"), LIMITS.values(), ids=LIMITS)
async def test_a_page_is_as_large_as_the_server_makes_it(case: Case, most: int, size: int) -> None:
    shelf = case.shelf
    shelf.rows, shelf.most = [row(f"o{number}", seen=number % 3 > 0) for number in range(12)], most
    try:
        told = matches_of(await walked(case.gateway, "/Observation?code=secret&_count=3"))
    finally:
        shelf.most = 100
    shown = [f"o{number}" for number in range(12) if number % 3]
    assert told == [shown[first : first + size] for first in range(0, len(shown), size)]


@over_http
async def test_what_is_left_of_a_page_is_shown_although_the_server_now_narrows_as_it_says(case: Case) -> None:
    """And neither its total nor its other links are: they count what was hidden before."""
    of_b = row("of-b", subject=B)
    case.shelf.rows = [row("one"), of_b, row("two"), row("three")]
    first, second = await walked(case.gateway, "/Observation?code=x&_count=2", "patient/Observation.rs")
    assert matches_of([first, second]) == [["one", "two"], ["three"]]
    assert "total" not in second.json()
    assert {link["relation"] for link in second.json()["link"]} == {"self"}


@over_http
async def test_where_nothing_can_be_hidden_one_page_of_the_server_is_one_of_ours(case: Case) -> None:
    case.shelf.rows, server = [row(f"o{number}") for number in range(5)], case.shelf.server
    assert server is not None
    server.asked.clear()
    told = await walked(case.gateway, "/Observation?code=x&_count=2", "patient/Observation.rs")
    assert [len(page) for page in matches_of(told)] == [2, 2, 1]
    assert [one.json()["total"] for one in told] == [5, 5, 5]
    assert len(server.asked) == 3


@over_http
async def test_beyond_the_bound_a_page_is_short_and_nothing_is_lost(case: Case) -> None:
    hidden = [row(f"h{number}", seen=False) for number in range(2 * MAX_SKIPPED + 1)]
    case.shelf.rows = [row("one"), *hidden, row("two"), row("three")]
    told = await walked(case.gateway, "/Observation?code=secret&_count=2")
    assert matches_of(told) == [["one"], ["two", "three"]]


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
    shelf = Shelf()
    reach: dict[str, Any] = {"compartments": {"practitioner_reach": "compartment"}}
    told = []
    async with scripted(shelf) as shelf.server, running_gateway(shelf.server.base_url, tmp_path, **reach) as gateway:
        for shelf.rows in ([row("one"), row("of-b", seen=False, subject=B), row("two")], [row("one"), row("two")]):
            answer = await gateway.ask(path, scope, claims=claims)
            assert (answer.status_code, ids_in(answer)) == (200, {"Observation/one", "Observation/two"})
            told.append(answer.content)
    assert told[0] == told[1]


@pytest.fixture(scope="module")
def sekmet() -> Iterator[str]:
    with start_sekmet() as server:
        yield server.base_url


OF_SEKMET = {
    "a value that another may have": (
        "/Observation?subject=Patient/pat-a,Patient/pat-b&code=known,{guess}&_id=x-1,x-2,x-3&_count=2&_sort=_id",
        ("hiv", "hepatitis"),
        BOTH,
    ),
    "provenances by their targets": (
        "/Provenance?target=Observation/x-1,Observation/{guess},Observation/x-3&_count=2&_sort=_id",
        ("x-2", "absent"),
        PATIENT,
    ),
    "provenances by their agent": (
        "/Provenance?target:missing=false&agent=Practitioner/zed,Practitioner/{guess}&_count=2&_sort=_id",
        ("of-b", "absent"),
        PATIENT,
    ),
}


@pytest.mark.sekmet
@pytest.mark.parametrize(("path", "guesses", "scope"), OF_SEKMET.values(), ids=OF_SEKMET)
async def test_a_real_server_tells_nothing_by_the_length_of_a_page(
    sekmet: str, tmp_path: Path, path: str, guesses: tuple[str, str], scope: str
) -> None:
    reach: dict[str, Any] = {"compartments": {"practitioner_reach": "compartment"}}
    async with running_gateway(sekmet, tmp_path, **reach) as gateway:
        for one in in_sekmet():
            url = f"{sekmet}/{one['resourceType']}/{one['id']}"
            (await gateway.client.put(url, json=one)).raise_for_status()
        told = []
        for guess in guesses:
            found = path.format(guess=guess)
            answer = await gateway.ask(found, scope, claims={"fhirUser": "Practitioner/p"} if scope is BOTH else {})
            assert answer.status_code == 200, answer.text
            told.append((ids_in(answer), link_of(answer, "next")))
        assert len(told[0][0]) == 2
        assert told[0] == told[1]


def in_sekmet() -> Iterator[Resource]:
    """Two records of A's with one of B's between them, and who wrote them down."""
    yield record("Practitioner", "zed")
    yield record("Practitioner", "of-b")
    for name, owner, code, who in (("x-1", A, "known", "zed"), ("x-2", B, "hiv", "of-b"), ("x-3", A, "known", "zed")):
        yield record("Observation", name, status="final", code={"coding": [{"code": code}]}, subject=owner)
        agent = [{"who": {"reference": f"Practitioner/{who}"}}]
        target = [{"reference": f"Observation/{name}"}]
        yield record("Provenance", f"of-{name}", target=target, recorded="2024-01-01T00:00:00Z", agent=agent)
