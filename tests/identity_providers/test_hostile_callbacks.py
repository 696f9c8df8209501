"""Callbacks and claims of a hostile provider: other issuers, errors, old logins, and users of other servers."""

import contextlib
from typing import Any

import pytest
from starlette.responses import Response

from tests.identity_providers.browser_login import (
    is_signed_in,
    leave_for_provider,
    reason_of,
    with_providers,
)
from tests.identity_providers.hostile_logins import NOBODY, NOW, SCOPE, follow_provider_link, log_in
from tests.identity_providers.hostile_provider import HostileProvider, Tampering, hostile_provider
from tests.proxy.lenient_server import LenientServer
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENDERS: dict[str, dict[str, str | None]] = {
    "another issuer": {"iss": NOBODY},
    "nobody, though it says its name": {"iss": None},
    "another issuer, as an error": {"iss": NOBODY, "code": None, "error": "access_denied"},
}


@pytest.mark.parametrize("callback", SENDERS.values(), ids=SENDERS.keys())
async def test_a_code_is_shown_to_no_other_than_who_gave_it(
    server: RunningServer, hostile: HostileProvider, callback: dict[str, str | None]
) -> None:
    hostile.tampering = Tampering(callback=callback)
    person, page = await log_in(server, hostile)
    assert reason_of(page) == "provider_not_believed"
    assert "token" not in hostile.requested_documents
    assert not await is_signed_in(server, person)


async def test_a_provider_that_never_says_its_name_is_known_by_its_id_token(
    server: RunningServer, unknown: tuple[HostileProvider, int]
) -> None:
    hostile, index = unknown
    hostile.tampering = Tampering(
        discovery={"authorization_response_iss_parameter_supported": None}, callback={"iss": None}
    )
    person, _ = await log_in(server, hostile, index)
    assert await is_signed_in(server, person)


CALLBACKS: dict[str, tuple[dict[str, str | None], str]] = {
    "no code": ({"code": None}, "provider_not_believed"),
    "the state of nobody": ({"state": "x.y"}, "login_foreign"),
    "no state": ({"state": None}, "login_foreign"),
    "trouble of its own": ({"code": None, "error": "server_error"}, "provider_refused"),
    "that we ask wrongly": ({"code": None, "error": "invalid_scope"}, "provider_refused"),
    "an error that is a story": ({"code": None, "error": "<script>\n"}, "provider_refused"),
    "an error beside a code": ({"error": "server_error"}, "provider_refused"),
}


@pytest.mark.parametrize(("callback", "reason"), CALLBACKS.values(), ids=CALLBACKS.keys())
async def test_nobody_signs_in_by_a_callback_with(
    server: RunningServer, hostile: HostileProvider, callback: dict[str, str | None], reason: str
) -> None:
    hostile.tampering = Tampering(callback=callback)
    person, page = await log_in(server, hostile)
    assert reason_of(page) == reason
    assert "<script>" not in page.html
    assert "token" not in hostile.requested_documents
    assert not await is_signed_in(server, person)


@pytest.mark.parametrize("query", ["%ff=1", "a&" * 300, "state=&code=x", ""], ids=["no text", "many", "empty", "none"])
async def test_a_callback_that_cannot_be_read_is_a_page(server: RunningServer, query: str) -> None:
    page = await server.person().open(f"{server.issuer}/signed-in?{query}")
    assert (page.status, reason_of(page) in {"login_failed", "login_foreign"}) == (400, True)


@pytest.mark.parametrize("error", ["access_denied", "login_required", "interaction_required"])
async def test_who_declines_there_declines_here(server: RunningServer, hostile: HostileProvider, error: str) -> None:
    hostile.tampering = Tampering(callback={"code": None, "error": error})
    _, page = await log_in(server, hostile)
    assert page.parameters["error"] == "access_denied"


async def test_a_state_serves_once_even_where_the_login_failed(server: RunningServer, hostile: HostileProvider) -> None:
    person = server.person()
    page = await person.open(server.app().authorization_url(SCOPE))
    callback = hostile.callback_url(await leave_for_provider(person, page))
    hostile.tampering = Tampering(responses={"token": Response("no", 500)})
    assert reason_of(await person.open(callback)) == "provider_unavailable"
    hostile.tampering = Tampering()
    assert reason_of(await person.open(callback)) == "login_foreign"
    assert hostile.requested_documents.count("token") == 1


async def test_another_browser_cannot_bring_the_answer(server: RunningServer, hostile: HostileProvider) -> None:
    person, thief = server.person(), server.person()
    callback = hostile.callback_url(
        await leave_for_provider(person, await person.open(server.app().authorization_url(SCOPE)))
    )
    await thief.open(server.app().authorization_url(SCOPE))
    assert reason_of(await thief.open(callback)) == "login_foreign"
    assert not await is_signed_in(server, thief)
    await person.open(callback)
    assert await is_signed_in(server, person), "and it serves its own browser still"


OLD = {"auth_time": NOW - 3600}
FRESHNESS: dict[str, tuple[dict[str, str], dict[str, Any], bool]] = {
    "a new login, and it was one": ({"prompt": "login"}, {}, True),
    "a new login, and it was an old one": ({"prompt": "login"}, OLD, False),
    "a new login, and nobody says when it was": ({"prompt": "login"}, {"auth_time": None}, False),
    "a login of this moment, and it was an old one": ({"max_age": "0"}, OLD, False),
    "a login of a minute, and it was an old one": ({"max_age": "60"}, OLD, False),
    "a login of a minute, and nobody says when": ({"max_age": "60"}, {"auth_time": None}, False),
    "a login of a minute, of a time that is none": ({"max_age": "60"}, {"auth_time": "now"}, False),
    "a login of a minute, of a time to come": ({"max_age": "60"}, {"auth_time": NOW + 86400}, False),
    "a login of a day, and it was an old one": ({"max_age": "86400"}, OLD, True),
    "any login, and it was an old one": ({}, OLD, True),
    "any login, and nobody says when it was": ({}, {"auth_time": None}, True),
}


@pytest.mark.parametrize(("wish", "claims", "granted"), FRESHNESS.values(), ids=FRESHNESS.keys())
async def test_an_app_that_wants(
    server: RunningServer, hostile: HostileProvider, wish: dict[str, str], claims: dict[str, Any], granted: bool
) -> None:
    hostile.tampering = Tampering(claims=claims)
    person, page = await log_in(server, hostile, prompt=wish.get("prompt"), max_age=wish.get("max_age"))
    assert await is_signed_in(server, person) == granted
    if not granted:
        assert reason_of(page) == "login_not_fresh"


async def test_an_old_login_there_is_no_new_one_here(server: RunningServer, hostile: HostileProvider) -> None:
    hostile.tampering = Tampering(claims=OLD)
    person, _ = await log_in(server, hostile)
    page = await person.open(server.app().authorization_url(SCOPE, max_age="1800"))
    assert page.title.startswith("Sign in"), "half an hour is over since"
    page = await person.open(server.app().authorization_url(SCOPE, max_age="7200"))
    assert not page.title.startswith("Sign in")


@pytest.mark.parametrize(
    "claim", [f"{NOBODY}/fhir/Patient/pat-a", "Organization/pat-a", "Patient/../Patient/pat-a", "Patient/pat-a/"]
)
async def test_a_user_of_another_place_can_grant_no_records(
    server: RunningServer, hostile: HostileProvider, claim: str
) -> None:
    hostile.tampering = Tampering(claims={"fhirUser": claim})
    _, page = await log_in(server, hostile, scope="launch/patient patient/Patient.rs")
    assert page.parameters["error"] == "invalid_scope"


async def test_a_user_below_our_own_base_is_one_of_ours(server: RunningServer, hostile: HostileProvider) -> None:
    hostile.tampering = Tampering(claims={"fhirUser": f"{server.base}/Patient/pat-a"})
    _, page = await log_in(server, hostile)
    assert page.form("/consent").method == "post"


async def test_a_provider_that_is_gone_is_a_page_and_no_crash(charts: LenientServer) -> None:
    async with contextlib.AsyncExitStack() as until_it_is_gone:
        provider = await until_it_is_gone.enter_async_context(hostile_provider())
        async with run_smart_server(charts.base_url, change=with_providers(provider.issuer)) as server:
            person = server.person()
            page = await person.open(server.app().authorization_url(SCOPE))
            callback = provider.callback_url(await leave_for_provider(person, page))
            await until_it_is_gone.aclose()
            arrived = await person.open(callback)
            left = await follow_provider_link(server, 0)
            assert [(page.status, reason_of(page)) for page in (arrived, left)] == [(502, "provider_unavailable")] * 2
            assert not await is_signed_in(server, person)
