"""The client's address in records of the proxy and events of the SMART server, behind a proxy and without one."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


async def addresses(server: RunningServer, headers: dict[str, str]) -> Sequence[str | None]:
    """The addresses that are recorded of one request to the proxy, one to a page and one to the token endpoint."""
    await server.http.get(f"{server.base}/Patient/pat-a", headers=headers)
    person = server.person()
    person.client.headers.update(headers)
    await person.sign_in(await person.open(f"{server.issuer}/sign-in"), "doctor")
    await server.http.post(f"{server.issuer}/token", headers=headers)
    telemetry = server.telemetry
    return [record.remote_address for record in telemetry.records] + [
        event.remote_address for event in telemetry.events
    ]


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded"])
async def test_the_address_that_a_trusted_proxy_names_is_recorded_everywhere(fhir_server: str, name: str) -> None:
    def change(settings: dict[str, Any]) -> None:
        settings["listen"] = {"trusted_proxies": ["127.0.0.0/8"]}

    node = "198.51.100.9, 192.0.2.1" if name == "x-forwarded-for" else "for=198.51.100.9, for=192.0.2.1"
    async with run_smart_server(fhir_server, change=change) as server:
        assert set(await addresses(server, {name: node})) == {"192.0.2.1"}


@pytest.mark.parametrize("proxies", [[], ["192.0.2.0/24"]], ids=["no proxies", "other proxies"])
async def test_nobody_else_is_believed(fhir_server: str, proxies: list[str]) -> None:
    def change(settings: dict[str, Any]) -> None:
        settings["listen"] = {"trusted_proxies": proxies}

    headers = {"x-forwarded-for": "192.0.2.1", "forwarded": "for=192.0.2.1", "x-real-ip": "192.0.2.1"}
    async with run_smart_server(fhir_server, change=change) as server:
        recorded = await addresses(server, headers)
        assert len(recorded) >= 3
        assert set(recorded) == {"127.0.0.1"}
