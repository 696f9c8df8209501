"""Hostile documents of a provider: each ends on our page, with a stable reason, and nobody is signed in."""

import hashlib
import hmac
from typing import Any

import pytest
from joserfc.jwk import ECKey
from starlette.responses import HTMLResponse, JSONResponse, Response

from tests.identity_providers.browser_login import (
    CLIENT_ID,
    CLIENT_SECRET,
    is_signed_in,
    reason_of,
)
from tests.identity_providers.hostile_logins import NOBODY, NOW, follow_provider_link, log_in
from tests.identity_providers.hostile_provider import HostileProvider, Tampering, redirect
from tests.smart_server.running_server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

STRANGER = ECKey.generate_key("P-256", parameters={"kid": "one"})


async def test_the_truth_signs_in(server: RunningServer, unknown: tuple[HostileProvider, int]) -> None:
    hostile, index = unknown
    person, page = await log_in(server, hostile, index)
    assert page.forms[-1].action.endswith("/patient")
    assert await is_signed_in(server, person)
    assert hostile.requested_documents == ["discovery", "token", "jwks"], (
        "an id_token that says it all needs no userinfo"
    )
    assert hostile.forms[0]["grant_type"] == "authorization_code"
    assert hostile.forms[0]["redirect_uri"] == f"{server.issuer}/signed-in/{index + 1}"
    assert "client_secret" not in hostile.forms[0]


TOKENS: dict[str, Tampering] = {
    "that is not signed": Tampering(header={"alg": "none"}, sign=lambda _: b""),
    "that says none in capitals": Tampering(header={"alg": "NONE"}, sign=lambda _: b""),
    "signed with our own secret": Tampering(
        header={"alg": "HS256"}, sign=lambda signed: hmac.digest(CLIENT_SECRET.encode(), signed, hashlib.sha256)
    ),
    "of an algorithm that is no string": Tampering(header={"alg": ["ES256"]}),
    "without an algorithm": Tampering(header={"alg": None}),
    "signed by somebody else": Tampering(sign=lambda _: b"\0" * 64),
    "of a key nobody published": Tampering(header={"kid": "two"}),
    "of a kid that is no string": Tampering(header={"kid": 1}),
    "that brings its own key": Tampering(header={"kid": "two", "jwk": STRANGER.as_dict(private=False)}),
    "that says where its key is": Tampering(header={"kid": "two", "jku": f"{NOBODY}/jwks"}),
    "with an extension we must understand": Tampering(header={"crit": ["exp"]}),
    "that is an access token": Tampering(header={"typ": "at+jwt"}),
    "of another issuer": Tampering(claims={"iss": NOBODY}),
    "of no issuer": Tampering(claims={"iss": None}),
    "for another client": Tampering(claims={"aud": "other"}),
    "for many others": Tampering(claims={"aud": ["other", "third"]}),
    "for nobody": Tampering(claims={"aud": None}),
    "for us in an object": Tampering(claims={"aud": {CLIENT_ID: True}}),
    "that another party was given": Tampering(claims={"azp": "other"}),
    "for us and others, without a party": Tampering(claims={"aud": [CLIENT_ID, "other"]}),
    "for us and others, given to them": Tampering(claims={"aud": [CLIENT_ID, "other"], "azp": "other"}),
    "of another login": Tampering(claims={"nonce": "another"}),
    "without a nonce": Tampering(claims={"nonce": None}),
    "whose nonce is a list": Tampering(claims={"nonce": ["x"]}),
    "that is over": Tampering(claims={"exp": NOW - 3600}),
    "without an end": Tampering(claims={"exp": None}),
    "whose end is a text": Tampering(claims={"exp": "tomorrow"}),
    "whose end is in milliseconds": Tampering(claims={"exp": NOW * 1000}),
    "of tomorrow": Tampering(claims={"iat": NOW + 86400}),
    "that begins tomorrow": Tampering(claims={"nbf": NOW + 86400}),
    "without a subject": Tampering(claims={"sub": None}),
    "whose subject is empty": Tampering(claims={"sub": ""}),
    "whose subject is a number": Tampering(claims={"sub": 7}),
    "that is longer than any": Tampering(claims={"filling": "x" * 20000}),
}


@pytest.mark.parametrize("lies", TOKENS.values(), ids=TOKENS.keys())
async def test_nobody_signs_in_by_an_id_token(server: RunningServer, hostile: HostileProvider, lies: Tampering) -> None:
    hostile.tampering = lies
    await _assert_login_refused(server, hostile, "provider_not_believed")


MISSING: dict[str, Any] = {"none": None, "a number": 7, "no token at all": "hello", "two dots": "..", "empty": ""}


@pytest.mark.parametrize("token", MISSING.values(), ids=MISSING.keys())
async def test_nobody_signs_in_by_what_is_no_id_token(
    server: RunningServer, hostile: HostileProvider, token: Any
) -> None:
    hostile.tampering = Tampering(token={"id_token": token})
    await _assert_login_refused(server, hostile, "provider_not_believed")


AT_THE_TOKEN_ENDPOINT: dict[str, tuple[Response, str]] = {
    "an error of its own": (Response("no", 500), "provider_unavailable"),
    "a page": (HTMLResponse("<h1>Hello</h1>"), "provider_unavailable"),
    "nothing": (Response(""), "provider_unavailable"),
    "a list": (JSONResponse([]), "provider_unavailable"),
    "a redirect": (redirect(NOBODY), "provider_unavailable"),
    "endless nesting": (Response("[" * 100_000), "provider_unavailable"),
    "two megabytes": (JSONResponse({"id_token": "x" * 2_000_000}), "provider_unavailable"),
    "no text": (Response(b"\xff\xfe\x00"), "provider_unavailable"),
    "that the code is used": (JSONResponse({"error": "invalid_grant"}, 400), "provider_refused"),
    "that we are nobody": (JSONResponse({"error": "invalid_client"}, 401), "provider_refused"),
    "an error that is no word": (JSONResponse({"error": {"a": ["\n"]}}, 400), "provider_refused"),
}


@pytest.mark.parametrize(("answer", "reason"), AT_THE_TOKEN_ENDPOINT.values(), ids=AT_THE_TOKEN_ENDPOINT.keys())
async def test_nobody_signs_in_where_the_token_endpoint_answers(
    server: RunningServer, hostile: HostileProvider, answer: Response, reason: str
) -> None:
    hostile.tampering = Tampering(responses={"token": answer})
    await _assert_login_refused(server, hostile, reason)


KEYS: dict[str, Response] = {
    "an error of its own": Response("no", 503),
    "a page": HTMLResponse("<h1>Hello</h1>"),
    "a redirect": redirect(NOBODY),
    "a list": JSONResponse([]),
    "two megabytes": Response("x" * 2_000_000),
}


@pytest.mark.parametrize("answer", KEYS.values(), ids=KEYS.keys())
async def test_nobody_signs_in_where_the_keys_are(
    server: RunningServer, unknown: tuple[HostileProvider, int], answer: Response
) -> None:
    hostile, index = unknown
    hostile.tampering = Tampering(responses={"jwks": answer})
    await _assert_login_refused(server, hostile, "provider_unavailable", index)


async def _assert_login_refused(server: RunningServer, hostile: HostileProvider, reason: str, index: int = 0) -> None:
    person, page = await log_in(server, hostile, index)
    assert (page.status, reason_of(page)) == (502, reason)
    assert not await is_signed_in(server, person)
    # The link leads back to the login page of the same request.
    login_page = await person.open(page.html.partition('button-main" href="')[2].partition('"')[0])
    assert login_page.title.startswith("Sign in")


DISCOVERIES: dict[str, Tampering] = {
    "of another issuer": Tampering(discovery={"issuer": NOBODY}),
    "without an issuer": Tampering(discovery={"issuer": None}),
    "without a place to sign in": Tampering(discovery={"authorization_endpoint": None}),
    "without a token endpoint": Tampering(discovery={"token_endpoint": None}),
    "without keys": Tampering(discovery={"jwks_uri": None}),
    "whose token endpoint is a list": Tampering(discovery={"token_endpoint": [NOBODY]}),
    "that leads to a script": Tampering(discovery={"authorization_endpoint": "javascript:alert(1)"}),
    "that leads to no scheme": Tampering(discovery={"authorization_endpoint": "//elsewhere.example/"}),
    "that leads to a file": Tampering(discovery={"jwks_uri": "file:///etc/passwd"}),
    "that hides a header in an address": Tampering(
        discovery={"authorization_endpoint": "http://127.0.0.1/\r\nset-cookie: a=b"}
    ),
    "whose address has a user": Tampering(discovery={"token_endpoint": "http://a:b@127.0.0.1/"}),
    "whose address has a fragment": Tampering(discovery={"authorization_endpoint": "http://127.0.0.1/#x"}),
    "whose address is no address": Tampering(discovery={"token_endpoint": "http://[1/"}),
    "that is a redirect": Tampering(responses={"discovery": redirect(NOBODY)}),
    "that is a page": Tampering(responses={"discovery": HTMLResponse("<h1>Hello</h1>")}),
    "that is a list": Tampering(responses={"discovery": JSONResponse([])}),
    "that is not there": Tampering(responses={"discovery": Response("no", 404)}),
    "that is refused": Tampering(responses={"discovery": JSONResponse({"error": "no"}, 401)}),
    "of two megabytes": Tampering(responses={"discovery": JSONResponse({"issuer": "x" * 2_000_000})}),
}


@pytest.mark.parametrize("lies", DISCOVERIES.values(), ids=DISCOVERIES.keys())
async def test_nobody_leaves_by_a_discovery_document(
    server: RunningServer, unknown: tuple[HostileProvider, int], lies: Tampering
) -> None:
    hostile, index = unknown
    hostile.tampering = lies
    page = await follow_provider_link(server, index)
    assert page.status == 502
    assert reason_of(page) in {"provider_unavailable", "provider_refused"}
    assert "set-cookie" not in page.headers
    hostile.tampering = Tampering()
    assert (await follow_provider_link(server, index)).left_for is not None, "the next one asks again"
