"""Which introspection responses make a token acceptable (RFC 7662 2.2)."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.credentials.introspect_token import Introspector
from gateway.credentials.token_refused import TokenRefused
from gateway.policy.reasons import Reason
from tests.credentials.signed_tokens import AUDIENCE, ISSUER, NOW, StubDocument, introspection_settings, make_issuer

ENDPOINT = "https://issuer.example/introspect"
SETTINGS = introspection_settings(ENDPOINT)


@dataclass
class StubIntrospection:
    """Responds to introspection requests with a document, or raises."""

    page: StubDocument | Exception
    asked: list[tuple[str, dict[str, str], tuple[str, str]]] = field(default_factory=list)

    async def post(self, url: str, form: Mapping[str, str], auth: tuple[str, str]) -> StubDocument:
        """Return the document."""
        self.asked.append((url, dict(form), auth))
        if isinstance(self.page, Exception):
            raise self.page
        return self.page


def make_introspector(desk: StubIntrospection) -> Introspector:
    return Introspector(make_issuer(jwks_url=None, introspection=SETTINGS), SETTINGS, desk.post)


def active_response(**changes: Any) -> StubDocument:
    """A response for an active token, with changes and without members that are None."""
    members = {
        "active": True,
        "client_id": "app",
        "scope": "patient/*.rs",
        "exp": NOW + 300,
        "aud": AUDIENCE,
        "token_type": "Bearer",
        **changes,
    }
    return StubDocument(json.dumps({name: value for name, value in members.items() if value is not None}).encode())


async def test_the_token_is_asked_about_as_the_gateway_and_the_claims_come_back() -> None:
    desk = StubIntrospection(active_response(patient="pat-a"))
    claims = await make_introspector(desk).introspect("opaque", NOW)
    assert desk.asked == [(ENDPOINT, {"token": "opaque", "token_type_hint": "access_token"}, ("gateway", "secret"))]
    assert claims["patient"] == "pat-a"
    assert claims["iss"] == ISSUER


RESPONSES: dict[str, tuple[StubDocument | Exception, Reason]] = {
    "inactive": (StubDocument(b'{"active":false}'), Reason.TOKEN_INACTIVE),
    "active as a string": (active_response(active="true"), Reason.TOKEN_INACTIVE),
    "active as a number": (active_response(active=1), Reason.TOKEN_INACTIVE),
    "active missing": (active_response(active=None), Reason.TOKEN_INACTIVE),
    "an empty object": (StubDocument(b"{}"), Reason.TOKEN_INACTIVE),
    "the same issuer": (active_response(iss=ISSUER), Reason.PERMITTED),
    "another issuer": (active_response(iss="https://other.example"), Reason.TOKEN_ISSUER_UNKNOWN),
    "an issuer that is null": (StubDocument(b'{"active":true,"iss":null}'), Reason.TOKEN_ISSUER_UNKNOWN),
    "one of several audiences": (active_response(aud=["account", AUDIENCE]), Reason.PERMITTED),
    "another audience": (active_response(aud="account"), Reason.TOKEN_AUDIENCE_WRONG),
    "no audience": (active_response(aud=None), Reason.TOKEN_AUDIENCE_WRONG),
    "no token type": (active_response(token_type=None), Reason.PERMITTED),
    "token type in lower case": (active_response(token_type="bearer"), Reason.PERMITTED),
    "a refresh token": (active_response(token_type="refresh_token"), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "a token bound to a key": (active_response(token_type="DPoP"), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "a token type that is a list": (active_response(token_type=["Bearer"]), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "Keycloak's access token": (active_response(typ="Bearer"), Reason.PERMITTED),
    "Keycloak's refresh token": (active_response(typ="Refresh"), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "Hydra's refresh token": (active_response(token_use="refresh_token"), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "expired": (active_response(exp=NOW - 100), Reason.TOKEN_EXPIRED),
    "no expiry": (active_response(exp=None), Reason.TOKEN_CLAIMS_INVALID),
    "an expiry that is a string": (active_response(exp="soon"), Reason.TOKEN_CLAIMS_INVALID),
    "not yet": (active_response(nbf=NOW + 100), Reason.TOKEN_NOT_YET_VALID),
    "no answer": (ConnectionError("refused"), Reason.TOKEN_CHECK_UNAVAILABLE),
    "too late": (TimeoutError(), Reason.TOKEN_CHECK_UNAVAILABLE),
    "401: our own secret is wrong": (StubDocument(b"{}", status=401), Reason.TOKEN_CHECK_UNAVAILABLE),
    "500": (StubDocument(b'{"active":true}', status=500), Reason.TOKEN_CHECK_UNAVAILABLE),
    "a redirect": (StubDocument(b"", status=302), Reason.TOKEN_CHECK_UNAVAILABLE),
    "HTML": (StubDocument(b"<html>"), Reason.TOKEN_CHECK_UNAVAILABLE),
    "a list": (StubDocument(b"[]"), Reason.TOKEN_CHECK_UNAVAILABLE),
    "active said twice": (StubDocument(b'{"active":false,"active":true}'), Reason.TOKEN_CHECK_UNAVAILABLE),
}


@pytest.mark.parametrize(("page", "expected"), RESPONSES.values(), ids=RESPONSES.keys())
async def test_answers(page: StubDocument | Exception, expected: Reason) -> None:
    try:
        await make_introspector(StubIntrospection(page)).introspect("opaque", NOW)
        reason = Reason.PERMITTED
    except TokenRefused as refused:
        reason = refused.reason
    assert reason is expected


async def test_the_log_learns_of_the_error_but_not_its_text_which_may_quote_the_token() -> None:
    with pytest.raises(TokenRefused) as caught:
        await make_introspector(StubIntrospection(ValueError("form: token=opaque"))).introspect("opaque", NOW)
    assert caught.value.detail == "the introspection endpoint: ValueError"


async def test_an_endpoint_that_is_away_is_one_line_of_the_log_and_so_is_its_return(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    responses: Iterator[StubDocument | Exception] = iter(
        [ConnectionError("opaque"), StubDocument(b"", status=503), active_response(), active_response()]
    )

    async def post(url: str, form: Mapping[str, str], auth: tuple[str, str]) -> StubDocument:
        response = next(responses)
        if isinstance(response, Exception):
            raise response
        return response

    introspector = Introspector(make_issuer(jwks_url=None, introspection=SETTINGS), SETTINGS, post)
    for _ in range(4):
        with contextlib.suppress(TokenRefused):
            await introspector.introspect("opaque", NOW)
    assert [record.message for record in caplog.records] == [
        "the introspection endpoint does not answer", "the introspection endpoint answers again",
    ]  # fmt: skip
    assert "opaque" not in str([record.__dict__ for record in caplog.records])


async def test_the_issuer_is_asked_about_few_tokens_at_a_time() -> None:
    running = most = 0

    async def post(url: str, form: Mapping[str, str], auth: tuple[str, str]) -> StubDocument:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return active_response()

    introspector = Introspector(make_issuer(jwks_url=None, introspection=SETTINGS), SETTINGS, post)
    await asyncio.gather(*(introspector.introspect(f"opaque-{number}", NOW) for number in range(100)))
    assert most == 16
