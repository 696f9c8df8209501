"""Shadow mode comes and goes with the configuration, and its beginning is told."""

import signal
import time
from collections.abc import AsyncIterator

import httpx2
import pytest

from gateway.credentials.development_key import load_or_create_key, sign_access_token
from gateway.settings.enforcement.shadow import MAX_DAYS
from tests.commands.reload.changed_process import IN_FORCE, REFUSED, lines, logged, samples, write_settings
from tests.commands.serving_process import ISSUER, ServingProcess, serving_process
from tests.proxy.lenient_server import lenient_server

PATIENT = {"resourceType": "Patient", "id": "A"}
DAY = 86400.0


@pytest.fixture
async def gateway() -> AsyncIterator[ServingProcess]:
    async with (
        lenient_server(PATIENT) as upstream,
        serving_process(upstream.base_url, {"reload": {"watch_seconds": None}}) as serving,
    ):
        yield serving


async def _status(gateway: ServingProcess) -> int:
    """The status of a read for which the token has no scope."""
    claims = {"iss": ISSUER, "aud": gateway.base_url, "client_id": "app", "scope": "openid", "exp": time.time() + 600}
    token = sign_access_token(load_or_create_key(gateway.folder / "key.json"), claims)
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        headers = {"authorization": f"Bearer {token}"}
        return (await client.get(f"{gateway.root}/fhir/Patient/A", headers=headers)).status_code


def _shadow(days: float) -> list[dict[str, str]]:
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * DAY))
    return [{"issuer": ISSUER, "client_id": "app", "until": until}]


async def test_shadow_mode_comes_and_goes_with_a_reload(gateway: ServingProcess) -> None:
    metric = "smart_gateway_shadow_entries_in_force"
    assert (await _status(gateway), await samples(gateway, metric)) == (403, {})
    write_settings(gateway, shadow=_shadow(1))
    gateway.signal(signal.SIGHUP)
    await logged(gateway, IN_FORCE)
    assert (await _status(gateway), await samples(gateway, metric)) == (200, {"": 1})
    [warning] = [line for line in lines(gateway, "a setting to look at again") if line["setting"] == "shadow[0]"]
    assert "lets the client app of" in warning["text"]

    write_settings(gateway, shadow=_shadow(MAX_DAYS + 1))
    gateway.signal(signal.SIGHUP)
    [problem] = (await logged(gateway, REFUSED))["problems"]
    assert problem.endswith(f"must be at most {MAX_DAYS} days ahead: shadow mode ends by itself")
    assert await _status(gateway) == 200

    write_settings(gateway, shadow=None)
    gateway.signal(signal.SIGHUP)
    await logged(gateway, IN_FORCE, times=2)
    assert (await _status(gateway), await samples(gateway, metric)) == (403, {})

    gateway.signal(signal.SIGTERM)
    assert await gateway.exit_status() == 0
    told = [(line["status"], line.get("shadow", {}).get("reason")) for line in gateway.audit() if "status" in line]
    assert told == [(403, None), (200, "scope_insufficient"), (200, "scope_insufficient"), (403, None)]
