"""A running gateway whose users and clients change: who is still in the configuration keeps everything."""

import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.commands.reload.changed_process import IN_FORCE, logged, read_settings, write_settings
from tests.commands.serving_process import ServingProcess, serving_process
from tests.smart_server.admin_client import register_client
from tests.smart_server.running_server import RunningServer, smart_settings
from tests.smart_server.signed_in_user import sign_in_and_grant
from tests.smart_server.test_configuration_changes import CHANGES

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@contextlib.asynccontextmanager
async def _serving(fhir_server: str) -> AsyncIterator[tuple[ServingProcess, RunningServer]]:
    settings = {"reload": {"watch_seconds": None}, "smart_server": smart_settings(), "writes": {"allow": False}}
    async with (
        serving_process(fhir_server, settings) as process,
        httpx2.AsyncClient(timeout=30, trust_env=False) as http,
    ):
        server = RunningServer(process.root, process.base_url, f"{process.root}/auth", http)
        yield process, server
        for person in server.people:
            await person.aclose()


async def _reload(process: ServingProcess, smart_server: dict[str, Any], times: int) -> None:
    """Bring these settings into force, and another policy besides, so that there is a change in any case."""
    write_settings(process, smart_server=smart_server, limits={"bundle_entries": times})
    process.signal(signal.SIGHUP)
    await logged(process, IN_FORCE, times=times)


@pytest.mark.parametrize("changed", CHANGES)
async def test_after_a_reload_what_is_left_is_what_the_configuration_still_has(fhir_server: str, changed: str) -> None:
    change, left = CHANGES[changed]
    async with _serving(fhir_server) as (process, server):
        user = await sign_in_and_grant(server, "doctor")
        smart_server = read_settings(process)["smart_server"]
        change(smart_server)
        await _reload(process, smart_server, 1)
        assert await user.working() == left


async def test_clients_of_the_configuration_and_of_the_admin_api_are_known_after_a_reload(fhir_server: str) -> None:
    async with _serving(fhir_server) as (process, server):
        await register_client(server, "registered-app")
        smart_server = read_settings(process)["smart_server"]
        smart_server["clients"].append({**smart_server["clients"][0], "client_id": "new-app"})
        smart_server["branding"] = {"name": "City Hospital"}
        await _reload(process, smart_server, 1)
        for client_id in ("new-app", "registered-app"):
            assert "access_token" in await server.request_tokens(server.app(client_id), "launch/patient patient/*.rs")
        page = await server.person().open(f"{server.issuer}/manage")
        assert "City Hospital" in page.text
