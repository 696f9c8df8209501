"""Scopes without end: none of them makes the others wait who are served by the same event loop."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import httpx2
import pytest

from gateway.oauth.granting import MAX_CONSTRAINTS, MAX_SCOPES
from tests.smart.house import House

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

# Seconds. What was squared and had no bound took ten and more.
PATIENCE = 2.0


def many(context: str, count: int) -> list[str]:
    """Scopes of which none covers another."""
    return [f"{context}/Observation.r?category=a{number:x}" for number in range(count)]


async def stalled(house: House, work: Coroutine[Any, Any, Any]) -> float:
    """How long another request had to wait at most while `work` was done, in seconds."""
    running, longest = asyncio.ensure_future(work), 0.0
    async with httpx2.AsyncClient(timeout=60, trust_env=False) as other:
        while not running.done():
            began = time.monotonic()
            await other.get(f"{house.issuer}/jwks")
            longest = max(longest, time.monotonic() - began)
    await running
    return longest


@pytest.mark.parametrize("count", [MAX_SCOPES + 2, 900, 2400])
async def test_a_backend_service_is_refused_more_scopes_than_anybody_means(house: House, count: int) -> None:
    asked: dict[str, str | None] = {"grant_type": "client_credentials", "scope": " ".join(many("system", count))}
    answer = await house.app("backend").post("/token", asked)
    assert answer.json()["error"] == "invalid_scope"


async def test_a_backend_service_stalls_nobody(house: House) -> None:
    app = house.app("backend")
    for count in (MAX_SCOPES, 900, 2400):
        asked: dict[str, str | None] = {"grant_type": "client_credentials", "scope": " ".join(many("system", count))}
        assert await stalled(house, app.post("/token", asked)) < PATIENCE


@pytest.mark.parametrize("count", [900, 2400])
async def test_a_refresh_stalls_nobody(house: House, count: int) -> None:
    app = house.app()
    told = await house.tokens(app, "openid offline_access patient/Observation.rs")
    asked = " ".join(many("patient", count))
    assert (await app.refresh(told["refresh_token"], scope=asked)).json()["error"] == "invalid_scope"
    assert await stalled(house, app.refresh(told["refresh_token"], scope=asked)) < PATIENCE


async def test_a_consent_form_stalls_nobody_and_grants_no_more_than_a_request_may_name(house: House) -> None:
    app = house.app()
    person, page = await house.consent_page(app, "openid offline_access patient/Observation.rs")
    choices = page.form("/consent").choices
    use = next(one for one in choices if one.startswith("use-") and one.replace("use", "part") in choices)
    ticked: dict[str, Any] = {use: "some", use.replace("use", "part"): many("patient", 1200)}
    pages = []

    async def agree() -> None:
        pages.append(await person.agree(page, **ticked))

    assert await stalled(house, agree()) < PATIENCE
    answer = (await app.exchange(pages[0].parameters["code"])).json()
    assert len(answer["scope"].split()) <= MAX_SCOPES
    again = await app.refresh(answer["refresh_token"], scope=answer["scope"])
    assert set(again.json()["scope"].split()) == set(answer["scope"].split())


def constrained(count: int, constraints: int) -> str:
    """Scopes that differ in the last of so many constraints."""
    common = "&".join(f"code={number:x}" for number in range(constraints - 1))
    return " ".join(f"patient/Observation.rs?{common}&code=z{number:x}" for number in range(count))


@pytest.mark.parametrize(("count", "constraints"), [(20, 151), (14, 20), (2, 145)])
async def test_constraints_count_as_scopes_do(house: House, count: int, constraints: int) -> None:
    person, app = house.person(), house.app()
    await house.code(app, "openid", person=person)
    request = list(app.authorization_parameters(f"openid {constrained(count, constraints)}").items())
    pages = []

    async def ask() -> None:
        pages.append(await person.go(f"{house.issuer}/authorize", data=request))

    assert await stalled(house, ask()) < PATIENCE
    if count * constraints > MAX_SCOPES:
        assert pages[0].parameters["error"] == "invalid_scope"
    else:
        granted = "patient/Observation.rs" in pages[0].html or pages[0].forms[-1].action.endswith("/patient")
        assert granted is (constraints <= MAX_CONSTRAINTS), "a scope that nobody reads to its end is not offered"


async def test_constraints_of_a_consent_form_stall_nobody(house: House) -> None:
    person, page = await house.consent_page(house.app(), "openid patient/Observation.rs")
    choices = page.form("/consent").choices
    use = next(one for one in choices if one.startswith("use-") and one.replace("use", "part") in choices)
    ticked: dict[str, Any] = {use: "some", use.replace("use", "part"): constrained(60, 200).split()}
    assert await stalled(house, person.agree(page, **ticked)) < PATIENCE
