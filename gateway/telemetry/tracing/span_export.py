"""Sends spans to the collector in the background: a bounded queue, and a thread that empties it."""

import asyncio
import hashlib
import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version
from typing import Protocol

from gateway.settings.serving.tracing import Tracing
from gateway.telemetry.tracing.spans import RequestSpans

_log = logging.getLogger(__name__)
MAX_WAITING = 16_384
"""How many spans wait at most; about 8 MB."""
_BATCH = 2048
# Seconds: how long spans wait for others, and how long the last ones may take when the gateway ends.
_DELAY = 1.0
CLOSING_SECONDS = 3.0


class SpanOutcome(StrEnum):
    """What became of a span."""

    EXPORTED = "exported"
    QUEUE_FULL = "queue_full"
    TOO_MANY = "too_many"
    NOT_TAKEN = "not_taken"


class SpanCounts:
    """How many spans came to which outcome, in all exports of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: dict[SpanOutcome, int] = dict.fromkeys(SpanOutcome, 0)

    def add(self, outcome: SpanOutcome, count: int) -> None:
        """Add to the count. May be called from any thread."""
        with self._lock:
            self.counts[outcome] += count


class SendsSpans(Protocol):
    """The collector."""

    def send(self, body: bytes, is_closing: threading.Event) -> int | None:
        """Send an export request; see `Collector`."""

    def close(self) -> None:
        """Close the connection."""


class SpanExport:
    """The spans that wait for one collector. Its thread starts with the first of them, in the process that serves."""

    def __init__(self, settings: Tracing, counts: SpanCounts, open_collector: Callable[[], SendsSpans]) -> None:
        """`open_collector` is called in the thread."""
        self._open_collector = open_collector
        self._resource = {
            "service.name": settings.service_name,
            "service.version": version("smart-fhir-gateway"),
            **settings.resource_attributes,
        }
        self._counts = counts
        self._queue: deque[RequestSpans] = deque()
        # Only the event loop writes the one, only the thread the other.
        self._put, self._taken = 0, 0
        self._wake, self._is_closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many spans the collector has not got yet."""
        return self._put - self._taken

    def put(self, spans: RequestSpans) -> None:
        """Let the spans of a request be sent soon, or count them as lost where too many are waiting."""
        if spans.left_out:
            self._counts.add(SpanOutcome.TOO_MANY, spans.left_out)
        count = 1 + len(spans.children)
        waiting = self.waiting + count
        if waiting > MAX_WAITING or self._is_closing.is_set():
            self._counts.add(SpanOutcome.QUEUE_FULL, count)
            return
        self._put += count
        self._queue.append(spans)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
            self._thread.start()
        elif waiting >= _BATCH and not self._wake.is_set():
            self._wake.set()

    async def aclose(self) -> None:
        """Send what is waiting, for a few seconds at most, and stop."""
        self._is_closing.set()
        self._wake.set()
        thread = self._thread
        if thread is not None:
            await asyncio.to_thread(thread.join, CLOSING_SECONDS)
            lost = self.waiting
            if lost or thread.is_alive():
                _log.warning("spans were not sent before the end", extra={"spans": lost})

    def _run(self) -> None:
        # Forked workers have an id each.
        resource = {"service.instance.id": str(uuid.uuid4()), **self._resource}
        collector = self._open_collector()
        try:
            while not self._is_closing.is_set():
                self._wake.wait(_DELAY)
                self._wake.clear()
                self._send_all(collector, resource)
            self._send_all(collector, resource)
        except Exception:
            _log.exception("spans cannot be sent any more")
        finally:
            collector.close()

    def _send_all(self, collector: SendsSpans, resource: dict[str, str]) -> None:
        # Imported here, so that nobody needs the packages who has no traces.
        from gateway.telemetry.tracing.otlp import encode_spans  # noqa: PLC0415

        while self._queue:
            batch, count = self._take_batch()
            rejected = collector.send(encode_spans(batch, resource), self._is_closing)
            if rejected is None:
                self._counts.add(SpanOutcome.NOT_TAKEN, count)
            else:
                self._counts.add(SpanOutcome.NOT_TAKEN, min(rejected, count))
                self._counts.add(SpanOutcome.EXPORTED, count - min(rejected, count))
            self._taken += count

    def _take_batch(self) -> tuple[list[RequestSpans], int]:
        batch: list[RequestSpans] = []
        count = 0
        while self._queue and count < _BATCH:
            batch.append(self._queue.popleft())
            count += 1 + len(batch[-1].children)
        return batch, count


@dataclass(slots=True, eq=False)
class _SharedExport:
    """`users` is the number of gateways that use it."""

    decisive: object
    export: SpanExport
    users: int = 0


@dataclass(slots=True, eq=False)
class SharedSpanExports:
    """All exports of this process: none, one, or a second one while a reload replaces it."""

    counts: SpanCounts = field(default_factory=SpanCounts)
    _all: list[_SharedExport] = field(default_factory=list)

    def take(self, settings: Tracing) -> SpanExport:
        """The export by these settings: the one in use if it has the same, else a new one.

        Raises `OSError` if the file of authorities cannot be read.
        """
        decisive = _decisive(settings)
        found = next((one for one in self._all if one.decisive == decisive), None)
        if found is None:
            found = _SharedExport(decisive, build_export(settings, self.counts))
            self._all.append(found)
        found.users += 1
        return found.export

    async def give_back(self, export: SpanExport) -> None:
        """Send what is waiting and stop, if nobody else uses it."""
        found = next(one for one in self._all if one.export is export)
        found.users -= 1
        if not found.users:
            self._all.remove(found)
            await export.aclose()


def build_export(settings: Tracing, counts: SpanCounts) -> SpanExport:
    """The export to the collector of these settings. Needs the packages of the extra `otel`."""
    # Imported here, so that nobody needs the packages who has no traces; and before workers are forked.
    from gateway.telemetry.tracing.collector import Collector  # noqa: PLC0415

    return SpanExport(settings, counts, lambda: Collector(settings))


def _decisive(settings: Tracing) -> tuple[object, ...]:
    """What the export depends on, with the content of the certificates. Which requests are recorded does not matter."""
    file = settings.ca_file
    digest = None if file is None else hashlib.sha256(file.read_bytes()).hexdigest()
    return settings.endpoint, settings.headers, settings.service_name, dict(settings.resource_attributes), digest
