"""Two workers with one Redis: single use and revocation hold for both."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from gateway.credentials.unverified_token import parse_token
from gateway.storage import store_keys
from tests.servers import valkey
from tests.servers.valkey import RunningStore
from tests.smart_server.admin_client import admin_request
from tests.smart_server.claimed_addresses import come_from
from tests.smart_server.client_credentials import FORM, basic_auth
from tests.smart_server.running_server import CALLBACK, SECRET, RunningServer
from tests.smart_server.smart_app import JWT_BEARER, App
from tests.smart_server.worker_processes import app_at, run_workers

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid offline_access patient/*.rs"
TRIES = 1000
AT_ONCE = 50
ENDED_CHANNEL = store_keys.REDIS_PREFIX + store_keys.REDIS_CHANNEL + store_keys.ENDED_CHANNEL


@dataclass
class WorkerPair:
    """A server of two workers, with their root URLs and their store."""

    server: RunningServer
    roots: list[str]
    store: RunningStore

    def both(self, app: App) -> list[App]:
        """The app with requests to each worker."""
        return [app_at(app, root) for root in self.roots]


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStore]:
    with valkey.standalone() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(fhir_server: str, store: RunningStore) -> AsyncIterator[WorkerPair]:
    async with run_workers(fhir_server, store.url, change=permit_late_retries) as (server, roots):
        yield WorkerPair(server, roots, store)


def permit_late_retries(settings: dict[str, Any]) -> None:
    """A thousand retries may take a busy machine longer than the default allows."""
    settings["smart_server"]["lifetimes"] = {"refresh_grace_seconds": 60}


async def repeat_request(apps: list[App], ask: "TokenRequest", tries: int = TRIES) -> list[httpx2.Response]:
    """The responses to repeated requests, several at once, alternately at both workers."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> httpx2.Response:
        async with gate:
            return await ask(apps[number % len(apps)])

    return await asyncio.gather(*[one(number) for number in range(tries)])


class TokenRequest:
    """A kind of request that is repeated."""

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


def count_statuses(answers: list[httpx2.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


@pytest.mark.requirement("A-14", "T-14", "edge-46")
async def test_of_a_thousand_exchanges_of_one_code_at_two_workers_one_is_answered(pair: WorkerPair) -> None:
    app = pair.server.app()
    code = await pair.server.request_code(app, SCOPE)
    answers = await repeat_request(pair.both(app), TokenRequest("code", code))
    successes = [answer for answer in answers if answer.status_code == 200]
    assert len(successes) <= 1
    assert count_statuses(answers)[400] == TRIES - len(successes)
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    for answer in successes:
        for item in pair.both(app):
            assert (await item.read("/Patient/pat-a", answer.json()["access_token"])).status_code == 401


@pytest.mark.requirement("RF-8", "edge-60")
async def test_a_thousand_retries_of_one_refresh_get_one_successor(pair: WorkerPair) -> None:
    app = pair.server.app()
    first = (await pair.server.request_tokens(app, SCOPE))["refresh_token"]
    answers = await repeat_request(pair.both(app), TokenRequest("refresh", first))
    assert count_statuses(answers) == {200: TRIES}
    successors = {answer.json()["refresh_token"] for answer in answers}
    assert len(successors) == 1
    assert first not in successors


@pytest.mark.requirement("CA-7", "edge-71")
async def test_of_a_thousand_uses_of_one_assertion_at_two_workers_one_is_accepted(pair: WorkerPair) -> None:
    app = pair.server.app("backend")
    answers = await repeat_request(pair.both(app), TokenRequest("assertion", app.assertion()))
    assert count_statuses(answers) == {200: 1, 400: TRIES - 1}


@pytest.mark.requirement("E-9", "edge-29")
async def test_of_many_uses_of_one_launch_at_two_workers_one_goes_on(pair: WorkerPair) -> None:
    server = pair.server
    launch = await server.http.post(
        f"{server.issuer}/launch",
        json={"client_id": "public-app", "context": {"patient": "pat-a"}},
        auth=("ehr", "a-long-secret-of-the-ehr"),
    )
    handle = launch.json()["launch"]
    url = server.app().authorization_url("launch patient/*.rs", launch=handle)
    urls = [url.replace(server.root, root, 1) for root in pair.roots]
    answers = await asyncio.gather(*[server.http.get(urls[number % 2]) for number in range(100)])
    went_on = [response for response in answers if not response.headers["location"].startswith(CALLBACK)]
    assert len(went_on) == 1


async def test_wrong_secrets_at_two_workers_are_counted_together(pair: WorkerPair) -> None:
    async def send(number: int, secret: str, address: str) -> int:
        headers = {**basic_auth(f"old-app:{secret}"), **come_from(address)}
        response = await pair.server.http.post(f"{pair.roots[number % 2]}/auth/token", data=FORM, headers=headers)
        return response.status_code

    assert await send(0, SECRET, "192.0.2.1") == 400, "the client is authenticated, and the code is wrong"
    guesses = [await send(number, "guess", "192.0.2.1") for number in range(32)]
    assert guesses == [401] * 30 + [429] * 2
    assert await send(1, SECRET, "192.0.2.1") == 400, "the address is known at the other worker"
    assert await send(1, "guess", "198.51.100.1") == 401


@pytest.mark.requirement("RV-3")
async def test_a_revocation_at_one_worker_is_in_force_at_the_other_within_a_second(pair: WorkerPair) -> None:
    app = pair.server.app()
    here, there = pair.both(app)
    answer = await pair.server.request_tokens(app, SCOPE)
    for item in (here, there):
        assert (await item.read("/Patient/pat-a", answer["access_token"])).status_code == 200
    revoked = await here.post("/revoke", {"token": answer["refresh_token"]})
    assert revoked.status_code == 200
    deadline = time.monotonic() + 1.0
    while (await there.read("/Patient/pat-a", answer["access_token"])).status_code != 401:
        assert time.monotonic() < deadline
    assert (await there.refresh(answer["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.requirement("RV-3")
async def test_a_revocation_that_was_published_while_nobody_listened_is_in_force_within_a_second(
    pair: WorkerPair,
) -> None:
    app = pair.server.app()
    here, there = pair.both(app)
    with contextlib.closing(pair.store.nodes[0].client()) as client:
        for _ in range(5):
            answer = await pair.server.request_tokens(app, SCOPE)
            for item in (here, there):
                assert (await item.read("/Patient/pat-a", answer["access_token"])).status_code == 200
            assert client.client_kill_filter(_type="pubsub") == 2
            assert (await here.post("/revoke", {"token": answer["refresh_token"]})).status_code == 200
            deadline = time.monotonic() + 1.0
            while (await there.read("/Patient/pat-a", answer["access_token"])).status_code != 401:
                assert time.monotonic() < deadline
            while len(client.pubsub_numsub(ENDED_CHANNEL)) != 1 or client.pubsub_numsub(ENDED_CHANNEL)[0][1] != 2:
                assert time.monotonic() < deadline + 5.0, "both listen again"


@pytest.mark.requirement("RV-3")
async def test_a_disabled_user_is_out_at_both_workers_within_a_second(pair: WorkerPair) -> None:
    app, person = pair.server.app(), pair.server.person()
    here, there = pair.both(app)
    answer = await pair.server.request_tokens(app, SCOPE, user="nurse", person=person)
    for item in (here, there):
        assert (await item.read("/Patient/pat-a", answer["access_token"])).status_code == 200
    assert (await admin_request(pair.server, "POST", "/users/disable", {"user": "nurse"})).status_code == 200
    deadline = time.monotonic() + 1.0
    while (await there.read("/Patient/pat-a", answer["access_token"])).status_code != 401:
        assert time.monotonic() < deadline
    assert (await there.refresh(answer["refresh_token"])).json()["error"] == "invalid_grant"
    assert "/sign-in" in (await person.open(f"{pair.server.issuer}/manage")).url
    assert (await admin_request(pair.server, "POST", "/users/enable", {"user": "nurse"})).status_code == 200


async def test_a_leaked_signing_key_is_replaced_at_both_workers_within_a_second(pair: WorkerPair) -> None:
    app = pair.server.app()
    rotated = (await admin_request(pair.server, "POST", "/keys/rotate?now=true")).json()
    deadline = time.monotonic() + 1.0
    for root in pair.roots:
        while kids(await pair.server.http.get(f"{root}/auth/jwks")) != rotated["keys"]:
            assert time.monotonic() < deadline
    code = await pair.server.request_code(app, SCOPE)
    id_token = (await pair.both(app)[1].exchange(code)).json()["id_token"]
    assert parse_token(id_token).header["kid"] == rotated["keys"][0]


def kids(response: httpx2.Response) -> list[str]:
    """The ids of the keys in a JWKS."""
    return [key["kid"] for key in response.json()["keys"]]


async def test_both_workers_sign_with_one_key(pair: WorkerPair) -> None:
    sets = [(await pair.server.http.get(f"{root}/auth/jwks")).json() for root in pair.roots]
    assert sets[0] == sets[1]


async def test_with_the_store_away_known_tokens_live_on_for_seconds_and_nothing_else_is_allowed(
    pair: WorkerPair,
) -> None:
    app = pair.server.app()
    here, there = pair.both(app)
    answer = await pair.server.request_tokens(app, SCOPE)
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
        page = await pair.server.http.get(app.authorization_url(SCOPE))
        assert page.status_code == 503
        assert "text/html" in page.headers["content-type"]
        assert (await pair.server.http.get(f"{pair.roots[0]}/readyz")).status_code == 503
        assert (await pair.server.http.get(f"{pair.roots[0]}/healthz")).status_code == 200
        deadline = time.monotonic() + 15.0
        while (await here.read("/Patient/pat-a", token)).status_code != 503:
            assert time.monotonic() < deadline, "a token must not live on for long"
            await asyncio.sleep(0.2)
    finally:
        pair.store.nodes[0].start().wait_until_ready()
    deadline = time.monotonic() + 10.0
    while (await here.read("/Patient/pat-a", token)).status_code != 401:
        assert time.monotonic() < deadline, "a store that came back empty knows no token"
        await asyncio.sleep(0.1)
