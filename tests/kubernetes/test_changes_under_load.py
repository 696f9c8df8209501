"""What operators do and what breaks, while apps read: no request fails, and none is allowed what it must not see."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.kubernetes.cluster import wait_until
from tests.kubernetes.deployment import HINT, NAME, REDIS, RELEASE, Deployment
from tests.kubernetes.test_in_front_of_hapi import SCOPE
from tests.kubernetes.traffic import Traffic

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]

NEW_HINT = "Ask at the desk."


async def _under_load(deployment: Deployment, what: str, change: Callable[[], Awaitable[object]]) -> Traffic:
    async with deployment.server() as server:
        tokens = await server.request_tokens(server.app(), SCOPE)
    traffic = Traffic(f"{deployment.root}/fhir", tokens["access_token"])
    async with traffic.running():
        await change()
        await asyncio.sleep(1)
    deployment.figures[f"{what}, under load"] = traffic.summary()
    assert traffic.wrongly_allowed == []
    assert traffic.requests > 50
    return traffic


async def _sign_in_page(deployment: Deployment) -> str:
    async with deployment.server() as server:
        page = await server.person().open(server.app().authorization_url(SCOPE))
        return page.text


async def test_an_upgrade_and_a_rollback_fail_no_request_and_keep_the_keys(deployment: Deployment) -> None:
    keys, pods = deployment.keys(), set(deployment.gateway_pods())

    async def upgrade() -> None:
        changes = {"config": {"smart_server": {"sign_in_hint": NEW_HINT}}}
        await asyncio.to_thread(deployment.upgrade, **changes)

    traffic = await _under_load(deployment, "helm upgrade", upgrade)
    assert traffic.failures == []
    assert NEW_HINT in await _sign_in_page(deployment)
    assert not pods & set(deployment.gateway_pods()), "the settings changed, so that every pod is a new one"

    async def roll_back() -> None:
        await asyncio.to_thread(deployment.helm, "rollback", RELEASE, "--wait", "--timeout=180s")

    traffic = await _under_load(deployment, "helm rollback", roll_back)
    assert traffic.failures == []
    assert HINT in await _sign_in_page(deployment)
    assert deployment.keys() == keys


async def test_a_pod_that_is_deleted_fails_no_request(deployment: Deployment) -> None:
    first, *_ = deployment.gateway_pods()

    async def delete() -> None:
        await asyncio.to_thread(deployment.kubectl, "delete", "pod", first)
        await asyncio.to_thread(deployment.kubectl, "rollout", "status", f"deployment/{NAME}", "--timeout=120s")

    traffic = await _under_load(deployment, "a pod deleted", delete)
    assert traffic.failures == []


def _container_id(deployment: Deployment, pod: str, container: str) -> str:
    """The id of the container that runs now; empty while none is ready."""
    statuses = deployment.get("pod", pod)["status"]["containerStatuses"]
    (one,) = [status for status in statuses if status["name"] == container]
    return str(one["containerID"].removeprefix("containerd://")) if one["ready"] else ""


async def _kill(deployment: Deployment, pod: str, container: str) -> str:
    """Kill a container as the kernel would; its id."""
    killed = await asyncio.to_thread(_container_id, deployment, pod, container)
    await asyncio.to_thread(deployment.cluster.ctr, "tasks", "kill", "--signal", "KILL", killed)
    return killed


async def _crash(deployment: Deployment, pod: str, container: str) -> None:
    """Kill a container, and wait until another runs in its place."""
    killed = await _kill(deployment, pod, container)
    await asyncio.to_thread(
        wait_until, lambda: _container_id(deployment, pod, container) not in {killed, ""}, f"{container} runs again"
    )


async def test_a_gateway_that_crashes_lets_nothing_through(deployment: Deployment) -> None:
    first, *_ = deployment.gateway_pods()
    traffic = await _under_load(deployment, "a gateway crashed", lambda: _crash(deployment, first, "gateway"))
    # What it was busy with is lost, and so are connections until the node knows.
    assert len(traffic.failures) < 0.5 * traffic.requests


def _primaries(deployment: Deployment) -> list[str]:
    """The servers that say that they have the writes."""
    role = ["--container", "redis", "--", "sh", "-c", "redis-cli role | head -n 1"]
    pods = [f"{REDIS}-{number}" for number in range(3)]
    return [pod for pod in pods if "master" in deployment.kubectl("exec", pod, *role)]


async def test_the_redis_with_the_writes_hands_them_over_when_its_pod_ends(deployment: Deployment) -> None:
    (before,) = _primaries(deployment)
    async with deployment.server() as server:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)

        async def delete() -> None:
            await asyncio.to_thread(deployment.kubectl, "delete", "pod", before)
            await asyncio.to_thread(deployment.kubectl, "rollout", "status", f"statefulset/{REDIS}", "--timeout=120s")

        traffic = await _under_load(deployment, "the primary of Redis deleted", delete)
        assert traffic.failures == []
        refreshed = await app.refresh(tokens["refresh_token"])
        assert refreshed.status_code == 200, refreshed.text
    (after,) = _primaries(deployment)
    assert after != before


async def test_after_a_crash_of_the_redis_with_the_writes_apps_are_launched_again(deployment: Deployment) -> None:
    (primary,) = _primaries(deployment)
    await _kill(deployment, primary, "redis")
    started = time.monotonic()
    async with deployment.server() as server:
        app = server.app()
        tokens: dict[str, Any] = {}
        while not tokens:
            try:
                tokens = await server.request_tokens(app, SCOPE)
            except (AssertionError, RuntimeError, httpx2.HTTPError):
                # The page, which has no form then, or the response says that the store cannot be reached.
                assert time.monotonic() - started < 60
                await asyncio.sleep(0.2)
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200
    deployment.figures["launches again after a crash of the primary of Redis"] = f"{time.monotonic() - started:.1f} s"
    wait_until(lambda: len(_primaries(deployment)) == 1, "one server has the writes", 30)
