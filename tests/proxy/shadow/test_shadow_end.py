"""The end of shadow mode: nothing of it outlives the moment that is configured, and no link leads back to it."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from tests.proxy.leaked_marks import find_leaks, link_of, refusal_reason
from tests.proxy.running_gateway import ISSUER, RunningGateway
from tests.proxy.shadow.shadow_gateways import (
    SHADOWED,
    ask,
    ask_and_look,
    entries,
    moment_at,
    plain_answer,
    shadow_gateway,
)
from tests.servers.process import Server

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]
PATHS = ("/Patient/pat-b", "/Patient?_count=3", "/Observation?_count=3&_summary=true", "/Condition/pat-a-condition-1")
# A search too long for a link that holds its page, so that the page is stored.
LONG = "/Observation?_count=2&_id=" + ",".join(f"pat-b-observation-{number}" for number in range(1, 120))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(sekmet: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    async with shadow_gateway(sekmet.base_url, tmp_path_factory.mktemp("shadow"), shadow=entries()) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twin(sekmet: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """The gateway after a reload without shadow mode: it has the same key of links."""
    async with shadow_gateway(sekmet.base_url, tmp_path_factory.mktemp("twin")) as running:
        yield running


async def test_every_request_that_arrives_after_the_end_is_enforced(
    sekmet: Server, twin: RunningGateway, tmp_path: Path
) -> None:
    """Requests are repeated, so that decisions, grants, judgements and tokens are remembered by then."""
    ends_at = int(time.time()) + 4
    entry = {"issuer": ISSUER, "client_id": SHADOWED, "until": moment_at(ends_at)}
    async with shadow_gateway(sekmet.base_url, tmp_path, shadow=[entry]) as gateway:
        token = gateway.token("patient/*.rs", aud="urn:the-fhir-server", client_id=SHADOWED)
        headers = {"authorization": f"Bearer {token}"}
        links: set[str] = set()
        while True:
            is_over = time.time() >= ends_at + 1
            for path in (*PATHS, *links):
                response = await gateway.request(path, None, headers=headers)
                if response.status_code == 200 and response.json()["resourceType"] == "Bundle" and not is_over:
                    following = link_of(response, "next")
                    links |= {following.removeprefix(gateway.base_url)} if following and len(links) < 3 else set()
            if is_over:
                break
            await asyncio.sleep(0.05)
        asked = [record for record in gateway.telemetry.records if record.access is not None]
        assert [record for record in asked if (record.shadow is None) is not (record.arrived_at >= ends_at)] == []
        for path in PATHS:
            response = await gateway.request(path, None, headers=headers)
            assert plain_answer(gateway, response) == plain_answer(twin, await ask(twin, path))


@pytest.mark.parametrize("path", ["/Patient?_count=3", LONG, "/Patient/_history?_count=3"])
async def test_a_link_of_shadow_mode_leads_nowhere_afterwards(
    gateway: RunningGateway, twin: RunningGateway, path: str
) -> None:
    following = _next_path(gateway, await ask(gateway, path))
    assert (await ask(gateway, following)).status_code == 200
    for other, client in ((twin, SHADOWED), (gateway, "expired"), (gateway, "unlisted")):
        response = await ask(other, following, client=client)
        assert (response.status_code, refusal_reason(response)) == (404, "page_unknown")
        assert not find_leaks(response)


async def test_a_link_from_before_is_followed_under_enforcement(gateway: RunningGateway, twin: RunningGateway) -> None:
    following = _next_path(twin, await ask(twin, "/Observation?_count=3"))
    response, record = await ask_and_look(gateway, following)
    assert (response.status_code, record.shadow) == (200, None)
    assert plain_answer(gateway, response) == plain_answer(twin, await ask(twin, following))


async def test_a_link_of_shadow_mode_is_bound_to_its_grant(gateway: RunningGateway) -> None:
    following = _next_path(gateway, await ask(gateway, "/Patient?_count=3"))
    for scope, claims in (("patient/*.r", {}), ("patient/*.rs", {"patient": "pat-3"}), ("patient/*.rs", {"sub": "x"})):
        response = await ask(gateway, following, scope, claims=claims)
        assert (response.status_code, refusal_reason(response)) == (404, "page_unknown")


def _next_path(gateway: RunningGateway, response: httpx2.Response) -> str:
    following = link_of(response, "next")
    assert following is not None, response.text
    return following.removeprefix(gateway.base_url)
