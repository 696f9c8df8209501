"""Passes request records and server events to the metrics and the audit log, and faults to the operational log."""

import asyncio
import logging

from gateway.telemetry.audit_events.event_log import AuditEventLog
from gateway.telemetry.audit_events.request_events import Answer
from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.server_event import ServerEvent

_log = logging.getLogger(__name__)

_BATCH_SIZE = 32
_MAX_DELAY_SECONDS = 0.05


class Telemetry:
    """Takes the records of a running gateway.

    Requests are counted and logged in batches, outside of the response path: the same code runs faster when it runs
    several times in a row.
    """

    def __init__(self, metrics: Metrics, audit_log: AuditLog, audit_events: AuditEventLog | None = None) -> None:
        """`audit_events` keeps AuditEvents, where they are configured."""
        self._metrics = metrics
        self._audit_log = audit_log
        self._audit_events = audit_events
        self._batch: list[RequestRecord] = []

    @property
    def keeps_events(self) -> bool:
        """Whether AuditEvents are kept."""
        return self._audit_events is not None

    @property
    def refuses_requests(self) -> bool:
        """Whether no request may be served now, because its AuditEvent could not be kept."""
        return self._audit_events is not None and self._audit_events.refuses_requests

    def keep_event(self, record: RequestRecord, answer: Answer) -> bool:
        """Keep the AuditEvents of a request, before its response leaves. Returns whether it may leave."""
        return self._audit_events is None or self._audit_events.add_request(record, answer)

    def add_request(self, record: RequestRecord) -> None:
        """Take the record of a finished request. It is counted and logged within 50 ms."""
        batch = self._batch
        batch.append(record)
        if len(batch) >= _BATCH_SIZE:
            self.flush()
        elif len(batch) == 1:
            asyncio.get_running_loop().call_later(_MAX_DELAY_SECONDS, self.flush)

    def flush(self) -> None:
        """Count all waiting requests, then log all of them."""
        batch, self._batch = self._batch, []
        for record in batch:
            self._metrics.add_request(record)
        for record in batch:
            self._audit_log.add_request(record)

    def add_event(self, event: ServerEvent) -> None:
        """Count and log an event of the SMART server. They are few, so this happens at once."""
        self._metrics.add_event(event)
        self._audit_log.add_event(event)
        if self._audit_events is not None:
            self._audit_events.add_event(event)

    def log_fault(self, record: RequestRecord) -> None:
        """Log an error of the gateway itself; called inside an `except` block.

        The decision id connects the log entry with the response.
        """
        _log.exception("a request failed with an internal error", extra={"decision_id": record.decision_id})
