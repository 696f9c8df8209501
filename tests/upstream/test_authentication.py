"""How the gateway proves itself to the FHIR server, with a real token endpoint and a real resource server."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Literal
from urllib.parse import parse_qsl, unquote_plus

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Incoming
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.upstream.authentication import (
    AuthenticatedExchange,
    ClientCredentials,
    ClientCredentialsAuthentication,
    basic,
    bearer,
    no_authentication,
)
from gateway.upstream.control import ControlClient
from gateway.upstream.exchange import Request, Unreachable
from gateway.upstream.pool import ConnectionPool
from tests.upstream.raw import LIMIT, pool_of
from tests.upstream.test_real_servers import running_uvicorn

GET = Request(b"GET", b"/fhir/Patient/a")
POST = Request(b"POST", b"/fhir/Patient", (), b"{}")
CLIENT = "gate:way"
SECRET = "sécret &/+"


class Servers:
    """An OAuth 2.0 token endpoint and, beside it, a FHIR server that accepts the tokens that are still valid."""

    def __init__(self) -> None:
        self.issued = 0
        self.valid: set[str] = set()
        self.forms: list[dict[str, str]] = []
        self.seen: list[tuple[str, str]] = []
        self.lifetime: object = 300
        self.answer: Response | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.refuse_all = False

    def application(self) -> Starlette:
        methods = ["GET", "POST", "PUT"]
        return Starlette(
            routes=[
                Route("/token", self.token, methods=["POST"]),
                Route("/fhir/{path:path}", self.fhir, methods=methods),
            ]
        )

    async def token(self, request: Incoming) -> Response:
        await self.hold.wait()
        form = dict(parse_qsl((await request.body()).decode()))
        self.forms.append(form)
        if not self._client_is_known(request.headers.get("authorization"), form):
            return JSONResponse({"error": "invalid_client"}, 401)
        if self.answer is not None:
            return self.answer
        self.issued += 1
        token = f"token-{self.issued}"
        self.valid.add(token)
        body: dict[str, object] = {"access_token": token, "token_type": "Bearer"}
        return JSONResponse(body if self.lifetime is None else body | {"expires_in": self.lifetime})

    def _client_is_known(self, header: str | None, form: dict[str, str]) -> bool:
        if header is None:
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return (unquote_plus(name), unquote_plus(secret)) == (CLIENT, SECRET)

    async def fhir(self, request: Incoming) -> Response:
        proof = request.headers.get("authorization", "")
        self.seen.append((request.method, proof))
        if self.refuse_all or proof.removeprefix("Bearer ") not in self.valid:
            return PlainTextResponse("who are you?", 401)
        return PlainTextResponse("hello")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class House:
    """Everything put together."""

    def __init__(self, servers: Servers, clock: Clock, exchange: AuthenticatedExchange, pool: ConnectionPool) -> None:
        self.servers = servers
        self.clock = clock
        self.pool = pool
        self._exchange = exchange

    async def fetch(self, request: Request = GET) -> tuple[int, bytes]:
        answer = await self._exchange.send(request)
        return answer.status, await answer.read(LIMIT)


@contextlib.asynccontextmanager
async def house(
    method: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic",
    secret: str = SECRET,
) -> AsyncIterator[House]:
    servers, clock, client = Servers(), Clock(), ControlClient(timeout=5.0)
    async with running_uvicorn(servers.application()) as origin, pool_of(origin + "/fhir") as pool:
        credentials = ClientCredentials(origin + "/token", CLIENT, secret, "system/*.rs", "urn:fhir", method)
        authentication = ClientCredentialsAuthentication(credentials, client, clock)
        try:
            yield House(servers, clock, AuthenticatedExchange(pool, authentication), pool)
        finally:
            await authentication.aclose()
            await client.aclose()


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_token_is_fetched_once_and_used_often(
    method: Literal["client_secret_basic", "client_secret_post"],
) -> None:
    async with house(method) as home:
        for _ in range(3):
            assert await home.fetch() == (200, b"hello")
        assert home.servers.issued == 1
        form = home.servers.forms[0]
        assert (form["grant_type"], form["scope"], form["audience"]) == (
            "client_credentials",
            "system/*.rs",
            "urn:fhir",
        )
        assert ("client_secret" in form) is (method == "client_secret_post")


async def test_many_requests_at_once_fetch_one_token() -> None:
    async with house() as home:
        home.servers.hold.clear()
        tasks = [asyncio.create_task(home.fetch()) for _ in range(20)]
        await asyncio.sleep(0)
        home.servers.hold.set()
        assert [await task for task in tasks] == [(200, b"hello")] * 20
        assert home.servers.issued == 1


async def test_a_caller_who_gives_up_does_not_take_the_token_from_the_others() -> None:
    async with house() as home:
        home.servers.hold.clear()
        first, second = asyncio.create_task(home.fetch()), asyncio.create_task(home.fetch())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        home.servers.hold.set()
        assert await second == (200, b"hello")
        assert home.servers.issued == 1


@pytest.mark.parametrize(
    ("lifetime", "still", "renewed"),
    [(300, 269.0, 271.0), ("300", 269.0, 271.0), (20, 17.0, 19.0), (None, 269.0, 271.0)],
    ids=["a number", "a string", "a short life", "no expires_in"],
)
async def test_a_token_is_renewed_shortly_before_it_expires(lifetime: object, still: float, renewed: float) -> None:
    async with house() as home:
        home.servers.lifetime = lifetime
        start = home.clock.now
        await home.fetch()
        home.clock.now = start + still
        await home.fetch()
        assert home.servers.issued == 1
        home.clock.now = start + renewed
        await home.fetch()
        assert home.servers.issued == 2


async def test_a_get_that_meets_a_revoked_token_is_tried_once_more_with_a_new_one() -> None:
    async with house() as home:
        await home.fetch()
        home.servers.valid.clear()
        home.clock.now += 10
        assert await home.fetch() == (200, b"hello")
        assert [proof for _, proof in home.servers.seen] == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
        assert home.pool.in_use == 0


async def test_a_post_that_meets_a_revoked_token_is_not_repeated_but_the_next_has_a_new_one() -> None:
    async with house() as home:
        await home.fetch()
        home.servers.valid.clear()
        home.clock.now += 10
        assert (await home.fetch(POST))[0] == 401
        assert await home.fetch(POST) == (200, b"hello")
        assert home.servers.issued == 2


async def test_a_server_that_refuses_every_token_is_not_asked_forever() -> None:
    async with house() as home:
        home.servers.refuse_all = True
        for _ in range(5):
            assert (await home.fetch())[0] == 401
        assert (home.servers.issued, len(home.servers.seen)) == (1, 5)


BAD_ANSWERS = {
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


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_an_answer_that_is_no_token(name: str) -> None:
    answer, reason = BAD_ANSWERS[name]
    async with house() as home:
        home.servers.answer = answer
        with pytest.raises(Unreachable, match=reason):
            await home.fetch()
        assert home.servers.seen == []


async def test_a_refusal_is_remembered_for_a_moment() -> None:
    async with house(secret="wrong") as home:
        for _ in range(3):
            with pytest.raises(Unreachable, match="status 401") as caught:
                await home.fetch()
            assert "wrong" not in str(caught.value)
        assert len(home.servers.forms) == 1
        home.clock.now += 2
        with pytest.raises(Unreachable):
            await home.fetch()
        assert len(home.servers.forms) == 2


async def test_a_clients_own_authorization_never_goes_upstream() -> None:
    async with house() as home:
        with pytest.raises(ValueError, match="client's authorization"):
            await home.fetch(Request(b"GET", b"/fhir/a", ((b"authorization", b"Bearer client"),)))
        assert home.servers.seen == []


async def test_what_never_changes_is_known_without_waiting() -> None:
    assert no_authentication().static_headers == ()
    assert bearer("a.b~c=").static_headers == ((b"authorization", b"Bearer a.b~c="),)
    assert basic("user", "pass:wörd").static_headers == (
        (b"authorization", b"Basic " + base64.b64encode("user:pass:wörd".encode())),
    )
    assert await bearer("a").headers() == bearer("a").static_headers
    assert not bearer("a").rejected(bearer("a").static_headers)


async def test_a_static_token_goes_with_every_request_of_the_pool() -> None:
    servers = Servers()
    servers.valid.add("fixed")
    async with (
        running_uvicorn(servers.application()) as origin,
        pool_of(origin, constant_headers=bearer("fixed").static_headers) as pool,
    ):
        answer = await pool.send(GET)
        assert await answer.read(LIMIT) == b"hello"
        with pytest.raises(ValueError, match="authorization"):
            await pool.send(Request(b"GET", b"/", ((b"authorization", b"Bearer client"),)))


async def test_a_refused_static_token_is_not_tried_again() -> None:
    servers = Servers()
    async with running_uvicorn(servers.application()) as origin, pool_of(origin) as pool:
        answer = await AuthenticatedExchange(pool, bearer("old")).send(GET)
        assert (answer.status, await answer.read(LIMIT)) == (401, b"who are you?")
        assert len(servers.seen) == 1


@pytest.mark.parametrize("token", ["", "a b", "a\r\nx: y", "é", "=a"])
def test_what_cannot_be_a_bearer_token(token: str) -> None:
    with pytest.raises(ValueError, match="characters that no such token has"):
        bearer(token)


@pytest.mark.parametrize(("username", "password"), [("a:b", "c"), ("a\n", "c"), ("a", "\0")])
def test_what_cannot_be_basic_credentials(username: str, password: str) -> None:
    with pytest.raises(ValueError, match="Basic authentication"):
        basic(username, password)


def test_secrets_do_not_show_in_a_representation() -> None:
    assert SECRET not in repr(ClientCredentials("https://as.example/token", CLIENT, SECRET))
