"""A release that is removed, and installed again by the other Helm, has its keys and grants. This is the last test."""

import asyncio

import pytest

from tests.kubernetes.deployment import RELEASE, Deployment
from tests.kubernetes.test_in_front_of_hapi import SCOPE
from tests.smart_server.worker_processes import app_at

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]


async def test_a_release_that_is_removed_and_installed_again_has_its_keys_and_grants(deployment: Deployment) -> None:
    keys = deployment.keys()
    async with deployment.server() as server:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        await asyncio.to_thread(deployment.helm, "uninstall", RELEASE, "--wait", "--timeout=120s")
        assert deployment.gateway_pods() == {} and deployment.keys() == keys
        await asyncio.to_thread(deployment.install, "--wait", "--timeout=240s", program="helm3")
        assert deployment.keys() == keys
        # The Service has another address, so that this asks a pod.
        address = next(iter(deployment.gateway_pods().values()))
        refreshed = await app_at(app, deployment.relay(address, 8080)).refresh(tokens["refresh_token"])
        assert refreshed.status_code == 200, refreshed.text
