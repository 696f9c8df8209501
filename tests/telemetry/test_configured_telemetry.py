"""Telemetry of one configuration: everything is passed on, with the version."""

from gateway.telemetry.configured_telemetry import ConfiguredTelemetry
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.server_event import EventKind, ServerEvent
from gateway.telemetry.telemetry import Telemetry
from tests.proxy.running_gateway import CollectedTelemetry


def test_records_and_events_get_the_version() -> None:
    seen = CollectedTelemetry()
    telemetry = ConfiguredTelemetry(seen, "abc")
    telemetry.add_request(RequestRecord("GET", "1", "1", 0.0))
    telemetry.add_event(ServerEvent(kind=EventKind.SIGNED_IN, at=0.0))
    telemetry.log_fault(RequestRecord("GET", "2", "2", 0.0))
    assert [record.configuration for record in seen.records] == ["abc"]
    assert [event.configuration for event in seen.events] == ["abc"]
    assert len(seen.faults) == 1


def test_nothing_of_telemetry_is_left_to_the_base_class() -> None:
    public = {name for name in vars(Telemetry) if not name.startswith("_")}
    assert public <= set(vars(ConfiguredTelemetry))
