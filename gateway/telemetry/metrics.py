"""The metrics: counts of requests and of events, and what the parts of the gateway count themselves."""

import platform
from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric

from gateway.fhir.request.interaction_name import interaction_name
from gateway.oauth.errors import ErrorCode
from gateway.policy.reasons import Reason
from gateway.policy.shadow.shadow_outcome import ShadowKind
from gateway.telemetry.configuration_metrics import ConfigurationMetrics
from gateway.telemetry.labels import NO_CLIENT, OTHER, ClientLabels, count_by_known_type
from gateway.telemetry.metric_types import Counter, Durations, RequestTimes, histogram_family, single_counter
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.server_event import CLIENT_KEYS_UNAVAILABLE, LIMITS, EventKind, ServerEvent
from gateway.telemetry.watched_parts import CurrentParts, WatchedParts

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_STATUS_CLASSES = {1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
_ISSUED = "issued"
_TOKEN_OUTCOMES = (_ISSUED, *(code.value for code in ErrorCode), CLIENT_KEYS_UNAVAILABLE, OTHER)


class Metrics:
    """All metrics of one gateway, in a registry of their own. Must be used from a single event loop."""

    def __init__(self) -> None:
        # Each request is counted once here. The counters with fewer labels are added up when Prometheus reads them.
        self._requests: dict[tuple[str, str, int, Reason, bool | None, str], int] = {}
        self._times: dict[str, RequestTimes] = {}
        self._clients = ClientLabels()
        self._narrowing_misses = Counter(
            "smart_gateway_narrowing_misses",
            "Resources that the FHIR server returned although the narrowed request excluded them.",
            ("resource_type",),
        )
        self._dropped = Counter(
            "smart_gateway_dropped_entries", "Resources removed from a response.", ("resource_type",)
        )
        self._withheld = Counter(
            "smart_gateway_withheld_entries", "Resources removed only because of a record rule.", ("resource_type",)
        )
        self._shadow = Counter(
            "smart_gateway_shadow_requests",
            "Requests in shadow mode, by what enforcement would have made of them.",
            ("outcome",),
        )
        self._shadow.counts.update({(outcome.value,): 0 for outcome in ShadowKind})
        self._bytes = 0
        self._streamed = 0
        self._events = Counter("smart_gateway_smart_events", "Events of the SMART server.", ("event",))
        self._events.counts.update({(kind.value,): 0 for kind in EventKind})
        self._token_responses = Counter("smart_gateway_token_responses", "Responses of /token.", ("outcome",))
        self._token_responses.counts.update({(outcome,): 0 for outcome in _TOKEN_OUTCOMES})
        self._limits = Counter("smart_gateway_limits_reached", "Requests refused by a limit.", ("limit",))
        self._limits.counts.update({(limit,): 0 for limit in (*LIMITS, OTHER)})
        self._build = GaugeMetricFamily(
            "smart_gateway_build_info", "The running version; always 1.", labels=("version", "python")
        )
        self._build.add_metric((version("smart-fhir-gateway"), platform.python_version()), 1)
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    @property
    def registry(self) -> CollectorRegistry:
        """All metrics as prometheus-client has them."""
        return self._registry

    def watch(self, parts: WatchedParts | CurrentParts | ConfigurationMetrics) -> None:
        """Report what these parts count themselves."""
        self._registry.register(parts)

    def add_event(self, event: ServerEvent) -> None:
        """Count one event of the SMART server. Its reason becomes a label only if it is a known one."""
        kind, reason = event.kind, event.reason or OTHER
        self._events.counts[(kind.value,)] += 1
        if kind is EventKind.TOKEN_ISSUED:
            self._token_responses.add((_ISSUED,))
        elif kind is EventKind.TOKEN_REFUSED:
            self._token_responses.add((reason if reason in _TOKEN_OUTCOMES and reason != _ISSUED else OTHER,))
        elif kind is EventKind.RATE_LIMITED:
            self._limits.add((reason if reason in LIMITS else OTHER,))

    def add_request(self, record: RequestRecord) -> None:
        """Count one request. Costs about 1 us (performance.md rule 8)."""
        name = interaction_name(record.interaction)
        access = record.access
        client = (
            NO_CLIENT
            if access is None
            else self._clients.labels.get(access.client_id) or self._clients.admit(access.client_id)
        )
        key = (name, record.method, record.status, record.reason, record.token_cached, client)
        self._requests[key] = self._requests.get(key, 0) + 1
        if record.dropped or record.narrowing_misses:
            for counter, counts in (
                (self._dropped, record.dropped),
                (self._narrowing_misses, record.narrowing_misses),
                (self._withheld, record.withheld),
            ):
                for resource_type, count in count_by_known_type(counts).items():
                    counter.add((resource_type,), count)
        if record.shadow is not None:
            self._shadow.add((record.shadow.kind.value,))
        self._bytes += record.response_bytes
        if record.streamed:
            self._streamed += 1
        times = self._times.get(name)
        if times is None:
            times = self._times[name] = RequestTimes()
        times.add(record.duration_seconds, record.upstream_seconds)

    def _count_requests(self) -> tuple[Counter, ...]:
        """The counters that count each request once.

        Series with known labels start at 0, because rate() misses the first event of a series that did not exist.
        """
        requests = Counter(
            "smart_gateway_requests",
            "Requests by interaction, method and status.",
            ("interaction", "method", "status"),
        )
        decisions = Counter("smart_gateway_decisions", "Decisions by reason.", ("reason",))
        decisions.counts.update({(reason.value,): 0 for reason in Reason})
        by_client = Counter("smart_gateway_client_decisions", "Decisions by client and reason.", ("client", "reason"))
        lookups = Counter("smart_gateway_token_cache_lookups", "Token cache lookups.", ("result",))
        lookups.counts.update({("hit",): 0, ("miss",): 0})
        for (interaction, method, status, reason, cached, client), count in self._requests.items():
            known_method = method if method in _METHODS else OTHER
            requests.add((interaction, known_method, _STATUS_CLASSES.get(status // 100, OTHER)), count)
            decisions.add((reason.value,), count)
            by_client.add((client, reason.value), count)
            if cached is not None:
                lookups.add(("hit",) if cached else ("miss",), count)
        return requests, decisions, by_client, lookups

    def collect(self) -> Iterator[Metric]:
        """What is counted here; called by the registry."""
        for counted in (
            *self._count_requests(),
            self._narrowing_misses,
            self._dropped,
            self._withheld,
            self._shadow,
            single_counter(
                "smart_gateway_response_bytes", "Bytes of response bodies, except streamed ones.", self._bytes
            ),
            single_counter(
                "smart_gateway_streamed_responses", "Responses streamed without being inspected.", self._streamed
            ),
            self._events,
            self._token_responses,
            self._limits,
        ):
            yield counted.to_family()
        yield from self._collect_times()
        yield self._build

    def _collect_times(self) -> Iterator[HistogramMetricFamily]:
        upstream, own = Durations(), Durations()
        for times in self._times.values():
            upstream.add_all(times.upstream)
            own.add_all(times.own)
        yield histogram_family(
            "smart_gateway_request_duration_seconds",
            "Time until the response had been sent.",
            {(interaction,): times.total for interaction, times in self._times.items()},
            ("interaction",),
        )
        yield histogram_family(
            "smart_gateway_upstream_duration_seconds", "Time spent waiting for the FHIR server.", {(): upstream}
        )
        yield histogram_family("smart_gateway_overhead_seconds", "Time added by the gateway itself.", {(): own})

    def exposition_text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self._registry)
