"""Back-Channel Logout 1.0: who signs out at the provider is signed out here; nobody else is, whatever is sent."""

import hashlib
import hmac
import time
from typing import Any

import httpx2
import pytest

from tests.identity_providers.browser_login import CLIENT_SECRET, is_signed_in
from tests.identity_providers.hostile_logins import NOBODY
from tests.identity_providers.hostile_provider import HostileProvider, Tampering
from tests.identity_providers.test_hostile_portal_login import leave_portal_for_provider
from tests.smart_server.admin_client import admin_request
from tests.smart_server.person_in_browser import Person
from tests.smart_server.running_server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONLINE = "launch/patient online_access patient/Patient.r"
OFFLINE = "launch/patient offline_access patient/Patient.r"
_EVENT = "http://schemas.openid.net/event/backchannel-logout"


async def send_logout(server: RunningServer, token: str | None) -> httpx2.Response:
    """The provider's request."""
    form = {} if token is None else {"logout_token": token}
    response = await server.http.post(f"{server.issuer}/backchannel-logout", data=form)
    assert response.headers["cache-control"] == "no-store"
    return response


async def sign_in(server: RunningServer, hostile: HostileProvider, **claims: Any) -> Person:
    """A browser that has signed in at the provider."""
    person = server.person()
    hostile.tampering = Tampering(claims=claims)
    await person.open(hostile.callback_url(await leave_portal_for_provider(server, person)))
    hostile.tampering = Tampering()
    assert await is_signed_in(server, person)
    return person


async def test_by_user_all_sessions_end_with_online_access_and_offline_access_stays(
    server: RunningServer, hostile: HostileProvider
) -> None:
    persons = [await sign_in(server, hostile) for _ in range(2)]
    other = await sign_in(server, hostile, sub="somebody else")
    app, offline_app = server.app(), server.app("other-app")
    online = await server.request_tokens(app, ONLINE, person=persons[0])
    offline = await server.request_tokens(offline_app, OFFLINE, person=persons[0])
    assert (await app.read("/Patient/pat-a", online["access_token"])).status_code == 200
    assert (await send_logout(server, hostile.logout_token())).status_code == 200
    assert [await is_signed_in(server, person) for person in persons] == [False, False]
    assert await is_signed_in(server, other)
    assert (await app.read("/Patient/pat-a", online["access_token"])).status_code == 401
    assert (await app.refresh(online["refresh_token"])).status_code == 400
    assert (await offline_app.refresh(offline["refresh_token"])).status_code == 200


async def test_by_session_only_what_began_with_it_ends(server: RunningServer, hostile: HostileProvider) -> None:
    one, two = await sign_in(server, hostile, sid="one"), await sign_in(server, hostile, sid="two")
    token = hostile.logout_token(Tampering(claims={"sid": "one", "sub": None}))
    assert (await send_logout(server, token)).status_code == 200
    assert [await is_signed_in(server, person) for person in (one, two)] == [False, True]
    token = hostile.logout_token(Tampering(claims={"sid": "two"}))
    assert (await send_logout(server, token)).status_code == 200
    assert not await is_signed_in(server, two)


async def test_a_session_that_is_not_known_here_ends_by_its_user(
    server: RunningServer, hostile: HostileProvider
) -> None:
    person = await sign_in(server, hostile)
    assert (await send_logout(server, hostile.logout_token(Tampering(claims={"sid": "unknown"})))).status_code == 200
    assert not await is_signed_in(server, person), "the provider told no sid at the sign-in"


async def test_a_user_without_a_session_is_signed_out_already(server: RunningServer, hostile: HostileProvider) -> None:
    token = hostile.logout_token(Tampering(claims={"sub": "never here", "sid": "never"}))
    assert (await send_logout(server, token)).status_code == 200


async def test_a_token_counts_once(server: RunningServer, hostile: HostileProvider) -> None:
    token = hostile.logout_token()
    assert (await send_logout(server, token)).status_code == 200
    person = await sign_in(server, hostile)
    assert (await send_logout(server, token)).status_code == 400
    assert await is_signed_in(server, person)


async def test_a_token_without_an_end_counts_while_it_is_new(server: RunningServer, hostile: HostileProvider) -> None:
    assert (await send_logout(server, hostile.logout_token(Tampering(claims={"exp": None})))).status_code == 200


NOW = int(time.time())
TOKENS: dict[str, Tampering] = {
    "that is not signed": Tampering(header={"alg": "none"}, sign=lambda _: b""),
    "signed with our own secret": Tampering(
        header={"alg": "HS256"}, sign=lambda signed: hmac.digest(CLIENT_SECRET.encode(), signed, hashlib.sha256)
    ),
    "signed by somebody else": Tampering(sign=lambda _: b"\0" * 64),
    "of a key nobody published": Tampering(header={"kid": "two"}),
    "of another type": Tampering(header={"typ": "at+jwt"}),
    "of another issuer": Tampering(claims={"iss": NOBODY}),
    "of no issuer": Tampering(claims={"iss": None}),
    "for another client": Tampering(claims={"aud": "other"}),
    "for nobody": Tampering(claims={"aud": None}),
    "without a time": Tampering(claims={"iat": None}),
    "of a time that is no number": Tampering(claims={"iat": "now"}),
    "of an hour ago": Tampering(claims={"iat": NOW - 3600, "exp": NOW + 3600}),
    "of the future": Tampering(claims={"iat": NOW + 3600, "exp": NOW + 7200}),
    "that has expired": Tampering(claims={"iat": NOW - 200, "exp": NOW - 100}),
    "whose end is no number": Tampering(claims={"exp": "never"}),
    "without sub and sid": Tampering(claims={"sub": None}),
    "whose sub is no text": Tampering(claims={"sub": 7}),
    "without events": Tampering(claims={"events": None}),
    "about another event": Tampering(claims={"events": {"http://schemas.openid.net/event/other": {}}}),
    "whose events are a list": Tampering(claims={"events": [_EVENT]}),
    "whose event is no object": Tampering(claims={"events": {_EVENT: "yes"}}),
    "with a nonce": Tampering(claims={"nonce": "n"}),
    "without a jti": Tampering(claims={"jti": None}),
    "whose jti is no text": Tampering(claims={"jti": 1}),
}


@pytest.mark.parametrize("flaw", TOKENS)
async def test_nobody_is_signed_out_by_a_token(server: RunningServer, hostile: HostileProvider, flaw: str) -> None:
    person = await sign_in(server, hostile)
    refused = await send_logout(server, hostile.logout_token(TOKENS[flaw]))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert await is_signed_in(server, person)


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c", "x" * 20_000])
async def test_what_is_no_token_is_refused(server: RunningServer, token: str | None) -> None:
    assert (await send_logout(server, token)).status_code == 400


async def test_an_id_token_is_no_logout_token(server: RunningServer, hostile: HostileProvider) -> None:
    person = await sign_in(server, hostile)
    assert (await send_logout(server, hostile.id_token())).status_code == 400
    assert await is_signed_in(server, person)


async def test_a_logout_token_is_no_id_token(server: RunningServer, hostile: HostileProvider) -> None:
    person = server.person()
    callback = hostile.callback_url(await leave_portal_for_provider(server, person))
    claims = {"nonce": hostile.login_parameters["nonce"]}
    hostile.tampering = Tampering(token={"id_token": hostile.logout_token(Tampering(claims=claims))})
    await person.open(callback)
    assert not await is_signed_in(server, person)


async def test_the_gateway_is_no_provider_of_its_own(server: RunningServer, hostile: HostileProvider) -> None:
    token = hostile.logout_token(Tampering(claims={"iss": server.issuer}))
    assert (await send_logout(server, token)).status_code == 400


class TestAdministration:
    async def test_a_user_of_a_provider_is_named_with_it_and_disabled(
        self, server: RunningServer, hostile: HostileProvider
    ) -> None:
        person = await sign_in(server, hostile)
        app = server.app()
        offline = await server.request_tokens(app, OFFLINE, person=person)
        named = {"user": "dora", "provider": hostile.issuer}
        assert (await admin_request(server, "POST", "/users/disable", named)).status_code == 200
        assert not await is_signed_in(server, person)
        assert (await app.read("/Patient/pat-a", offline["access_token"])).status_code == 401
        assert (await app.refresh(offline["refresh_token"])).status_code == 400
        newcomer = server.person()
        page = await newcomer.open(hostile.callback_url(await leave_portal_for_provider(server, newcomer)))
        assert (page.status, "user_disabled" in page.html) == (403, True)
        assert (await admin_request(server, "POST", "/users/enable", named)).status_code == 200
        await sign_in(server, hostile)

    async def test_the_grants_of_a_user_of_a_provider_are_listed_and_ended(
        self, server: RunningServer, hostile: HostileProvider
    ) -> None:
        person = await sign_in(server, hostile)
        await server.request_tokens(server.app(), OFFLINE, person=person)
        query = httpx2.QueryParams({"user": "dora", "provider": hostile.issuer})
        (grant,) = (await admin_request(server, "GET", f"/grants?{query}")).json()["grants"]
        by_subject = (await admin_request(server, "GET", f"/grants?user={grant['user']}")).json()["grants"]
        assert by_subject == [grant]
        ended = await admin_request(server, "POST", "/grants/end", {"user": "dora", "provider": hostile.issuer})
        assert ended.json() == {"ended": 1}
        ended = await admin_request(server, "POST", "/sessions/end", {"user": grant["user"]})
        assert ended.status_code == 200, "lists show the subject, which names the user too"
        assert not await is_signed_in(server, person)
