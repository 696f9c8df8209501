"""The metrics of AuditEvents: those that were kept, handed on and lost, and how long the others have been waiting."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.telemetry.audit_events.event_log import AuditEventLog
from gateway.telemetry.metric_types import Counter, single_counter


class SinkCounts(Protocol):
    """One place where events go."""

    @property
    def delivered(self) -> int:
        """How many it has confirmed."""

    @property
    def rejected(self) -> int:
        """How many it never accepts."""

    @property
    def waiting_since(self) -> float | None:
        """When the oldest was made that it has not got, in seconds since the epoch."""


class AuditEventMetrics:
    """Read when Prometheus asks."""

    def __init__(self, log: AuditEventLog, sinks: Mapping[str, SinkCounts]) -> None:
        self._log = log
        self._sinks = sinks

    def collect(self) -> Iterator[Metric]:
        """The metrics; called by the registry."""
        yield single_counter(
            "smart_gateway_audit_events", "AuditEvents that were kept in the spool.", self._log.kept
        ).to_family()
        yield single_counter(
            "smart_gateway_audit_events_lost", "AuditEvents that could not be kept.", self._log.lost
        ).to_family()
        delivered = Counter("smart_gateway_audit_events_delivered", "AuditEvents that a sink has confirmed.", ("sink",))
        rejected = Counter("smart_gateway_audit_events_rejected", "AuditEvents that a sink never accepts.", ("sink",))
        waiting = GaugeMetricFamily(
            "smart_gateway_audit_oldest_waiting_timestamp_seconds",
            "When the oldest AuditEvent was made that a sink has not got.",
            labels=("sink",),
        )
        for name, sink in self._sinks.items():
            delivered.add((name,), sink.delivered)
            rejected.add((name,), sink.rejected)
            if sink.waiting_since is not None:
                waiting.add_metric((name,), sink.waiting_since)
        yield delivered.to_family()
        yield rejected.to_family()
        yield waiting
        yield GaugeMetricFamily(
            "smart_gateway_audit_spool_bytes", "What waits in the spool.", self._log.spool.waiting_bytes
        )
