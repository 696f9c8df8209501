"""Real traffic, seen by a real Prometheus: every panel and every record has data, and an alert reaches a webhook."""

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from gateway.credentials.development_key import load_or_create_key, public_jwks, sign_access_token
from tests.monitoring.monitoring_files import alerts, dashboard_expressions, records
from tests.monitoring.real_monitoring import Prometheus, running_alertmanager, running_prometheus, running_webhook
from tests.proxy.running_gateway import ISSUER
from tests.servers.hostile import Mode, start_hostile
from tests.servers.ports import free_port
from tests.servers.process import start_process, with_leash
from tests.smart_server.running_server import RunningServer, smart_settings

_SECONDS = 120.0


@dataclass
class Watched:
    """A gateway with traffic, the Prometheus that watches it, and the alerts that the webhook was told."""

    server: RunningServer
    prometheus: Prometheus
    token: str
    told: list[dict[str, Any]] = field(default_factory=list)

    async def send_traffic(self) -> None:
        """Reads, searches whose server ignores what was asked, refusals, and a token that is issued and refused."""
        headers = {"authorization": f"Bearer {self.token}"}
        for path in ("/Patient/pat-a", "/Observation?patient=pat-a", "/Observation/nobody", "/MedicationRequest"):
            await self.server.http.get(f"{self.server.base}{path}", headers=headers)
        await self.server.http.get(f"{self.server.base}/Patient/pat-a")
        backend = self.server.app("backend")
        form = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
        assert (await backend.post("/token", dict(form))).status_code == 200
        await backend.post("/token", {**form, "scope": "system/Nothing.rs"})

    async def wait_for_data(self, expressions: dict[str, str]) -> None:
        """Send traffic until each expression has a value. Fails with those that have none in the end."""
        missing = dict(expressions)
        deadline = asyncio.get_running_loop().time() + _SECONDS
        while missing and asyncio.get_running_loop().time() < deadline:
            await self.send_traffic()
            for name, expression in list(missing.items()):
                if await self.prometheus.query(self.server.http, expression):
                    del missing[name]
        assert missing == {}


@contextlib.contextmanager
def _running_gateway(upstream: str) -> Iterator[tuple[str, str, Path]]:
    """A gateway process with a SMART server and an issuer: its root URL, the `host:port` of its metrics, its folder."""
    folder = Path(tempfile.mkdtemp(prefix="watched-"))
    port, metrics_port = free_port(), free_port()
    root = f"http://127.0.0.1:{port}"
    jwks_file = folder / "jwks.json"
    jwks_file.write_text(json.dumps(public_jwks(load_or_create_key(folder / "key.json"))), encoding="ascii")
    settings = {
        "public_base_url": f"{root}/fhir",
        "development": True,
        "listen": {"port": port},
        "metrics": {"port": metrics_port},
        "upstream": {"base_url": upstream},
        "issuers": [{"issuer": ISSUER, "audiences": [f"{root}/fhir"], "jwks_file": str(jwks_file)}],
        "smart_server": smart_settings(),
        "audit": {
            "destination": str(folder / "audit"),
            "events": {"spool": str(folder / "spool"), "file": str(folder / "events.ndjson")},
        },
    }
    (folder / "gateway.yaml").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(folder / "gateway.yaml")]
    with start_process("watched", with_leash(command), root, ready_path="/readyz", folder=folder):
        yield root, f"127.0.0.1:{metrics_port}", folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched() -> AsyncIterator[Watched]:
    async with contextlib.AsyncExitStack() as stack:
        webhook, told = stack.enter_context(running_webhook())
        alertmanager = stack.enter_context(running_alertmanager(webhook))
        hostile = stack.enter_context(start_hostile())
        root, metrics, folder = stack.enter_context(_running_gateway(hostile.base(Mode.ONLY_B)))
        prometheus = stack.enter_context(running_prometheus(metrics, alertmanager))
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=30, trust_env=False))
        server = RunningServer(root, f"{root}/fhir", f"{root}/auth", http)
        claims = {
            "iss": ISSUER, "aud": server.base, "sub": "someone", "client_id": "growth-chart", "patient": "pat-a",
            "scope": "patient/Patient.rs patient/Observation.rs", "exp": 4_102_444_800,
        }  # fmt: skip
        token = sign_access_token(load_or_create_key(folder / "key.json"), claims)
        yield Watched(server, prometheus, token, told)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_panel_of_the_dashboard_has_data(watched: Watched) -> None:
    await watched.wait_for_data(dashboard_expressions())


COUNTED = {
    "permitted requests of the client": '{client="growth-chart",reason="permitted"}',
    "its refused searches": '{client="growth-chart",reason="scope_insufficient"}',
    "requests without a token": '{client="none",reason="token_missing"}',
}


@pytest.mark.asyncio(loop_scope="module")
async def test_what_was_sent_is_what_is_counted(watched: Watched) -> None:
    expressions = {what: f"smart_gateway_client_decisions_total{labels} > 0" for what, labels in COUNTED.items()}
    for metric in (
        'narrowing_misses_total{resource_type="Observation"}', "dropped_entries_total", "response_bytes_total",
        'token_responses_total{outcome="issued"}', 'token_responses_total{outcome="invalid_scope"}',
        'smart_events_total{event="token_refused"}', 'store_round_trips_total{operation="put",outcome="ok"}',
        'token_cache_lookups_total{result="hit"}', "token_cache_entries", "pool_connections_opened_total",
        'request_duration_seconds_count{interaction="read"}', "upstream_duration_seconds_count",
    ):  # fmt: skip
        expressions[metric] = f"smart_gateway_{metric} > 0"
    await watched.wait_for_data(expressions)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_record_has_data_under_its_name(watched: Watched) -> None:
    await watched.wait_for_data({name: name for name in records()})


@pytest.mark.asyncio(loop_scope="module")
async def test_a_narrowing_miss_is_told_to_the_webhook_with_the_way_to_its_runbook(watched: Watched) -> None:
    async with asyncio.timeout(_SECONDS):
        while not (
            told := [alert for alert in watched.told if alert["labels"]["alertname"] == "SmartGatewayNarrowingMiss"]
        ):
            await watched.send_traffic()
            await asyncio.sleep(0.2)
    annotations = told[0]["annotations"]
    assert told[0]["status"] == "firing"
    assert told[0]["labels"]["resource_type"] == "Observation"
    assert annotations["runbook_url"] == alerts()["SmartGatewayNarrowingMiss"]["annotations"]["runbook_url"]
    assert "resources of Observation" in annotations["description"]
