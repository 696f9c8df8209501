"""While events cannot be recorded, nobody signs in at the admin port and nothing is changed there; reading goes on."""

from pathlib import Path

import pytest

from gateway.telemetry.audit_events.entities import EventForm
from gateway.telemetry.audit_events.event_log import AuditEventLog
from gateway.telemetry.audit_events.naming import Naming
from gateway.telemetry.audit_events.spool import Spool
from gateway.telemetry.server_event import EventKind, ServerEvent
from tests.admin.running_admin import OPERATOR, OPERATOR_TOKEN, PASSWORD, RunningAdmin

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest.fixture
def full_spool(admin: RunningAdmin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuditEventLog:
    """The gateway's AuditEvents have no place any more."""
    spool = Spool(tmp_path / "spool", ["file"], None, 1)
    events = AuditEventLog(spool, EventForm(Naming("https://fhir.example.org/r4")), "urn:x", refuses_when_full=True)
    events.add_event(ServerEvent(kind=EventKind.SIGNED_IN, at=1_700_000_000.0, subject="doctor"))
    assert events.refuses_requests
    monkeypatch.setattr(admin.server.telemetry, "_audit_events", events)
    return events


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("POST", "/api/session", id="a sign-in at the API"),
        pytest.param("POST", "/sign-in", id="a sign-in at the page"),
        pytest.param("GET", "/signed-in?state=x&code=y", id="a browser that the provider sends back"),
        pytest.param("GET", "/signed-in%0A?state=x&code=y", id="the same with a line feed that routes overlook"),
        pytest.param("POST", "/api/clients", id="a new app"),
        pytest.param("DELETE", "/api/users/doctor", id="the end of a user"),
        pytest.param("POST", "/keys/replace", id="a new key by the page"),
    ],
)
@pytest.mark.usefixtures("full_spool")
async def test_what_changes_something_is_refused(admin: RunningAdmin, method: str, path: str) -> None:
    headers = {"authorization": f"Bearer {OPERATOR_TOKEN}"}
    body = {"name": OPERATOR, "password": PASSWORD} if method == "POST" else None
    response = await admin.server.http.request(method, admin.url + path, headers=headers, json=body)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert response.json()["code"] == "temporarily_unavailable"


@pytest.mark.usefixtures("full_spool")
async def test_reading_goes_on(admin: RunningAdmin) -> None:
    assert (await admin.call("GET", "/health")).status_code == 200
    assert (await admin.server.http.get(f"{admin.url}/sign-in")).status_code == 200
