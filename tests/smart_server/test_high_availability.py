"""Two workers under load while their store is emptied, frozen or killed: nothing is used twice, or allowed wrongly.

Each fault meets codes, launches, assertions and refresh tokens of three ages: used before it, used while it lasts, and
used after it. All are sent again and again to both workers until the store has recovered.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpx2
import pytest
import pytest_asyncio

from tests.servers.valkey import RunningStore
from tests.smart_server.ehr_launcher import create_launch
from tests.smart_server.running_server import CALLBACK, RunningServer
from tests.smart_server.smart_app import JWT_BEARER, App
from tests.smart_server.store_faults import FAULTS, TOPOLOGIES
from tests.smart_server.worker_processes import app_at, run_workers

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid offline_access patient/*.rs"
OF_EACH_KIND = 6
RECOVERY_DEADLINE = 30.0

Send = Callable[[int], Awaitable[httpx2.Response]]


@dataclass
class SingleUse:
    """Something that may be used once. `send` uses it at a worker; `result` is what a success gives, or None."""

    kind: str
    send: Send
    result: Callable[[httpx2.Response], str | None]
    results: set[str] = field(default_factory=set)


@dataclass
class Installation:
    """Two workers with one store."""

    server: RunningServer
    roots: list[str]
    store: RunningStore
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)

    def at(self, app: App, worker: int) -> App:
        return app_at(app, self.roots[worker])

    async def items(self) -> list[SingleUse]:
        """Unused codes, launches and assertions, and refresh tokens."""
        app, backend = self.server.app(), self.server.app("backend")
        found = []
        for _ in range(OF_EACH_KIND):
            found.append(self._code(app, await self.server.request_code(app, SCOPE)))
            found.append(self._launch(app, await create_launch(self.server, context={"patient": "pat-a"})))
            found.append(self._assertion(backend, backend.assertion()))
            found.append(self._refresh(app, (await self.server.request_tokens(app, SCOPE))["refresh_token"]))
        return found

    def _code(self, app: App, code: str) -> SingleUse:
        return SingleUse("code", lambda worker: self.at(app, worker).exchange(code), _access_token)

    def _refresh(self, app: App, token: str) -> SingleUse:
        """Repeated, it gives the same successor again (RF-8)."""
        return SingleUse("refresh token", lambda worker: self.at(app, worker).refresh(token), _refresh_token)

    def _assertion(self, app: App, assertion: str) -> SingleUse:
        form: dict[str, str | None] = {
            "grant_type": "client_credentials",
            "scope": "system/Patient.rs",
            "client_assertion": assertion,
            "client_assertion_type": JWT_BEARER,
        }
        return SingleUse("assertion", lambda worker: self.at(app, worker).post("/token", form), _access_token)

    def _launch(self, app: App, handle: str) -> SingleUse:
        url = app.authorization_url("launch patient/*.rs", launch=handle)
        urls = [url.replace(self.server.root, root, 1) for root in self.roots]
        return SingleUse("launch", lambda worker: self.server.http.get(urls[worker]), _login_page)

    async def use(self, item: SingleUse, worker: int) -> None:
        """Use it once more at a worker."""
        response = await item.send(worker)
        self.statuses[item.kind, response.status_code] += 1
        if (result := item.result(response)) is not None:
            item.results.add(result)

    async def revoked_token(self) -> str:
        """An access token whose revocation was confirmed."""
        app = self.server.app()
        tokens = await self.server.request_tokens(app, SCOPE)
        response = await app.post("/revoke", {"token": tokens["access_token"]})
        assert response.status_code == 200
        return str(tokens["access_token"])

    async def is_recovered(self, app: App) -> bool:
        """Whether new tokens of one worker serve at the other, three times in a row: their keys are on all servers."""
        backend = self.server.app("backend")
        for worker in (0, 1, 0):
            form: dict[str, str | None] = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
            response = await self.at(backend, worker).post("/token", form)
            if response.status_code != 200:
                return False
            token = response.json()["access_token"]
            if (await self.at(app, 1 - worker).read("/Patient/pat-a", token)).status_code != 200:
                return False
        return True


def _member(response: httpx2.Response, name: str) -> str | None:
    return str(response.json()[name]) if response.status_code == 200 else None


def _access_token(response: httpx2.Response) -> str | None:
    return _member(response, "access_token")


def _refresh_token(response: httpx2.Response) -> str | None:
    return _member(response, "refresh_token")


def _login_page(response: httpx2.Response) -> str | None:
    location = response.headers.get("location", "")
    return location if response.is_redirect and not location.startswith(CALLBACK) else None


@pytest.fixture(scope="module", params=TOPOLOGIES)
def topology(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(fhir_server: str, topology: str) -> AsyncIterator[Installation]:
    with TOPOLOGIES[topology]() as store:
        async with run_workers(fhir_server, store.url) as (server, roots):
            yield Installation(server, roots, store)


@pytest.mark.requirement("A-14", "RF-8", "CA-7", "E-9", "edge-46", "edge-71", "edge-29")
@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_is_used_twice_while_the_store_is(installation: Installation, topology: str, fault: str) -> None:
    items, revoked = await installation.items(), await installation.revoked_token()
    app, is_over = installation.server.app(), asyncio.Event()
    installation.statuses.clear()
    reads: Counter[int] = Counter()

    async def use_again_and_again(worker: int) -> None:
        # One more item from round to round, so that some are used for the first time during the fault, or after it.
        for round_number in itertools.count(1):
            for item in items[: round_number * 3]:
                await installation.use(item, worker)
            reads[(await installation.at(app, worker).read("/Patient/pat-a", revoked)).status_code] += 1
            if is_over.is_set() and round_number * 3 >= len(items):
                return

    load = [asyncio.create_task(use_again_and_again(worker)) for worker in (0, 1)]
    while not any(item.results for item in items):  # noqa: ASYNC110 (what the workers answer sets no event here)
        await asyncio.sleep(0.01)
    began = time.monotonic()
    async with asyncio.timeout(RECOVERY_DEADLINE), FAULTS[fault](installation.store):
        while not await installation.is_recovered(app):
            pass
        seconds = time.monotonic() - began
    # The old primary has come back meanwhile.
    is_over.set()
    await asyncio.gather(*load)
    print(f"{topology} {fault}: {seconds:.1f} s to recovery; {_errors(installation.statuses)}")  # noqa: T201
    assert {(item.kind, len(item.results)) for item in items if len(item.results) > 1} == set()
    assert 200 not in reads, "a revoked token was accepted"
    assert {status for _, status in installation.statuses} <= {200, 302, 303, 400, 401, 503}


def _errors(statuses: Counter[tuple[str, int]]) -> str:
    unavailable = sum(count for (_, status), count in statuses.items() if status == 503)
    return f"{unavailable} of {statuses.total()} requests answered 503"
