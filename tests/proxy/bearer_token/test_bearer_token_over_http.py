"""Token checks over real HTTP: key sets and their headers, rotation, introspection, and an unreachable issuer."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.credentials.issuer_keys import IssuerKeys
from gateway.credentials.token_refused import TokenRefused
from gateway.policy.permission.access import Access
from gateway.policy.permission.claims import ClaimMapping
from gateway.policy.reasons import Reason
from gateway.proxy.bearer_token.bearer_resolver import BearerResolver, IssuerTrust
from gateway.proxy.bearer_token.token_cache import BearerTokenCache
from gateway.upstream.documents.control_client import ControlClient
from tests.credentials.signed_tokens import (
    AUDIENCE,
    NOW,
    introspection_settings,
    jwks_document,
    make_issuer,
    private_key,
    published_jwk,
    sign_token,
    valid_claims,
)
from tests.servers.ports import free_port

ISSUED: Mapping[str, Any] = {
    "active": True,
    "client_id": "app",
    "exp": NOW + 300,
    "aud": AUDIENCE,
    "token_type": "Bearer",
    "scope": "patient/Observation.rs",
    "patient": "Patient/pat-a",
}


@dataclass
class AuthorizationServer:
    """An authorization server: its key set, its introspection endpoint, and the number of requests to each."""

    port: int = field(default_factory=free_port)
    keys: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    opaque_tokens: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    key_requests: int = 0
    questions: int = 0

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    async def jwks(self, request: Request) -> Response:
        """The key set."""
        self.key_requests += 1
        return Response(self.keys, self.status, self.headers, "application/json")

    async def introspect(self, request: Request) -> Response:
        """RFC 7662, for one client."""
        self.questions += 1
        expected = "Basic " + base64.b64encode(b"gateway:s:ecret").decode()
        if request.headers.get("authorization") != expected:
            return JSONResponse({"error": "invalid_client"}, 401)
        (token,) = parse_qs((await request.body()).decode("ascii"), strict_parsing=True)["token"]
        return JSONResponse(self.opaque_tokens.get(token, {"active": False}))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the server in this event loop until the block ends."""
        routes = [Route("/keys", self.jwks), Route("/introspect", self.introspect, methods=["POST"])]
        config = uvicorn.Config(
            Starlette(routes=routes), port=self.port, log_level="warning", access_log=False, ws="none", lifespan="off"
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
            if serving.done():
                serving.result()
        try:
            yield
        finally:
            server.should_exit = True
            await serving


@contextlib.asynccontextmanager
async def resolver_for(server: AuthorizationServer, secret: str = "s:ecret") -> AsyncIterator[BearerResolver]:
    """A resolver that trusts the server for signed tokens and, as another issuer, for opaque ones."""
    client = ControlClient()
    by_keys = make_issuer(jwks_url=f"{server.url}/keys")
    by_question = make_issuer(
        issuer="https://opaque.example",
        jwks_url=None,
        introspection=introspection_settings(f"{server.url}/introspect", secret),
    )
    keys = IssuerKeys(url=by_keys.jwks_url, file=None, fetch=client.get_document)
    trusts = [IssuerTrust(by_keys, ClaimMapping(), keys), IssuerTrust(by_question, ClaimMapping(), None)]
    cache = BearerTokenCache(entries=100, max_age=60, refusals=100)
    try:
        yield BearerResolver(trusts, cache, [AUDIENCE], client.post_form)
    finally:
        await client.aclose()


async def resolve(resolver: BearerResolver, token: str, now: float = NOW) -> Access | Reason:
    try:
        return await resolver.resolve(f"Bearer {token}".encode(), now)
    except TokenRefused as refused:
        return refused.reason


def make_token(number: int, **options: Any) -> str:
    """A distinct token, which no cache contains."""
    return sign_token(valid_claims(jti=str(number)), **options)


@pytest.mark.parametrize(
    ("headers", "kept", "asked_again"),
    [
        ({"Cache-Control": "max-age=60"}, 59, 60),
        ({"Cache-Control": "no-cache"}, 9, 10),
        ({"Cache-Control": "no-store, max-age=60"}, 9, 10),
        ({"Cache-Control": "public, max-age=100", "Age": "40"}, 59, 60),
        ({}, 269, 300),
    ],
)
async def test_a_key_set_is_kept_as_long_as_its_headers_say(
    headers: dict[str, str], kept: float, asked_again: float
) -> None:
    server = AuthorizationServer(keys=jwks_document(published_jwk(private_key("ES256"))), headers=headers)
    async with server.running(), resolver_for(server) as resolver:
        for number, later in enumerate((0, 1, kept)):
            assert isinstance(await resolve(resolver, make_token(number), NOW + later), Access)
        assert server.key_requests == 1
        token = sign_token(valid_claims(exp=NOW + 3000))
        assert isinstance(await resolve(resolver, token, NOW + asked_again), Access)
        assert server.key_requests == 2


async def test_a_crowd_of_new_tokens_fetches_the_keys_once_and_a_rotation_once_more() -> None:
    server = AuthorizationServer(keys=jwks_document(published_jwk(private_key("ES256"))))
    async with server.running(), resolver_for(server) as resolver:
        answers = await asyncio.gather(*(resolve(resolver, make_token(number)) for number in range(30)))
        assert all(isinstance(response, Access) for response in answers)
        assert server.key_requests == 1
        server.keys = jwks_document(published_jwk(private_key("ES256")), published_jwk(private_key("ES384"), "two"))
        new = [make_token(number, algorithm="ES384", kid="two") for number in range(30)]
        answers = await asyncio.gather(*(resolve(resolver, token, NOW + 1) for token in new))
        assert all(isinstance(response, Access) for response in answers)
        assert server.key_requests == 2
        made_up = [make_token(number, kid=f"made-up-{number}") for number in range(30)]
        answers = await asyncio.gather(*(resolve(resolver, token, NOW + 2) for token in made_up))
        assert set(answers) == {Reason.TOKEN_KEY_UNKNOWN}
        assert server.key_requests == 2


async def test_an_issuer_that_goes_away_and_comes_back() -> None:
    server = AuthorizationServer(
        keys=jwks_document(published_jwk(private_key("ES256"))), headers={"Cache-Control": "max-age=10"}
    )
    async with resolver_for(server) as resolver:
        assert await resolve(resolver, make_token(1)) is Reason.TOKEN_CHECK_UNAVAILABLE
        async with server.running():
            assert isinstance(await resolve(resolver, make_token(1), NOW + 10), Access)
        assert isinstance(await resolve(resolver, make_token(2), NOW + 100), Access)
        assert await resolve(resolver, make_token(3, kid="two"), NOW + 101) is Reason.TOKEN_CHECK_UNAVAILABLE


@pytest.mark.parametrize(("status", "headers"), [(302, {"Location": "http://127.0.0.1:1/keys"}), (404, {}), (500, {})])
async def test_an_answer_that_is_no_key_set_is_none(status: int, headers: dict[str, str]) -> None:
    server = AuthorizationServer(
        keys=jwks_document(published_jwk(private_key("ES256"))), status=status, headers=headers
    )
    async with server.running(), resolver_for(server) as resolver:
        assert await resolve(resolver, make_token(1)) is Reason.TOKEN_CHECK_UNAVAILABLE
        assert server.key_requests == 1


async def test_an_opaque_token_is_asked_about_once() -> None:
    server = AuthorizationServer(opaque_tokens={"opaque": ISSUED})
    async with server.running(), resolver_for(server) as resolver:
        answers = await asyncio.gather(*(resolve(resolver, "opaque") for _ in range(30)))
        assert all(isinstance(response, Access) and response.patient == "pat-a" for response in answers)
        assert await resolve(resolver, "unknown") is Reason.TOKEN_INACTIVE
        assert await resolve(resolver, "unknown") is Reason.TOKEN_INACTIVE
        assert server.questions == 2
        assert server.key_requests == 0


async def test_a_token_that_ends_is_known_to_have_ended_when_it_is_too_old_to_be_remembered() -> None:
    server = AuthorizationServer(opaque_tokens={"opaque": ISSUED})
    async with server.running(), resolver_for(server) as resolver:
        assert isinstance(await resolve(resolver, "opaque"), Access)
        server.opaque_tokens.clear()
        assert isinstance(await resolve(resolver, "opaque", NOW + 59), Access)
        assert await resolve(resolver, "opaque", NOW + 60) is Reason.TOKEN_INACTIVE


async def test_a_wrong_secret_of_ours_is_no_word_about_the_token() -> None:
    server = AuthorizationServer(opaque_tokens={"opaque": ISSUED})
    async with server.running(), resolver_for(server, secret="wrong") as resolver:
        assert await resolve(resolver, "opaque") is Reason.TOKEN_CHECK_UNAVAILABLE


async def test_an_introspection_endpoint_that_is_away_says_nothing() -> None:
    async with resolver_for(AuthorizationServer()) as resolver:
        assert await resolve(resolver, "opaque") is Reason.TOKEN_CHECK_UNAVAILABLE


async def test_what_a_token_is_asked_about_is_sent_as_it_is() -> None:
    strange = "a+b/c~d._-=="
    server = AuthorizationServer(opaque_tokens={strange: ISSUED})
    async with server.running(), resolver_for(server) as resolver:
        assert isinstance(await resolve(resolver, strange), Access)
