"""The telemetry events of a grant from launch to revocation, and that none contains a secret."""

from pathlib import Path

import orjson
import pytest

from gateway.settings.model import Audit
from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.server_event import EventKind
from tests.proxy.running_gateway import CollectedTelemetry
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid offline_access patient/*.rs"


def event_kinds(seen: CollectedTelemetry) -> list[str]:
    return [event.kind.value for event in seen.events]


async def test_each_step_of_a_grant_is_an_event(server: RunningServer) -> None:
    seen = server.telemetry
    seen.events.clear()
    app, person = server.app(), server.person()
    page = await person.open(app.authorization_url(SCOPE))
    page = await person.sign_in(page, "doctor", "wrong")
    page = await person.sign_in(page)
    page = await person.agree(await person.choose_patient(page, "pat-a"))
    tokens = (await app.exchange(page.parameters["code"])).json()
    await app.exchange(page.parameters["code"])
    await app.post("/revoke", {"token": tokens["refresh_token"]})
    assert event_kinds(seen) == ["sign_in_failed", "signed_in", "granted", "token_issued", "token_refused"]
    granted = seen.events[2]
    assert (granted.client_id, granted.subject, granted.patient) == ("public-app", "doctor", "pat-a")
    assert granted.scope == tokens["scope"]
    assert granted.authorization_id == seen.events[3].authorization_id
    assert seen.events[4].reason == "invalid_grant"


async def test_a_revocation_names_the_grant_that_ended(server: RunningServer) -> None:
    app = server.app()
    tokens = await server.request_tokens(app, SCOPE)
    await app.post("/revoke", {"token": tokens["refresh_token"]})
    ended, issued = server.telemetry.events[-1], server.telemetry.events[-2]
    assert ended.kind is EventKind.REVOKED
    assert ended.authorization_id == issued.authorization_id


async def test_events_are_counted_and_written_without_a_secret(server: RunningServer, tmp_path: Path) -> None:
    server.telemetry.events.clear()
    app = server.app()
    tokens = await server.request_tokens(app, SCOPE)
    path, metrics = tmp_path / "audit.jsonl", Metrics()
    settings = Audit.model_validate({"destination": str(path), "hash_patient": True, "hash_key": "a key"})
    audit = AuditLog.from_settings(settings)
    for event in server.telemetry.events:
        audit.add_event(event)
        metrics.add_event(event)
    audit.close()
    written = path.read_text(encoding="utf-8")
    for secret in (tokens["access_token"], tokens["refresh_token"], tokens["id_token"], app.verifier, app.state):
        assert secret not in written
    events = [orjson.loads(line) for line in written.splitlines()]
    granted = next(problem for problem in events if problem["event"] == "granted")
    assert granted["patient"].startswith("hmac:")
    assert 'smart_gateway_smart_events_total{event="granted"} 1.0' in metrics.exposition_text().decode()
