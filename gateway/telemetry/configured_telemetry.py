"""Telemetry of one configuration: each record and each event says under which version it came about."""

import msgspec

from gateway.telemetry.audit_events.request_events import Answer
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.request_recording.request_recorder import RequestRecorder
from gateway.telemetry.server_event import ServerEvent
from gateway.telemetry.telemetry import Telemetry


class ConfiguredTelemetry(Telemetry):
    """Adds the version, and passes everything on to the telemetry of the process."""

    def __init__(self, telemetry: Telemetry, version: str, recorder: RequestRecorder | None = None) -> None:
        """`telemetry` belongs to the process, and outlives the configuration. `recorder` is where one is configured."""
        self._telemetry = telemetry
        self._version = version
        self._recorder = recorder

    @property
    def keeps_events(self) -> bool:
        """See `Telemetry`."""
        return self._telemetry.keeps_events

    @property
    def refuses_requests(self) -> bool:
        """See `Telemetry`."""
        return self._telemetry.refuses_requests

    def keep_event(self, record: RequestRecord, answer: Answer) -> bool:
        """See `Telemetry`."""
        record.configuration = self._version
        return self._telemetry.keep_event(record, answer)

    def add_request(self, record: RequestRecord) -> None:
        """See `Telemetry`."""
        record.configuration = self._version
        self._telemetry.add_request(record)
        if self._recorder is not None:
            self._recorder.add(record, self._version)

    def flush(self) -> None:
        """See `Telemetry`."""
        self._telemetry.flush()

    def add_event(self, event: ServerEvent) -> None:
        """See `Telemetry`."""
        self._telemetry.add_event(msgspec.structs.replace(event, configuration=self._version))

    def log_fault(self, record: RequestRecord) -> None:
        """See `Telemetry`."""
        self._telemetry.log_fault(record)
