"""Authentication at the FHIR server with tokens from a real token endpoint."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from pydantic import SecretStr
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gateway.settings.serving.upstream import ClientCredentials
from gateway.upstream.authenticated_exchange import AuthenticatedExchange
from gateway.upstream.client_credentials import ClientCredentialsAuthentication
from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.documents.control_client import ControlClient
from gateway.upstream.exchange_types import Request, Unreachable
from tests.upstream.oauth_and_fhir_server import CLIENT, GET, POST, SECRET, OAuthAndFhirServer
from tests.upstream.raw_server import LIMIT, open_pool
from tests.upstream.test_real_servers import running_uvicorn


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def credentials_settings(token_endpoint: str, secret: str = SECRET) -> ClientCredentials:
    """The settings of the client credentials grant at a token endpoint."""
    return ClientCredentials(
        kind="client_credentials",
        token_endpoint=token_endpoint,
        client_id=CLIENT,
        client_secret=SecretStr(secret),
        scope="system/*.rs",
        audience="urn:fhir",
    )


class Setup:
    """An exchange that authenticates with tokens of the server."""

    def __init__(
        self, servers: OAuthAndFhirServer, clock: Clock, exchange: AuthenticatedExchange, pool: ConnectionPool
    ) -> None:
        self.servers = servers
        self.clock = clock
        self.pool = pool
        self._exchange = exchange

    async def fetch(self, request: Request = GET) -> tuple[int, bytes]:
        answer = await self._exchange.send(request)
        return answer.status, await answer.read(LIMIT)


@contextlib.asynccontextmanager
async def running_setup(
    method: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic",
    secret: str = SECRET,
) -> AsyncIterator[Setup]:
    servers, clock, client = OAuthAndFhirServer(), Clock(), ControlClient(timeout=5.0)
    async with running_uvicorn(servers.application()) as origin, open_pool(origin + "/fhir") as pool:
        credentials = credentials_settings(origin + "/token", secret)
        authentication = ClientCredentialsAuthentication(credentials, client, clock, method)
        try:
            yield Setup(servers, clock, AuthenticatedExchange(pool, authentication), pool)
        finally:
            await authentication.aclose()
            await client.aclose()


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_token_is_fetched_once_and_used_often(
    method: Literal["client_secret_basic", "client_secret_post"],
) -> None:
    async with running_setup(method) as setup:
        for _ in range(3):
            assert await setup.fetch() == (200, b"hello")
        assert setup.servers.issued == 1
        form = setup.servers.forms[0]
        assert (form["grant_type"], form["scope"], form["audience"]) == (
            "client_credentials",
            "system/*.rs",
            "urn:fhir",
        )
        assert ("client_secret" in form) is (method == "client_secret_post")


async def test_many_requests_at_once_fetch_one_token() -> None:
    async with running_setup() as setup:
        setup.servers.may_respond.clear()
        tasks = [asyncio.create_task(setup.fetch()) for _ in range(20)]
        await asyncio.sleep(0)
        setup.servers.may_respond.set()
        assert [await task for task in tasks] == [(200, b"hello")] * 20
        assert setup.servers.issued == 1


async def test_a_caller_who_gives_up_does_not_take_the_token_from_the_others() -> None:
    async with running_setup() as setup:
        setup.servers.may_respond.clear()
        first, second = asyncio.create_task(setup.fetch()), asyncio.create_task(setup.fetch())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        setup.servers.may_respond.set()
        assert await second == (200, b"hello")
        assert setup.servers.issued == 1


@pytest.mark.parametrize(
    ("lifetime", "still", "renewed"),
    [(300, 269.0, 271.0), ("300", 269.0, 271.0), (20, 17.0, 19.0), (None, 269.0, 271.0)],
    ids=["a number", "a string", "a short life", "no expires_in"],
)
async def test_a_token_is_renewed_shortly_before_it_expires(lifetime: object, still: float, renewed: float) -> None:
    async with running_setup() as setup:
        setup.servers.lifetime = lifetime
        start = setup.clock.now
        await setup.fetch()
        setup.clock.now = start + still
        await setup.fetch()
        assert setup.servers.issued == 1
        setup.clock.now = start + renewed
        await setup.fetch()
        assert setup.servers.issued == 2


async def test_a_get_that_meets_a_revoked_token_is_tried_once_more_with_a_new_one() -> None:
    async with running_setup() as setup:
        await setup.fetch()
        setup.servers.valid.clear()
        setup.clock.now += 10
        assert await setup.fetch() == (200, b"hello")
        assert [proof for _, proof in setup.servers.requests] == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
        assert setup.pool.in_use == 0


async def test_a_post_that_meets_a_revoked_token_is_not_repeated_but_the_next_has_a_new_one() -> None:
    async with running_setup() as setup:
        await setup.fetch()
        setup.servers.valid.clear()
        setup.clock.now += 10
        assert (await setup.fetch(POST))[0] == 401
        assert await setup.fetch(POST) == (200, b"hello")
        assert setup.servers.issued == 2


async def test_a_server_that_refuses_every_token_is_not_asked_forever() -> None:
    async with running_setup() as setup:
        setup.servers.refuse_all = True
        for _ in range(5):
            assert (await setup.fetch())[0] == 401
        assert (setup.servers.issued, len(setup.servers.requests)) == (1, 5)


BAD_RESPONSES = {
    "an error": (JSONResponse({"error": "invalid_scope"}, 400), "status 400"),
    "no JSON": (PlainTextResponse("<html>"), "no token response"),
    "no token": (JSONResponse({"token_type": "Bearer"}), "no token response"),
    "another type of token": (JSONResponse({"access_token": "a", "token_type": "DPoP"}), "other than a bearer token"),
    "a token with a line end": (
        JSONResponse({"access_token": "a\r\nx: y", "token_type": "Bearer"}),
        "other than a bearer token",
    ),
    "a life that is over": (
        JSONResponse({"access_token": "a", "token_type": "Bearer", "expires_in": 0}),
        "already expired",
    ),
    "a redirect": (Response(status_code=302, headers={"location": "/elsewhere"}), "status 302"),
}


@pytest.mark.parametrize("name", BAD_RESPONSES)
async def test_an_answer_that_is_no_token(name: str) -> None:
    answer, reason = BAD_RESPONSES[name]
    async with running_setup() as setup:
        setup.servers.token_response = answer
        with pytest.raises(Unreachable, match=reason):
            await setup.fetch()
        assert setup.servers.requests == []


async def test_a_refusal_is_remembered_for_a_moment() -> None:
    async with running_setup(secret="wrong") as setup:
        for _ in range(3):
            with pytest.raises(Unreachable, match="status 401") as caught:
                await setup.fetch()
            assert "wrong" not in str(caught.value)
        assert len(setup.servers.forms) == 1
        setup.clock.now += 2
        with pytest.raises(Unreachable):
            await setup.fetch()
        assert len(setup.servers.forms) == 2


async def test_a_clients_own_authorization_never_goes_upstream() -> None:
    async with running_setup() as setup:
        with pytest.raises(ValueError, match="client's authorization"):
            await setup.fetch(Request(b"GET", b"/fhir/a", ((b"authorization", b"Bearer client"),)))
        assert setup.servers.requests == []


def test_secrets_do_not_show_in_a_representation() -> None:
    assert SECRET not in repr(credentials_settings("https://as.example/token"))
