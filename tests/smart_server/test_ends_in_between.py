"""What is ended between any two steps of a token request stays ended, whatever the request answers."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from gateway.storage.backends.memory_store import MemoryStore
from tests.smart_server.running_server import RunningServer, run_smart_server
from tests.smart_server.signed_in_user import add_user

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

CLIENT = "house-app"
SCOPE = "launch/patient online_access openid patient/Patient.r"
_OPERATIONS = (
    "get", "put", "put_new", "take", "replace", "delete", "add_member", "remove_member", "members", "publish",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server that does not limit how many codes and tokens are refused."""

    def without_limit(settings: dict[str, Any]) -> None:
        settings["smart_server"]["rate_limits"] = {"failed_grants": 0, "token_requests": 0}

    async with run_smart_server(fhir_server, change=without_limit) as running:
        yield running


async def end_at(
    monkeypatch: pytest.MonkeyPatch, number: int, end: Callable[[], Awaitable[Any]], request: Awaitable[httpx2.Response]
) -> tuple[httpx2.Response, bool]:
    """The response to a request, and whether `end` was called: before this store operation of the request."""
    operations, is_ending, has_ended = itertools.count(), False, False

    def interrupt(real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def operate(*arguments: Any) -> Any:
            nonlocal is_ending, has_ended
            if not is_ending and next(operations) == number:
                is_ending = has_ended = True
                await end()
                is_ending = False
            return await real(*arguments)

        return operate

    with monkeypatch.context() as during:
        for name in _OPERATIONS:
            during.setattr(MemoryStore, name, interrupt(getattr(MemoryStore, name)))
        response = await request
    return response, has_ended


async def end_user(server: RunningServer, username: str) -> None:
    await _storage(server).ends.end_user(username)


async def end_sessions(server: RunningServer, username: str) -> None:
    storage = _storage(server)
    await storage.ends.end_sessions(await storage.sessions.find_ids_of_user(username))


async def end_grants(server: RunningServer, username: str) -> None:
    storage = _storage(server)
    ids = await storage.authorizations.find_ids(subject=username, client_id=CLIENT)
    await storage.ends.end_authorizations(ids)


async def disable_user(server: RunningServer, username: str) -> None:
    storage = _storage(server)
    await storage.user_states.disable(username, username)
    await storage.ends.end_user(username)


ENDS = [end_user, end_sessions, end_grants]


@pytest.mark.requirement("RV-1", "edge-46", "edge-62")
@pytest.mark.parametrize("end", ENDS)
async def test_a_code_that_is_redeemed_meanwhile_gives_no_access(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, end: Callable[[RunningServer, str], Awaitable[None]]
) -> None:
    app = server.app(CLIENT)
    for number in itertools.count():
        username = f"redeemer-{end.__name__}-{number}"
        await add_user(server, username)
        code = await server.request_code(app, SCOPE, user=username)
        response, has_ended = await end_at(monkeypatch, number, lambda: end(server, username), app.exchange(code))  # noqa: B023
        if not has_ended:
            assert response.status_code == 200
            break
        await assert_without_access(server, response)
    assert number > 10


@pytest.mark.requirement("RV-1", "RF-2", "edge-62")
@pytest.mark.parametrize("end", ENDS)
async def test_a_token_that_is_refreshed_meanwhile_gives_no_access(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, end: Callable[[RunningServer, str], Awaitable[None]]
) -> None:
    app = server.app(CLIENT)
    for number in itertools.count():
        username = f"refresher-{end.__name__}-{number}"
        await add_user(server, username)
        tokens = await server.request_tokens(app, SCOPE, user=username)
        request = app.refresh(tokens["refresh_token"])
        response, has_ended = await end_at(monkeypatch, number, lambda: end(server, username), request)  # noqa: B023
        if not has_ended:
            assert response.status_code == 200
            break
        await assert_without_access(server, response)
        assert (await app.refresh(tokens["refresh_token"])).status_code == 400
    assert number > 5


@pytest.mark.requirement("edge-62")
@pytest.mark.parametrize("end", [end_sessions, disable_user])
async def test_a_consent_that_is_given_meanwhile_gives_no_access(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, end: Callable[[RunningServer, str], Awaitable[None]]
) -> None:
    app = server.app("public-app")
    for number in itertools.count():
        username = f"consenter-{end.__name__}-{number}"
        await add_user(server, username)
        person, page = await server.open_consent_page(app, SCOPE, user=username)

        async def agree() -> httpx2.Response:
            after = await person.agree(page)  # noqa: B023
            code = None if after.left_for is None else after.parameters.get("code")
            return httpx2.Response(400) if code is None else httpx2.Response(200, json={"code": code})

        response, has_ended = await end_at(monkeypatch, number, lambda: end(server, username), agree())  # noqa: B023
        if not has_ended:
            break
        if response.status_code == 200:
            assert (await app.exchange(response.json()["code"])).status_code == 400
    assert number > 10


async def assert_without_access(server: RunningServer, response: httpx2.Response) -> None:
    """Whatever was issued gives no access."""
    assert response.status_code in {200, 400}, response.text
    if response.status_code == 200:
        tokens, app = response.json(), server.app(CLIENT)
        assert (await app.read("/Patient/pat-a", tokens["access_token"])).status_code == 401
        assert (await app.refresh(tokens["refresh_token"])).status_code == 400


def _storage(server: RunningServer) -> Any:
    smart_server = server.gateway._smart_server
    assert smart_server is not None
    return smart_server._storage
