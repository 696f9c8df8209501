"""What an introspection answer must say before a token counts (RFC 7662 2.2)."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.keys.introspection import Introspector
from gateway.keys.issuers import Introspection
from gateway.keys.refused import TokenRefused
from gateway.policy.reasons import Reason
from tests.keys.issuing import AUDIENCE, ISSUER, NOW, Page, trusted

ENDPOINT = "https://issuer.example/introspect"
SETTINGS = Introspection(ENDPOINT, "gateway", "secret")


@dataclass
class Desk:
    """Answers introspection requests with a page, or raises."""

    page: Page | Exception
    asked: list[tuple[str, dict[str, str], tuple[str, str]]] = field(default_factory=list)

    async def post(self, url: str, form: Mapping[str, str], auth: tuple[str, str]) -> Page:
        """The page."""
        self.asked.append((url, dict(form), auth))
        if isinstance(self.page, Exception):
            raise self.page
        return self.page


def introspector(desk: Desk) -> Introspector:
    return Introspector(trusted(jwks_url=None, introspection=SETTINGS), SETTINGS, desk.post)


def answer(**changes: Any) -> Page:
    """An answer about an active token, changed; a member of None is left out."""
    members = {
        "active": True,
        "client_id": "app",
        "scope": "patient/*.rs",
        "exp": NOW + 300,
        "aud": AUDIENCE,
        "token_type": "Bearer",
        **changes,
    }
    return Page(json.dumps({name: value for name, value in members.items() if value is not None}).encode())


async def test_the_token_is_asked_about_as_the_gateway_and_the_claims_come_back() -> None:
    desk = Desk(answer(patient="pat-a"))
    claims = await introspector(desk).claims("opaque", NOW)
    assert desk.asked == [(ENDPOINT, {"token": "opaque", "token_type_hint": "access_token"}, ("gateway", "secret"))]
    assert claims["patient"] == "pat-a"
    assert claims["iss"] == ISSUER


ANSWERS: dict[str, tuple[Page | Exception, Reason]] = {
    "inactive": (Page(b'{"active":false}'), Reason.TOKEN_INACTIVE),
    "active as a string": (answer(active="true"), Reason.TOKEN_INACTIVE),
    "active as a number": (answer(active=1), Reason.TOKEN_INACTIVE),
    "active missing": (answer(active=None), Reason.TOKEN_INACTIVE),
    "an empty object": (Page(b"{}"), Reason.TOKEN_INACTIVE),
    "the same issuer": (answer(iss=ISSUER), Reason.PERMITTED),
    "another issuer": (answer(iss="https://other.example"), Reason.TOKEN_ISSUER_UNKNOWN),
    "an issuer that is null": (Page(b'{"active":true,"iss":null}'), Reason.TOKEN_ISSUER_UNKNOWN),
    "one of several audiences": (answer(aud=["account", AUDIENCE]), Reason.PERMITTED),
    "another audience": (answer(aud="account"), Reason.TOKEN_AUDIENCE_WRONG),
    "no audience": (answer(aud=None), Reason.TOKEN_AUDIENCE_WRONG),
    "no token type": (answer(token_type=None), Reason.PERMITTED),
    "token type in lower case": (answer(token_type="bearer"), Reason.PERMITTED),
    "a refresh token": (answer(token_type="refresh_token"), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "a token bound to a key": (answer(token_type="DPoP"), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "a token type that is a list": (answer(token_type=["Bearer"]), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "Keycloak's access token": (answer(typ="Bearer"), Reason.PERMITTED),
    "Keycloak's refresh token": (answer(typ="Refresh"), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "Hydra's refresh token": (answer(token_use="refresh_token"), Reason.TOKEN_NOT_AN_ACCESS_TOKEN),
    "expired": (answer(exp=NOW - 100), Reason.TOKEN_EXPIRED),
    "no expiry": (answer(exp=None), Reason.TOKEN_CLAIMS_INVALID),
    "an expiry that is a string": (answer(exp="soon"), Reason.TOKEN_CLAIMS_INVALID),
    "not yet": (answer(nbf=NOW + 100), Reason.TOKEN_NOT_YET_VALID),
    "no answer": (ConnectionError("refused"), Reason.TOKEN_CHECK_UNAVAILABLE),
    "too late": (TimeoutError(), Reason.TOKEN_CHECK_UNAVAILABLE),
    "401: our own secret is wrong": (Page(b"{}", status=401), Reason.TOKEN_CHECK_UNAVAILABLE),
    "500": (Page(b'{"active":true}', status=500), Reason.TOKEN_CHECK_UNAVAILABLE),
    "a redirect": (Page(b"", status=302), Reason.TOKEN_CHECK_UNAVAILABLE),
    "HTML": (Page(b"<html>"), Reason.TOKEN_CHECK_UNAVAILABLE),
    "a list": (Page(b"[]"), Reason.TOKEN_CHECK_UNAVAILABLE),
    "active said twice": (Page(b'{"active":false,"active":true}'), Reason.TOKEN_CHECK_UNAVAILABLE),
}


@pytest.mark.parametrize(("page", "expected"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_answers(page: Page | Exception, expected: Reason) -> None:
    try:
        await introspector(Desk(page)).claims("opaque", NOW)
        reason = Reason.PERMITTED
    except TokenRefused as refused:
        reason = refused.reason
    assert reason is expected


async def test_the_log_learns_of_the_error_but_not_its_text_which_may_quote_the_token() -> None:
    with pytest.raises(TokenRefused) as caught:
        await introspector(Desk(ValueError("form: token=opaque"))).claims("opaque", NOW)
    assert caught.value.detail == "the introspection endpoint: ValueError"


async def test_the_issuer_is_asked_about_few_tokens_at_a_time() -> None:
    running = most = 0

    async def post(url: str, form: Mapping[str, str], auth: tuple[str, str]) -> Page:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return answer()

    asking = Introspector(trusted(jwks_url=None, introspection=SETTINGS), SETTINGS, post)
    await asyncio.gather(*(asking.claims(f"opaque-{number}", NOW) for number in range(100)))
    assert most == 16
