"""Authentication at the FHIR server with credentials that never change."""

import base64

import pytest

from gateway.upstream.authenticated_exchange import AuthenticatedExchange
from gateway.upstream.authentication import basic_authentication, bearer_authentication, no_authentication
from gateway.upstream.exchange_types import Request
from tests.upstream.oauth_and_fhir_server import GET, OAuthAndFhirServer
from tests.upstream.raw_server import LIMIT, open_pool
from tests.upstream.test_real_servers import running_uvicorn


async def test_what_never_changes_is_known_without_waiting() -> None:
    assert no_authentication().static_headers == ()
    assert bearer_authentication("a.b~c=").static_headers == ((b"authorization", b"Bearer a.b~c="),)
    assert basic_authentication("user", "pass:wörd").static_headers == (
        (b"authorization", b"Basic " + base64.b64encode("user:pass:wörd".encode())),
    )
    assert await bearer_authentication("a").headers() == bearer_authentication("a").static_headers
    assert not bearer_authentication("a").handle_rejection(bearer_authentication("a").static_headers)


async def test_a_static_token_goes_with_every_request_of_the_pool() -> None:
    servers = OAuthAndFhirServer()
    servers.valid.add("fixed")
    async with (
        running_uvicorn(servers.application()) as origin,
        open_pool(origin, constant_headers=bearer_authentication("fixed").static_headers) as pool,
    ):
        answer = await pool.send(GET)
        assert await answer.read(LIMIT) == b"hello"
        with pytest.raises(ValueError, match="authorization"):
            await pool.send(Request(b"GET", b"/", ((b"authorization", b"Bearer client"),)))


async def test_a_refused_static_token_is_not_tried_again() -> None:
    servers = OAuthAndFhirServer()
    async with running_uvicorn(servers.application()) as origin, open_pool(origin) as pool:
        answer = await AuthenticatedExchange(pool, bearer_authentication("old")).send(GET)
        assert (answer.status, await answer.read(LIMIT)) == (401, b"who are you?")
        assert len(servers.requests) == 1


@pytest.mark.parametrize("token", ["", "a b", "a\r\nx: y", "é", "=a"])
def test_what_cannot_be_a_bearer_token(token: str) -> None:
    with pytest.raises(ValueError, match="characters that no such token has"):
        bearer_authentication(token)


@pytest.mark.parametrize(("username", "password"), [("a:b", "c"), ("a\n", "c"), ("a", "\0")])
def test_what_cannot_be_basic_credentials(username: str, password: str) -> None:
    with pytest.raises(ValueError, match="Basic authentication"):
        basic_authentication(username, password)
