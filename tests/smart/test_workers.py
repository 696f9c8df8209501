"""Two workers on one Redis: what may happen once happens once, and what ends for one ends for both."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx2
import pytest
import pytest_asyncio

from tests.servers import valkey
from tests.servers.valkey import Stored
from tests.smart.app import JWT_BEARER, App
from tests.smart.house import CALLBACK, House
from tests.smart.workers import at, workers

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid offline_access patient/*.rs"
TRIES = 1000
AT_ONCE = 50


@dataclass
class Pair:
    """A house of two workers, with their roots and their store."""

    house: House
    roots: list[str]
    store: Stored

    def both(self, app: App) -> list[App]:
        """The app as it reaches each worker."""
        return [at(app, root) for root in self.roots]


@pytest.fixture(scope="module")
def store() -> Iterator[Stored]:
    with valkey.standalone() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(fhir_server: str, store: Stored) -> AsyncIterator[Pair]:
    async with workers(fhir_server, store.url) as (house, roots):
        yield Pair(house, roots, store)


async def many(apps: list[App], ask: "Ask", tries: int = TRIES) -> list[httpx2.Response]:
    """The answers to so many tries, some at once, at both workers in turn."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> httpx2.Response:
        async with gate:
            return await ask(apps[number % len(apps)])

    return await asyncio.gather(*[one(number) for number in range(tries)])


class Ask:
    """One kind of request, made again and again."""

    def __init__(self, what: str, value: str) -> None:
        self.what = what
        self.value = value

    async def __call__(self, app: App) -> httpx2.Response:
        match self.what:
            case "code":
                return await app.exchange(self.value)
            case "refresh":
                return await app.refresh(self.value)
        form: dict[str, str | None] = {
            "grant_type": "client_credentials",
            "scope": "system/Patient.rs",
            "client_assertion": self.value,
            "client_assertion_type": JWT_BEARER,
        }
        return await app.post("/token", form)


def statuses(answers: list[httpx2.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


@pytest.mark.requirement("A-14", "T-14", "edge-46")
async def test_of_a_thousand_exchanges_of_one_code_at_two_workers_one_is_answered(pair: Pair) -> None:
    app = pair.house.app()
    code = await pair.house.code(app, SCOPE)
    answers = await many(pair.both(app), Ask("code", code))
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) <= 1
    assert statuses(answers)[400] == TRIES - len(won)
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    for answer in won:
        for one in pair.both(app):
            assert (await one.read("/Patient/pat-a", answer.json()["access_token"])).status_code == 401


@pytest.mark.requirement("RF-8", "edge-60")
async def test_a_thousand_retries_of_one_refresh_get_one_successor(pair: Pair) -> None:
    app = pair.house.app()
    first = (await pair.house.tokens(app, SCOPE))["refresh_token"]
    answers = await many(pair.both(app), Ask("refresh", first))
    assert statuses(answers) == {200: TRIES}
    successors = {answer.json()["refresh_token"] for answer in answers}
    assert len(successors) == 1
    assert first not in successors


@pytest.mark.requirement("CA-7", "edge-71")
async def test_of_a_thousand_uses_of_one_assertion_at_two_workers_one_is_accepted(pair: Pair) -> None:
    app = pair.house.app("backend")
    answers = await many(pair.both(app), Ask("assertion", app.assertion()))
    assert statuses(answers) == {200: 1, 400: TRIES - 1}


@pytest.mark.requirement("E-9", "edge-29")
async def test_of_many_uses_of_one_launch_at_two_workers_one_goes_on(pair: Pair) -> None:
    house = pair.house
    launch = await house.http.post(
        f"{house.issuer}/launch",
        json={"client_id": "public-app", "context": {"patient": "pat-a"}},
        auth=("ehr", "a-long-secret-of-the-ehr"),
    )
    handle = launch.json()["launch"]
    url = house.app().authorization_url("launch patient/*.rs", launch=handle)
    urls = [url.replace(house.root, root, 1) for root in pair.roots]
    answers = await asyncio.gather(*[house.http.get(urls[number % 2]) for number in range(100)])
    went_on = [one for one in answers if not one.headers["location"].startswith(CALLBACK)]
    assert len(went_on) == 1


@pytest.mark.requirement("RV-3")
async def test_a_revocation_at_one_worker_is_in_force_at_the_other_within_a_second(pair: Pair) -> None:
    app = pair.house.app()
    here, there = pair.both(app)
    answer = await pair.house.tokens(app, SCOPE)
    for one in (here, there):
        assert (await one.read("/Patient/pat-a", answer["access_token"])).status_code == 200
    revoked = await here.post("/revoke", {"token": answer["refresh_token"]})
    assert revoked.status_code == 200
    deadline = time.monotonic() + 1.0
    while (await there.read("/Patient/pat-a", answer["access_token"])).status_code != 401:
        assert time.monotonic() < deadline
    assert (await there.refresh(answer["refresh_token"])).json()["error"] == "invalid_grant"


async def test_both_workers_sign_with_one_key(pair: Pair) -> None:
    sets = [(await pair.house.http.get(f"{root}/auth/jwks")).json() for root in pair.roots]
    assert sets[0] == sets[1]


async def test_with_the_store_away_known_tokens_live_on_for_seconds_and_nothing_else_is_allowed(pair: Pair) -> None:
    app = pair.house.app()
    here, there = pair.both(app)
    answer = await pair.house.tokens(app, SCOPE)
    token = answer["access_token"]
    assert (await here.read("/Patient/pat-a", token)).status_code == 200
    pair.store.nodes[0].kill()
    try:
        assert (await here.read("/Patient/pat-a", token)).status_code == 200
        unseen = await there.read("/Patient/pat-a", token)
        assert unseen.status_code == 503
        assert unseen.headers["retry-after"]
        assert unseen.json()["resourceType"] == "OperationOutcome"
        refused = await here.refresh(answer["refresh_token"])
        assert refused.status_code == 503
        assert refused.json()["error"] == "temporarily_unavailable"
        assert refused.headers["cache-control"] == "no-store"
        page = await pair.house.http.get(app.authorization_url(SCOPE))
        assert page.status_code == 503
        assert "text/html" in page.headers["content-type"]
        assert (await pair.house.http.get(f"{pair.roots[0]}/readyz")).status_code == 503
        assert (await pair.house.http.get(f"{pair.roots[0]}/healthz")).status_code == 200
        deadline = time.monotonic() + 15.0
        while (await here.read("/Patient/pat-a", token)).status_code != 503:
            assert time.monotonic() < deadline, "a token must not live on for long"
            await asyncio.sleep(0.2)
    finally:
        pair.store.nodes[0].start().ready()
    deadline = time.monotonic() + 10.0
    while (await here.read("/Patient/pat-a", token)).status_code != 401:
        assert time.monotonic() < deadline, "a store that came back empty knows no token"
        await asyncio.sleep(0.1)
