"""The metrics: what was asked, decided, dropped, and how long it took; and the page on which Prometheus reads them."""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.policy.reasons import Reason
from gateway.telemetry.event import Event, EventKind
from gateway.telemetry.observation import OTHER, Observation, by_known_type, interaction_name
from gateway.telemetry.tallies import Spread, Tally

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_STATUS_CLASSES = {1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}

_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class PoolState(Protocol):
    """Connections to the FHIR server, as a gauge sees them."""

    @property
    def in_use(self) -> int:
        """Connections with an exchange under way."""

    @property
    def idle(self) -> int:
        """Open connections without one."""

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""


class AuditState(Protocol):
    """The audit log, as a counter sees it."""

    @property
    def lost(self) -> int:
        """Lines that could not be written and were given up."""


class Metrics:
    """All metrics of one gateway, in a registry of its own. To be used from one event loop."""

    def __init__(self) -> None:
        # What every request is counted by, in one step; the counters made of it are added up when they are asked for.
        self._seen: dict[tuple[str, str, int, Reason, bool | None], int] = {}
        self._misses = Tally(
            "smart_gateway_narrowing_misses",
            "Resources that the FHIR server returned though the narrowed request excluded them.",
            ("resource_type",),
        )
        self._dropped = Tally(
            "smart_gateway_dropped_entries", "Resources held back from an answer.", ("resource_type",)
        )
        self._bytes = Tally("smart_gateway_response_bytes", "Bytes of answers, without those streamed through.")
        self._streamed = Tally("smart_gateway_streamed_responses", "Answers streamed through without a check.")
        self._upstream = Spread("smart_gateway_upstream_duration_seconds", "Time waited for the FHIR server.")
        self._overhead = Spread("smart_gateway_overhead_seconds", "Time the gateway itself added to an answer.")
        self._events = Tally("smart_gateway_smart_events", "What happened at the SMART server.", ("event",))
        self._events.counts.update({(kind.value,): 0 for kind in EventKind})
        self._pool: PoolState | None = None
        self._audit: AuditState | None = None
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def watch_pool(self, pool: PoolState) -> None:
        """Read the gauges of this pool whenever they are asked for."""
        self._pool = pool

    def watch_audit(self, audit: AuditState) -> None:
        """Read the losses of this audit log whenever they are asked for."""
        self._audit = audit

    def note(self, event: Event) -> None:
        """Count one event of the SMART server."""
        self._events.counts[(event.kind.value,)] += 1

    def record(self, seen: Observation) -> None:
        """Count one request. Costs about 1 us (performance.md rule 8)."""
        key = (interaction_name(seen.interaction), seen.method, seen.status, seen.reason, seen.token_cached)
        self._seen[key] = self._seen.get(key, 0) + 1
        if seen.dropped or seen.narrowing_misses:
            for tally, counts in ((self._dropped, seen.dropped), (self._misses, seen.narrowing_misses)):
                for name, count in by_known_type(counts).items():
                    tally.add((name,), count)
        self._bytes.counts[()] += seen.response_bytes
        if seen.streamed:
            self._streamed.counts[()] += 1
        waited, overhead = seen.upstream_seconds, seen.duration_seconds
        if waited is not None:
            self._upstream.add(waited)
            overhead -= waited
        self._overhead.add(max(overhead, 0.0))

    def _by_request(self) -> tuple[Tally, Tally, Tally]:
        """The counters that have one event per request.

        A series that is absent until its first event hides that event from rate(); so the known ones begin at 0.
        """
        requests = Tally(
            "smart_gateway_requests",
            "Requests, by what they ask and how they ended.",
            ("interaction", "method", "status"),
        )
        decisions = Tally("smart_gateway_decisions", "Decisions by reason.", ("reason",))
        decisions.counts.update({(reason.value,): 0 for reason in Reason})
        lookups = Tally("smart_gateway_token_cache_lookups", "Tokens looked up in the cache.", ("result",))
        lookups.counts.update({("hit",): 0, ("miss",): 0})
        for (interaction, method, status, reason, cached), count in self._seen.items():
            named = method if method in _METHODS else OTHER
            requests.add((interaction, named, _STATUS_CLASSES.get(status // 100, OTHER)), count)
            decisions.add((reason.value,), count)
            if cached is not None:
                lookups.add(("hit",) if cached else ("miss",), count)
        return requests, decisions, lookups

    def collect(self) -> Iterator[Metric]:
        """Called by the registry."""
        for tally in (*self._by_request(), self._misses, self._dropped, self._bytes, self._events, self._streamed):
            yield tally.family()
        yield self._upstream.family()
        yield self._overhead.family()
        if self._pool is not None:
            connections = GaugeMetricFamily(
                "smart_gateway_pool_connections", "Open connections to the FHIR server.", labels=("state",)
            )
            connections.add_metric(("in_use",), self._pool.in_use)
            connections.add_metric(("idle",), self._pool.idle)
            yield connections
            yield GaugeMetricFamily(
                "smart_gateway_pool_waiting", "Requests that wait for a connection.", self._pool.waiting
            )
        if self._audit is not None:
            lost = Tally("smart_gateway_audit_lines_lost", "Audit lines that could not be written.")
            lost.add((), self._audit.lost)
            yield lost.family()

    def exposition(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


class MetricsApp:
    """A plain ASGI callable for a port of its own: `GET /metrics`, and nothing else."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["path"] != "/metrics":
            await _answer(send, 404, b"Metrics are at /metrics.\n", b"text/plain; charset=utf-8")
        elif scope["method"] not in {"GET", "HEAD"}:
            await _answer(
                send, 405, b"Metrics are only read.\n", b"text/plain; charset=utf-8", (b"allow", b"GET, HEAD")
            )
        else:
            body = self._metrics.exposition()
            length = (b"content-length", b"%d" % len(body))
            await _answer(send, 200, b"" if scope["method"] == "HEAD" else body, CONTENT_TYPE_LATEST.encode(), length)


async def _answer(send: _Send, status: int, body: bytes, kind: bytes, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *headers]})
    await send({"type": "http.response.body", "body": body})
