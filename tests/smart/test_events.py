"""What telemetry is told of a grant from its beginning to its end: who, what, for whom; and never a secret."""

from pathlib import Path

import orjson
import pytest

from gateway.settings.model import Audit
from gateway.telemetry.audit import AuditLog
from gateway.telemetry.event import EventKind
from gateway.telemetry.metrics import Metrics
from tests.gateway.running import Seen
from tests.smart.house import House

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid offline_access patient/*.rs"


def kinds(seen: Seen) -> list[str]:
    return [event.kind.value for event in seen.events]


async def test_each_step_of_a_grant_is_an_event(house: House) -> None:
    seen = house.seen
    seen.events.clear()
    app, person = house.app(), house.person()
    page = await person.go(app.authorization_url(SCOPE))
    page = await person.sign_in(page, "doctor", "wrong")
    page = await person.sign_in(page)
    page = await person.agree(await person.choose(page, "pat-a"))
    tokens = (await app.exchange(page.parameters["code"])).json()
    await app.exchange(page.parameters["code"])
    await app.post("/revoke", {"token": tokens["refresh_token"]})
    assert kinds(seen) == ["sign_in_failed", "signed_in", "granted", "token_issued", "token_refused"]
    granted = seen.events[2]
    assert (granted.client_id, granted.subject, granted.patient) == ("public-app", "doctor", "pat-a")
    assert granted.scope == tokens["scope"]
    assert granted.authorization_id == seen.events[3].authorization_id
    assert seen.events[4].reason == "invalid_grant"


async def test_a_revocation_names_the_grant_that_ended(house: House) -> None:
    app = house.app()
    tokens = await house.tokens(app, SCOPE)
    await app.post("/revoke", {"token": tokens["refresh_token"]})
    ended, issued = house.seen.events[-1], house.seen.events[-2]
    assert ended.kind is EventKind.REVOKED
    assert ended.authorization_id == issued.authorization_id


async def test_events_are_counted_and_written_without_a_secret(house: House, tmp_path: Path) -> None:
    house.seen.events.clear()
    app = house.app()
    tokens = await house.tokens(app, SCOPE)
    path, metrics = tmp_path / "audit.jsonl", Metrics()
    settings = Audit.model_validate({"destination": str(path), "hash_patient": True, "hash_key": "a key"})
    audit = AuditLog.from_settings(settings)
    for event in house.seen.events:
        audit.note(event)
        metrics.note(event)
    audit.close()
    written = path.read_text(encoding="utf-8")
    for secret in (tokens["access_token"], tokens["refresh_token"], tokens["id_token"], app.verifier, app.state):
        assert secret not in written
    told = [orjson.loads(line) for line in written.splitlines()]
    granted = next(one for one in told if one["event"] == "granted")
    assert granted["patient"].startswith("hmac:")
    assert 'smart_gateway_smart_events_total{event="granted"} 1.0' in metrics.exposition().decode()
