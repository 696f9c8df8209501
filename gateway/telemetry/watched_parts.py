"""What the metrics read of the parts of a gateway when Prometheus asks: nothing of it costs a request anything.

Over several processes the values add up, apart from those whose name ends in `_timestamp_seconds`, where the smallest
holds.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.telemetry.metric_types import Counter, Durations, histogram_family, single_counter

# Counts by two label values, such as an operation and its outcome.
Outcomes = Mapping[tuple[str, str], int]


class PoolState(Protocol):
    """The connections to the FHIR server."""

    @property
    def in_use(self) -> int:
        """Connections with an exchange in progress."""

    @property
    def idle(self) -> int:
        """Open connections without an exchange."""

    @property
    def waiting(self) -> int:
        """Requests that are waiting for a connection."""

    @property
    def limit(self) -> int:
        """How many connections may be open at once."""

    @property
    def opened_total(self) -> int:
        """How many connections have been opened."""


class AuditState(Protocol):
    """The audit log."""

    @property
    def lost(self) -> int:
        """The number of lines that could not be written and were discarded."""


class LinkState(Protocol):
    """The FHIR server's paging links."""

    @property
    def unusable(self) -> Mapping[str, int]:
        """How many could not be followed, by relation."""

    @property
    def refilled_pages(self) -> int:
        """How many pages were fetched to fill up another one."""

    @property
    def short_pages(self) -> int:
        """How many responses were not filled up although further pages follow."""


class TokenState(Protocol):
    """The checks of access tokens."""

    @property
    def remembered_tokens(self) -> int:
        """The number of tokens whose check is remembered."""

    def key_load_times(self) -> Mapping[str, float]:
        """When the keys of each issuer were last loaded, in seconds since the epoch."""


class SmartServerState(Protocol):
    """The store and the keys of the SMART server."""

    @property
    def store_round_trips(self) -> Outcomes:
        """Round trips to the store, by operation and outcome."""

    @property
    def store_durations(self) -> Durations:
        """How long they took."""

    @property
    def signing_since(self) -> float | None:
        """Since when the key that signs has signed, in seconds since the epoch; None if that is not known."""


class ShadowState(Protocol):
    """Whose requests are in shadow mode."""

    def count_in_force(self, now: float) -> int:
        """How many entries are in force. `now` is in seconds since the epoch."""


class SiteRuleState(Protocol):
    """A rule of the site."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""

    @property
    def failures(self) -> Mapping[str, int]:
        """How often it denied because it did not work, by problem."""


# Compared by identity: the registry keeps its collectors in a dictionary.
@dataclass(frozen=True, slots=True, eq=False)
class WatchedParts:
    """The parts of one gateway. `fetches` count requests for documents by purpose and outcome, and are added up.

    `smart_server` is None where there is none.
    """

    pool: PoolState
    links: LinkState
    tokens: TokenState
    audit_log: AuditState
    shadow: ShadowState
    fetches: Sequence[Outcomes]
    smart_server: SmartServerState | None = None
    site_rules: Sequence[SiteRuleState] = ()

    def collect(self) -> Iterator[Metric]:
        """Their metrics; called by the registry."""
        yield from self._collect_pool()
        yield from self._collect_links()
        yield from self._collect_tokens()
        yield GaugeMetricFamily(
            "smart_gateway_shadow_entries_in_force",
            "Entries of `shadow` whose clients are not held to decisions now.",
            self.shadow.count_in_force(time.time()),
        )
        yield single_counter(
            "smart_gateway_audit_lines_lost", "Audit lines that could not be written.", self.audit_log.lost
        ).to_family()
        fetches = Counter(
            "smart_gateway_document_fetches", "Requests for key sets and tokens.", ("document", "outcome")
        )
        for counts in self.fetches:
            for key, count in counts.items():
                fetches.add(key, count)
        yield fetches.to_family()
        rules = Counter(
            "smart_gateway_site_rule_failures",
            "Records that a site's rule denied because it did not work.",
            ("rule", "problem"),
        )
        for rule in self.site_rules:
            for problem, count in rule.failures.items():
                rules.add((rule.name, problem), count)
        yield rules.to_family()
        if self.smart_server is not None:
            yield from self._collect_smart_server(self.smart_server)

    def _collect_pool(self) -> Iterator[Metric]:
        pool = self.pool
        connections = GaugeMetricFamily(
            "smart_gateway_pool_connections", "Open connections to the FHIR server.", labels=("state",)
        )
        connections.add_metric(("in_use",), pool.in_use)
        connections.add_metric(("idle",), pool.idle)
        yield connections
        yield GaugeMetricFamily(
            "smart_gateway_pool_max_connections", "How many connections to the FHIR server may be open.", pool.limit
        )
        yield GaugeMetricFamily("smart_gateway_pool_waiting", "Requests waiting for a connection.", pool.waiting)
        yield single_counter(
            "smart_gateway_pool_connections_opened", "Connections opened to the FHIR server.", pool.opened_total
        ).to_family()

    def _collect_links(self) -> Iterator[Metric]:
        unusable = Counter(
            "smart_gateway_unusable_links", "Paging links of the FHIR server that lead nowhere.", ("relation",)
        )
        for relation, count in self.links.unusable.items():
            unusable.add((relation,), count)
        yield unusable.to_family()
        yield single_counter(
            "smart_gateway_refilled_pages",
            "Pages of the FHIR server that were fetched to fill up another one.",
            self.links.refilled_pages,
        ).to_family()
        yield single_counter(
            "smart_gateway_short_pages",
            "Responses that were not filled up although further pages follow.",
            self.links.short_pages,
        ).to_family()

    def _collect_tokens(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "smart_gateway_token_cache_entries", "Tokens whose check is remembered.", self.tokens.remembered_tokens
        )
        loaded = GaugeMetricFamily(
            "smart_gateway_issuer_keys_timestamp_seconds", "When an issuer's keys were last loaded.", labels=("issuer",)
        )
        for issuer, loaded_at in self.tokens.key_load_times().items():
            loaded.add_metric((issuer,), loaded_at)
        yield loaded

    def _collect_smart_server(self, smart_server: SmartServerState) -> Iterator[Metric]:
        store = Counter("smart_gateway_store_round_trips", "Round trips to the store.", ("operation", "outcome"))
        for key, count in smart_server.store_round_trips.items():
            store.add(key, count)
        yield store.to_family()
        yield histogram_family(
            "smart_gateway_store_duration_seconds",
            "Time of a round trip to the store.",
            {(): smart_server.store_durations},
        )
        signing_since = smart_server.signing_since
        if signing_since is not None:
            yield GaugeMetricFamily(
                "smart_gateway_signing_key_timestamp_seconds",
                "Since when the key that signs id_tokens has signed.",
                signing_since,
            )


class CurrentParts:
    """The parts of whichever gateway is in force when Prometheus asks."""

    def __init__(self, find: Callable[[], WatchedParts]) -> None:
        self._find = find

    def collect(self) -> Iterator[Metric]:
        """Their metrics; called by the registry."""
        return self._find().collect()
