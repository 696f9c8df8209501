"""Every search that is accepted can be paged, however long it is, by links that are never longer than 2 KB."""

import base64
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from redis import Redis

from gateway.asgi.types import Receive, Scope, Send
from gateway.fhir.query_limits import MAX_FORM, MAX_QUERY
from gateway.proxy.incoming_request import read_body
from gateway.proxy.search_and_history.sealed_links import MAX_LINK
from tests.proxy.leaked_marks import ids_in, is_refused, link_of, refusal_reason
from tests.proxy.running_gateway import RunningGateway, running_gateway, running_gateways, serve_on
from tests.proxy.scripted_server import STATEMENT, bundle, make_resource
from tests.servers import valkey
from tests.servers.ports import free_port
from tests.servers.process import Server

KEY = base64.b64encode(b"a key of thirty-two bytes, or so").decode()
FORM = {"content-type": "application/x-www-form-urlencoded"}
OBSERVATIONS = "patient/Observation.rs"


def long_query(length: int, filler: str = "x") -> str:
    """A query of that many bytes that excludes nothing, with three matches per page."""
    values = ",".join(f"{filler * 900}{number:04}" for number in range(length // 900 + 1))
    return f"_count=3&_sort=_id&_tag:not={values}"[:length]


async def post(gateway: RunningGateway, query: str, path: str = "/Observation") -> httpx2.Response:
    return await gateway.request(f"{path}/_search", OBSERVATIONS, method="POST", content=query, headers=FORM)


async def follow(gateway: RunningGateway, first: httpx2.Response) -> list[httpx2.Response]:
    """The page and all that follow it. No link is long."""
    pages = [first]
    while True:
        page = pages[-1]
        assert page.status_code == 200, page.text
        assert all(len(link["url"]) <= MAX_LINK for link in page.json()["link"])
        following = link_of(page, "next")
        if following is None:
            return pages
        pages.append(await gateway.request(following.removeprefix(gateway.base_url), OBSERVATIONS))


def found(pages: list[httpx2.Response]) -> list[str]:
    return [entry["resource"]["id"] for page in pages for entry in page.json()["entry"]]


@pytest.mark.parametrize("length", [1000, 1900, 2100, 4000, 6100, 7600, MAX_QUERY, 40_000, MAX_FORM])
async def test_a_search_of_any_length_leads_to_its_last_page(sekmet: Server, tmp_path: Path, length: int) -> None:
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        expected = found(await follow(gateway, await post(gateway, "_count=3&_sort=_id")))
        assert len(expected) > 6
        pages = await follow(gateway, await post(gateway, long_query(length)))
        assert found(pages) == expected
        if length <= MAX_QUERY:
            first = await gateway.request(f"/Observation?{long_query(length)}", OBSERVATIONS)
            assert found(await follow(gateway, first)) == expected


async def test_a_form_that_grows_when_it_is_encoded_can_be_paged_as_well(sekmet: Server, tmp_path: Path) -> None:
    """A `|` in the form is `%7C` in a link, so that the query of the link is longer than any that is accepted."""
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        pages = await follow(gateway, await post(gateway, long_query(MAX_FORM, filler='"')))
        assert len(found(pages)) == len(set(found(pages))) > 6


@pytest.mark.parametrize("length", [1000, 20_000])
async def test_the_self_link_of_a_search_finds_the_same(sekmet: Server, tmp_path: Path, length: int) -> None:
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        first, *_, last = await follow(gateway, await post(gateway, long_query(length)))
        for page in (first, last):
            again = (link_of(page, "self") or "").removeprefix(gateway.base_url)
            assert ids_in(await gateway.request(again, OBSERVATIONS)) == ids_in(first)


STRANGERS: dict[str, dict[str, Any]] = {
    "another patient": {"patient": "pat-b"},
    "another client": {"client_id": "other"},
    "another user": {"sub": "someone-else"},
}


@pytest.mark.parametrize("claims", STRANGERS.values(), ids=STRANGERS)
async def test_another_grant_cannot_follow_a_long_link(sekmet: Server, tmp_path: Path, claims: dict[str, Any]) -> None:
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        first = await post(gateway, long_query(10_000))
        for relation in ("self", "next"):
            path = (link_of(first, relation) or "").removeprefix(gateway.base_url)
            assert path.startswith("/?_page=~")
            assert (await gateway.request(path, OBSERVATIONS)).status_code == 200
            assert is_refused(await gateway.request(path, OBSERVATIONS, claims=claims), 404, "page_unknown")


@pytest.mark.parametrize("altered", ["~", "~x", "~" + "A" * 43, "~" + "A" * 44, "~..", "~~"])
async def test_an_invented_key_leads_nowhere(sekmet: Server, tmp_path: Path, altered: str) -> None:
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        assert is_refused(await gateway.request(f"/?_page={altered}", OBSERVATIONS), 404, "page_unknown")


async def test_workers_that_share_a_store_follow_each_others_long_links(sekmet: Server, tmp_path: Path) -> None:
    """What the store holds is sealed: neither the search nor the patient can be read there."""
    with valkey.standalone() as store:
        settings: Any = {"smart_server": {"store": store.url}, "paging": {"key": KEY}}
        upstreams = {"one": sekmet.base_url, "two": sekmet.base_url}
        async with running_gateways(upstreams, tmp_path, **settings) as workers:
            one, two = workers["one"], workers["two"]
            first = await post(one, long_query(10_000))
            path = (link_of(first, "next") or "").removeprefix(one.base_url)
            assert (await two.request(path, OBSERVATIONS, claims={"aud": two.base_url})).status_code == 200
            client: Redis = store.nodes[0].client()
            client.select(1)
            keys = [key for key in client.scan_iter("*") if b"page:" in key]
            assert keys
            for key in keys:
                value = client.get(key)
                assert isinstance(value, bytes)
                assert not re.search(rb"xxxx|pat-a|Observation|_count", value)
                assert 3600 <= client.ttl(key) <= 3600 * 9 / 8 + 1


async def test_the_same_search_again_is_not_stored_again(sekmet: Server, tmp_path: Path) -> None:
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        pages = [await post(gateway, long_query(10_000)) for _ in range(3)]
        # The lifetime is divided into parts of minutes; at most one of them ends here.
        assert len({link_of(page, "next") for page in pages}) <= 2


async def test_a_long_search_is_an_error_while_the_store_is_away_and_never_a_shorter_answer(
    sekmet: Server, tmp_path: Path
) -> None:
    with valkey.standalone() as store:
        settings: Any = {"smart_server": {"store": store.url}}
        async with running_gateway(sekmet.base_url, tmp_path, **settings) as gateway:
            stored = await post(gateway, long_query(10_000))
            path = (link_of(stored, "next") or "").removeprefix(gateway.base_url)
            store.nodes[0].kill()
            for response in (await post(gateway, long_query(10_000)), await gateway.request(path, OBSERVATIONS)):
                assert (response.status_code, refusal_reason(response)) == (503, "page_store_unavailable")
            short = await post(gateway, "_count=3")
            assert (short.status_code, link_of(short, "next") is not None) == (200, True)
            whole = await post(gateway, long_query(10_000).replace("_count=3", "_count=500"))
            assert (whole.status_code, link_of(whole, "self")) == (200, None)


@dataclass
class ShortLineServer:
    """A server whose pages repeat the criteria in their links, and which refuses request lines of 8 KB."""

    base_url: str = ""
    methods: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        query, path = scope["query_string"], scope["path"].removeprefix("/fhir").removesuffix("/_search")
        status: int = 414 if len(query) > 8000 else 200
        if scope["method"] == "POST":
            query = await read_body(receive, 1_000_000)
        body: Any = STATEMENT[1]
        if path != "/metadata":
            self.methods.append(scope["method"])
            page = len(parse_qs(query.decode()).get("page", []))
            link = f"{self.base_url}{path}?{query.decode()}&page={page}"
            own = make_resource("Observation", f"o{page}", status="final", subject={"reference": "Patient/pat-a"})
            body = bundle(own, links={"next": link} if page < 3 else None)
        headers = [(b"content-type", b"application/fhir+json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})


@pytest.mark.parametrize("length", [1000, 12_000])
async def test_a_long_page_is_asked_for_by_a_form_as_the_search_was(tmp_path: Path, length: int) -> None:
    port = free_port()
    server = ShortLineServer(f"http://127.0.0.1:{port}/fhir")
    async with serve_on(server, port), running_gateway(server.base_url, tmp_path) as gateway:
        pages = await follow(gateway, await post(gateway, long_query(length)))
        assert found(pages) == ["o0", "o1", "o2", "o3"]
        assert set(server.methods) == {"POST" if length > 4096 else "GET"}
