"""Requests with very many scopes do not block other requests on the same event loop."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import httpx2
import pytest

from gateway.oauth.granted_scopes import MAX_CONSTRAINTS
from gateway.oauth.scope_limits import ScopeLimits
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

MAX_SCOPES = ScopeLimits().max_scopes
# In seconds. Unbounded quadratic work took ten seconds and more.
PATIENCE = 2.0


def many(context: str, count: int) -> list[str]:
    """Scopes none of which covers another."""
    return [f"{context}/Observation.r?category=a{number:x}" for number in range(count)]


async def stalled(server: RunningServer, work: Coroutine[Any, Any, Any]) -> float:
    """The longest time in seconds that another request waited during `work`."""
    running, longest = asyncio.ensure_future(work), 0.0
    async with httpx2.AsyncClient(timeout=60, trust_env=False) as other:
        while not running.done():
            began = time.monotonic()
            await other.get(f"{server.issuer}/jwks")
            longest = max(longest, time.monotonic() - began)
    await running
    return longest


@pytest.mark.parametrize("count", [MAX_SCOPES + 2, 900, 2400])
async def test_a_backend_service_is_refused_more_scopes_than_anybody_means(server: RunningServer, count: int) -> None:
    form: dict[str, str | None] = {"grant_type": "client_credentials", "scope": " ".join(many("system", count))}
    answer = await server.app("backend").post("/token", form)
    assert answer.json()["error"] == "invalid_scope"


async def test_a_backend_service_stalls_nobody(server: RunningServer) -> None:
    app = server.app("backend")
    for count in (MAX_SCOPES, 900, 2400):
        form: dict[str, str | None] = {"grant_type": "client_credentials", "scope": " ".join(many("system", count))}
        assert await stalled(server, app.post("/token", form)) < PATIENCE


@pytest.mark.parametrize("count", [900, 2400])
async def test_a_refresh_stalls_nobody(server: RunningServer, count: int) -> None:
    app = server.app()
    tokens = await server.request_tokens(app, "openid offline_access patient/Observation.rs")
    scope = " ".join(many("patient", count))
    assert (await app.refresh(tokens["refresh_token"], scope=scope)).json()["error"] == "invalid_scope"
    assert await stalled(server, app.refresh(tokens["refresh_token"], scope=scope)) < PATIENCE


async def test_a_consent_form_stalls_nobody_and_grants_no_more_than_a_request_may_name(server: RunningServer) -> None:
    app = server.app()
    person, page = await server.open_consent_page(app, "openid offline_access patient/Observation.rs")
    choices = page.form("/consent").choices
    use = next(name for name in choices if name.startswith("use-") and name.replace("use", "part") in choices)
    ticked: dict[str, Any] = {use: "some", use.replace("use", "part"): many("patient", 1200)}
    pages = []

    async def agree() -> None:
        pages.append(await person.agree(page, **ticked))

    assert await stalled(server, agree()) < PATIENCE
    answer = (await app.exchange(pages[0].parameters["code"])).json()
    assert len(answer["scope"].split()) <= MAX_SCOPES
    refreshed = await app.refresh(answer["refresh_token"], scope=answer["scope"])
    assert set(refreshed.json()["scope"].split()) == set(answer["scope"].split())


def constrained(count: int, constraints: int) -> str:
    """Scopes with this many constraints that differ in the last one."""
    common = "&".join(f"code={number:x}" for number in range(constraints - 1))
    return " ".join(f"patient/Observation.rs?{common}&code=z{number:x}" for number in range(count))


@pytest.mark.parametrize(("count", "constraints"), [(20, 151), (14, 20), (2, 145)])
async def test_constraints_count_as_scopes_do(server: RunningServer, count: int, constraints: int) -> None:
    person, app = server.person(), server.app()
    await server.request_code(app, "openid", person=person)
    request = list(app.authorization_parameters(f"openid {constrained(count, constraints)}").items())
    pages = []

    async def ask() -> None:
        pages.append(await person.open(f"{server.issuer}/authorize", data=request))

    assert await stalled(server, ask()) < PATIENCE
    if count * constraints > MAX_SCOPES:
        assert pages[0].parameters["error"] == "invalid_scope"
    else:
        granted = "patient/Observation.rs" in pages[0].html or pages[0].forms[-1].action.endswith("/patient")
        assert granted is (constraints <= MAX_CONSTRAINTS), "a scope that nobody reads to its end is not offered"


async def test_constraints_of_a_consent_form_stall_nobody(server: RunningServer) -> None:
    person, page = await server.open_consent_page(server.app(), "openid patient/Observation.rs")
    choices = page.form("/consent").choices
    use = next(name for name in choices if name.startswith("use-") and name.replace("use", "part") in choices)
    ticked: dict[str, Any] = {use: "some", use.replace("use", "part"): constrained(60, 200).split()}
    assert await stalled(server, person.agree(page, **ticked)) < PATIENCE


async def test_a_page_of_wildcards_is_small_and_each_of_them_can_be_chosen(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    wildcards = [f"patient/*.rs?_tag=http://x|{number}" for number in range(298)]
    request = list(app.authorization_parameters(" ".join(wildcards)).items())
    page = await person.open(f"{server.issuer}/authorize", data=request)
    page = await person.choose_patient(await person.sign_in(page), "pat-a")
    assert len(page.html.encode()) < 200_000
    assert all(wildcard in page.html for wildcard in wildcards)
    (use,) = [name for name in page.form("/consent").choices if name.startswith("use-")]
    ticked: dict[str, Any] = {use: "some", use.replace("use", "part"): ["7", "297", "298", "-1", "x"]}
    page = await person.agree(page, **ticked)
    answer = (await app.exchange(page.parameters["code"])).json()
    assert set(answer["scope"].split()) == {"launch/patient", wildcards[7], wildcards[297]}


async def test_what_does_not_fit_on_a_page_is_not_asked_for(server: RunningServer) -> None:
    app, person = server.app(), server.person()
    long = " ".join(f"patient/Observation.rs?code={chr(39) * 500}{number}" for number in range(60))
    request = list(app.authorization_parameters(long).items())
    page = await person.open(f"{server.issuer}/authorize", data=request)
    page = await person.choose_patient(await person.sign_in(page), "pat-a")
    assert page.parameters["error"] == "invalid_scope"
