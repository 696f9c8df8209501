"""Paging links: those of another grant, altered, expired and invented ones all get the same response."""

import base64
import hashlib
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.reference import Reference
from gateway.policy.paging_link import MAX_SEALED_LENGTH, SealedPage, Sealer, text_limit
from gateway.policy.permission.access import Access
from gateway.policy.permission.claims import ClaimMapping, access_from_claims
from tests.proxy.fuzz_paging_link import SEEDS, check, mutated
from tests.proxy.leaked_marks import ids_in, link_of, resources_in
from tests.proxy.lenient_server import LenientServer, lenient_server
from tests.proxy.running_gateway import ISSUER, RunningGateway, running_gateways

over_http = pytest.mark.asyncio(loop_scope="module")

KEY = b"a key of thirty-two bytes, or so"
SETTINGS: dict[str, Any] = {"paging": {"key": base64.b64encode(KEY).decode()}}
CHART = [
    {"resourceType": "Observation", "id": f"o{number}", "status": "final", "subject": {"reference": "Patient/pat-a"}}
    for number in range(7)
]


@dataclass(frozen=True)
class PagingGateways:
    """A server with pages of three resources, and two gateways in front of it."""

    lenient: LenientServer
    gateway: RunningGateway
    twin: RunningGateway

    async def link(self, query: str = "") -> str:
        """The path and query of the link to the second page."""
        first = await self.gateway.request(f"/Observation{query}")
        return (link_of(first, "next") or "").removeprefix(self.gateway.base_url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def paging(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PagingGateways]:
    async with lenient_server(*CHART) as lenient:
        lenient.page_size = 3
        upstreams = {"one": lenient.base_url, "twin": lenient.base_url}
        async with running_gateways(upstreams, tmp_path_factory.mktemp("pages"), **SETTINGS) as running:
            yield PagingGateways(lenient, running["one"], running["twin"])


def is_unknown(response: httpx2.Response) -> bool:
    """Whether this is the common response to all links that cannot be followed."""
    assert (response.status_code, response.json()["issue"][0]["details"]) == (
        404,
        {
            "coding": [{"system": "urn:smart-fhir-gateway:reason", "code": "page_unknown"}],
            "text": "The paging link is invalid or has expired.",
        },
    )
    return len(response.json()["issue"]) == 1


@over_http
async def test_every_page_can_be_reached_once_and_in_order(paging: PagingGateways) -> None:
    found, path = [], "/Observation"
    for _ in range(3):
        response = await paging.gateway.request(path)
        assert response.status_code == 200
        found += [resource["id"] for resource in resources_in(response)]
        path = (link_of(response, "next") or "").removeprefix(paging.gateway.base_url)
    assert (found, path) == ([resource["id"] for resource in CHART], "")


@over_http
async def test_a_link_tells_nothing_of_the_server(paging: PagingGateways) -> None:
    path = await paging.link()
    assert path.startswith("/?_page=")
    sealed = base64.urlsafe_b64decode(path.partition("=")[2] + "===")
    assert b"page=1" not in sealed
    assert b"127.0.0.1" not in sealed


STRANGERS: dict[str, tuple[str, dict[str, Any]]] = {
    "another patient": ("patient/*.rs", {"patient": "pat-b"}),
    "no patient": ("patient/*.rs", {"patient": None}),
    "another client": ("patient/*.rs", {"client_id": "other"}),
    "another subject": ("patient/*.rs", {"sub": "someone-else"}),
    "another user": ("patient/*.rs", {"fhirUser": "Practitioner/p"}),
    "narrower scopes": ("patient/Observation.rs", {}),
    "wider scopes": ("patient/*.rs user/*.rs", {}),
    "the same scopes and an empty one": ("patient/*.rs openid", {}),
}


@over_http
@pytest.mark.parametrize(("scope", "claims"), STRANGERS.values(), ids=STRANGERS)
async def test_another_grant_cannot_follow_a_link(paging: PagingGateways, scope: str, claims: dict[str, Any]) -> None:
    path = await paging.link()
    paging.lenient.requests.clear()
    assert is_unknown(await paging.gateway.request(path, scope, claims=claims))
    assert paging.lenient.requests == []
    assert ids_in(await paging.gateway.request(path)) == {"Observation/o3", "Observation/o4", "Observation/o5"}


@over_http
async def test_a_new_token_of_the_same_grant_follows_the_link_of_an_old_one(paging: PagingGateways) -> None:
    path = await paging.link()
    renewed = await paging.gateway.request(path, claims={"exp": int(time.time()) + 300, "jti": "another"})
    assert renewed.status_code == 200


@over_http
async def test_an_altered_link_cannot_be_followed(paging: PagingGateways) -> None:
    path = await paging.link()
    handle = path.removeprefix("/?_page=")
    middle = len(handle) // 2
    altered = {
        handle[:-1],
        handle[1:],
        handle[:middle],
        handle[middle:],
        handle + "A",
        handle + "=",
        handle[:middle] + ("A" if handle[middle] != "A" else "B") + handle[middle + 1 :],
        handle[::-1],
        handle.swapcase(),
        "x",
        *(handle[:-1] + last for last in "ABCDQgw_-" if last != handle[-1]),
    }
    for one in altered:
        assert is_unknown(await paging.gateway.request(f"/?_page={one}")), one


@over_http
async def test_a_link_is_followed_by_get_alone_and_without_further_parameters(paging: PagingGateways) -> None:
    path = await paging.link()
    assert (await paging.gateway.request(f"{path}&_count=100")).status_code == 400
    assert (await paging.gateway.request(path, method="DELETE")).status_code == 405
    head = await paging.gateway.request(path, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")


def make_access(gateway: RunningGateway, **claims: Any) -> Access:
    """The access that the gateway reads from a token of these tests."""
    given = {"iss": ISSUER, "exp": 0, "sub": "someone", "client_id": "app", "scope": "patient/*.rs", "patient": "pat-a"}
    return access_from_claims({**given, **claims}, ClaimMapping(), [gateway.base_url])


@over_http
async def test_an_old_link_and_one_of_another_key_cannot_be_followed(paging: PagingGateways) -> None:
    access, now = make_access(paging.gateway), int(time.time())
    old = SealedPage("/Observation", "", "?page=1", now - 1)
    good = SealedPage("/Observation", "", "?page=1", now + 60)
    assert (await paging.gateway.request(f"/?_page={Sealer(KEY).seal(good, access)}")).status_code == 200
    assert is_unknown(await paging.gateway.request(f"/?_page={Sealer(KEY).seal(old, access)}"))
    assert is_unknown(await paging.gateway.request(f"/?_page={Sealer(KEY + b'!').seal(good, access)}"))


@over_http
async def test_processes_that_share_a_key_follow_each_others_links(paging: PagingGateways) -> None:
    """The request in the link is judged by the gateway that receives it: a link grants nothing."""
    path = await paging.link()
    claims = {"aud": paging.twin.base_url}
    assert (await paging.twin.request(path, claims=claims)).status_code == 200


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
pages = st.builds(SealedPage, texts, texts, texts, st.integers(1, 2**53), st.integers(0, 2**31))
accesses = st.builds(
    Access,
    names,
    names,
    st.none() | names,
    st.just(()),
    st.just(0.0),
    st.none() | names,
    st.none(),
    st.none() | st.builds(Reference, st.sampled_from(["Patient", "Practitioner"]), names),
    texts,
)


@given(pages, accesses, st.binary(min_size=32, max_size=64))
def test_what_was_sealed_is_opened_until_its_end(page: SealedPage, access: Access, key: bytes) -> None:
    handle = Sealer(key).seal(page, access)
    assert Sealer(key).open(handle, access, page.expires_at - 1) == page
    assert Sealer(key).open(handle, access, page.expires_at) is None


@given(pages, accesses, accesses, st.data())
def test_no_other_text_and_no_other_grant_opens_it(
    page: SealedPage, access: Access, other: Access, data: st.DataObject
) -> None:
    sealer = Sealer(KEY)
    handle = sealer.seal(page, access)
    place = data.draw(st.integers(0, len(handle) - 1) | st.just(len(handle) - 1))
    instead = data.draw(st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=2))
    altered = handle[:place] + instead + handle[place + 1 :]
    opened = sealer.open(altered, access, 0)
    assert opened == (page if altered == handle else None)
    assert sealer.open(handle, other, 0) == (page if other == access else None)


@pytest.mark.parametrize(("text", "shown"), [('["/Observation","","?page=1",9]', 0), ('["","","",9,2,"new"]', None)])
def test_a_link_of_another_release_is_opened_if_it_is_an_earlier_one(text: str, shown: int | None) -> None:
    access = Access("i", "c", None, (), 0.0)
    page = Sealer(KEY).open(seal_text(text, access), access, 0)
    assert page == (None if shown is None else SealedPage("/Observation", "", "?page=1", 9, shown))


def seal_text(text: str, access: Access) -> str:
    """A handle for any text, sealed with `KEY`."""
    bound = json.dumps([access.issuer, access.client_id, None, None, "None", ""], separators=(",", ":")).encode()
    cipher = AESSIV(hashlib.sha512(b"smart-fhir-gateway page\x00" + KEY).digest())
    sealed = cipher.encrypt(text.encode(), [hashlib.sha256(bound).digest()])
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_the_length_of_a_link_does_not_tell_how_much_was_shown(one: int, other: int) -> None:
    access = Access("i", "c", None, (), 0.0)
    pages = [SealedPage("/Observation", "_count=5", "/Observation?page=2", 9, shown) for shown in (one, other)]
    assert len({len(Sealer(KEY).seal(page, access)) for page in pages}) == 1


def test_a_text_longer_than_any_link_is_not_looked_at() -> None:
    sealer = Sealer(KEY)
    access = Access("i", "c", None, (), 0.0)
    handle = sealer.seal(SealedPage("/Observation", "x" * MAX_SEALED_LENGTH, "", 1), access)
    assert sealer.open(handle, access, 0) is None


@pytest.mark.parametrize(
    "seed", SEEDS, ids=["a search", "the system", "other alphabets", "past its end", "a page in part"]
)
def test_the_fuzz_target_holds_for_a_seed(seed: bytes) -> None:
    check(seed)


@pytest.mark.fuzz
def test_the_fuzz_target_holds_for_altered_links_and_for_noise() -> None:
    chance = random.Random("sealed pages")
    for _ in range(6000):
        for data in (mutated(chance), chance.randbytes(chance.randint(0, 64))):
            try:
                check(data)
            except Exception as error:
                error.add_note(f"with {data!r}")
                raise


@given(st.integers(60, 4000), st.integers(0, 3000))
def test_a_handle_that_must_be_short_is_short_and_otherwise_none(max_handle: int, length: int) -> None:
    access, sealer = Access("i", "c", None, (), 0.0), Sealer(KEY)
    page = SealedPage("/Observation", "x" * length, "/Observation?page=2", 9)
    handle = sealer.seal_within(text_limit(max_handle), page, access)
    assert handle == (sealer.seal(page, access) if len(sealer.seal(page, access)) <= max_handle else None)


@given(pages, accesses, accesses)
def test_what_is_stored_opens_for_its_own_grant_alone_and_only_as_what_it_is(
    page: SealedPage, access: Access, other: Access
) -> None:
    sealer = Sealer(KEY)
    stored = sealer.seal_for_store(page, access)
    assert sealer.open_stored(stored, access, page.expires_at - 1) == page
    assert sealer.open_stored(stored, access, page.expires_at) is None
    assert sealer.open_stored(stored, other, 0) == (page if other == access else None)
    assert sealer.open_stored(stored[:-1], access, 0) is None
    handle = base64.urlsafe_b64encode(stored).rstrip(b"=").decode()
    assert sealer.open(handle, access, 0) is None
    inline = base64.urlsafe_b64decode(sealer.seal(page, access) + "==")
    assert sealer.open_stored(inline, access, 0) is None
