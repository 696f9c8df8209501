"""Without a place for their events, nobody signs in; health checks are answered."""

import httpx2
import pytest
from starlette.responses import PlainTextResponse

from gateway.asgi.recorded_routes import RecordedRoutes
from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.line_writer import LineWriter
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.telemetry import Telemetry


class FullTelemetry(Telemetry):
    """One whose spool is full."""

    @property
    def refuses_requests(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/auth/token", FullTelemetry, 503),
        ("/auth/token", Telemetry, 200),
        ("/healthz", FullTelemetry, 200),
        ("/readyz", FullTelemetry, 200),
        ("/auth/launch/readyz", FullTelemetry, 503),
        ("/auth/admin/clients/healthz", FullTelemetry, 503),
    ],
)
async def test_what_is_answered_while_events_cannot_be_recorded(path: str, kind: type[Telemetry], status: int) -> None:
    telemetry = kind(Metrics(), AuditLog(LineWriter(1, close_descriptor=False)))
    application = RecordedRoutes(PlainTextResponse("fine"), telemetry)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(application), base_url="http://gateway") as client:
        response = await client.get(path)
    assert response.status_code == status
    if status == 503:
        assert (response.json()["error"], response.headers["retry-after"]) == ("temporarily_unavailable", "5")
