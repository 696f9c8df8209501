"""Tells telemetry of each request: the metrics count it, the audit log writes it down, the log names our own faults."""

import time

import structlog

from gateway.telemetry.audit import AuditLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.observation import Observation
from gateway.web.witness import Record

_log = structlog.get_logger(__name__)


class Telemetry:
    """The witness of a running gateway."""

    def __init__(self, metrics: Metrics, audit: AuditLog) -> None:
        self._metrics = metrics
        self._audit = audit

    def see(self, record: Record) -> None:
        """Count the decision and write it down."""
        seen = observed(record)
        self._metrics.record(seen)
        self._audit.record(seen)

    def fault(self, record: Record) -> None:
        """Log where an error of ours came from; the decision id leads from the answer to it."""
        _log.exception("a request ended with an error of ours", decision_id=record.decision_id)


def observed(record: Record) -> Observation:
    """What telemetry is told of a finished request."""
    answer, access = record.answer, record.access
    assert answer is not None
    streamed = not isinstance(answer.body, bytes)
    user = access.user if access is not None else None
    return Observation(
        at=time.time(),
        decision_id=record.decision_id,
        request_id=record.trace.request_id.decode("ascii"),
        method=record.method,
        reason=answer.reason,
        status=answer.status,
        duration_seconds=time.perf_counter() - record.started_at,
        interaction=record.interaction,
        upstream_seconds=record.trace.waited,
        remote_address=record.remote,
        token_cached=record.token_cached,
        kept=answer.kept,
        dropped=answer.dropped,
        narrowing_misses=answer.misses,
        response_bytes=len(answer.body) if isinstance(answer.body, bytes) else 0,
        streamed=streamed,
        client_id=access.client_id if access is not None else None,
        issuer=access.issuer if access is not None else None,
        subject=access.subject if access is not None else None,
        patient=access.patient if access is not None else None,
        user=str(user) if user is not None else None,
    )
