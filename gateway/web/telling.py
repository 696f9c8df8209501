"""Tells telemetry of each request: the metrics count it, the audit log writes it down, the log names our own faults."""

import asyncio
import logging
import time

from gateway.telemetry.audit import AuditLog
from gateway.telemetry.event import Event
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.observation import Observation
from gateway.web.witness import Record

_log = logging.getLogger(__name__)

_AT_ONCE = 32
_SOON = 0.05


class Telemetry:
    """The witness of a running gateway.

    Requests are told of a few at a time, off the way of their answers: the code that tells is long, and cheaper when it
    runs again at once. A body is not held meanwhile.
    """

    def __init__(self, metrics: Metrics, audit: AuditLog) -> None:
        self._metrics = metrics
        self._audit = audit
        self._waiting: list[tuple[Record, float, int | None]] = []

    def see(self, record: Record) -> None:
        """Take note of a request; it is counted and written down within a twentieth of a second."""
        answer = record.answer
        assert answer is not None
        size = len(answer.body) if isinstance(answer.body, bytes) else None
        self._waiting.append((record, time.time(), size))
        answer.body = b""
        if len(self._waiting) >= _AT_ONCE:
            self.tell()
        elif len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(_SOON, self.tell)

    def tell(self) -> None:
        """Count and write down what waits, each step for all of it: code that runs again at once is cheaper."""
        waiting, self._waiting = self._waiting, []
        seen = [observed(record, ended, size) for record, ended, size in waiting]
        for one in seen:
            self._metrics.record(one)
        for one in seen:
            self._audit.record(one)

    def note(self, event: Event) -> None:
        """Count an event of the SMART server and write it down; they are few, so at once."""
        self._metrics.note(event)
        self._audit.note(event)

    def fault(self, record: Record) -> None:
        """Log where an error of ours came from; the decision id leads from the answer to it."""
        _log.exception("a request ended with an error of ours", extra={"decision_id": record.decision_id})


def observed(record: Record, ended: float, size: int | None) -> Observation:
    """What telemetry is told of a finished request: `ended` in seconds since the epoch, `size` in bytes.

    A body that was streamed has no size.
    """
    answer = record.answer
    assert answer is not None
    duration = record.ended_at - record.started_at
    return Observation(
        at=ended - duration,
        decision_id=record.decision_id,
        request_id=record.trace.request_id.decode("ascii"),
        method=record.method,
        reason=answer.reason,
        status=answer.status,
        duration_seconds=duration,
        interaction=record.interaction,
        upstream_seconds=record.trace.waited,
        remote_address=record.remote,
        token_cached=record.token_cached,
        kept=answer.kept,
        dropped=answer.dropped,
        narrowing_misses=answer.misses,
        response_bytes=size or 0,
        streamed=size is None,
        access=record.access,
    )
