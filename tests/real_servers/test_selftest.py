"""The self-test holds in front of every server, and leaves nothing there."""

import asyncio

import httpx2

from gateway.commands.selftesting.check_results import Outcome
from gateway.commands.selftesting.run import Target
from tests.commands.selftesting.tested_gateway import ADMIN_TOKEN, run_selftest, sentences
from tests.commands.serving_process import serving_process
from tests.real_servers.servers_under_test import Feature, Upstream


def count_patients(base_url: str) -> int:
    """How many there are. HAPI answers the same question for a minute from what it found, unless it is told not to."""
    headers = {"cache-control": "no-cache"}
    answer = httpx2.get(f"{base_url}/Patient?_summary=count", headers=headers, trust_env=False, timeout=60)
    return int(answer.json()["total"])


async def test_all_holds_and_nothing_is_left(running: tuple[Upstream, str]) -> None:
    upstream, base_url = running
    before = count_patients(base_url)
    async with serving_process(base_url, {"smart_server": {"admin_token": ADMIN_TOKEN}}) as process:
        target = Target(process.base_url, admin_token=ADMIN_TOKEN, seconds=120.0, patience=60.0)
        results = await asyncio.to_thread(run_selftest, target)
    assert sentences(results, Outcome.FAILED) == []
    skipped = sentences(results, Outcome.SKIPPED)
    assert [sentence for sentence in skipped if not sentence.startswith(("writes: an app", "leaks: leak_07"))] == []
    assert ("writes: an app" in " ".join(skipped)) <= (Feature.CONDITIONAL_DELETE in upstream.lacks)
    assert count_patients(base_url) == before
