"""The metrics of the configuration: which version is in force, since when, and how its reloads ended."""

import time
from collections.abc import Callable, Iterator
from enum import StrEnum

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.telemetry.metric_types import Counter


class ReloadOutcome(StrEnum):
    """How a reload ended. The values are stable."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    ROLLED_BACK = "rolled_back"
    INVALID = "invalid"
    NEEDS_RESTART = "needs_restart"
    UNAVAILABLE = "unavailable"
    NOTHING_BEFORE = "nothing_before"


REFUSED = (
    ReloadOutcome.INVALID,
    ReloadOutcome.NEEDS_RESTART,
    ReloadOutcome.UNAVAILABLE,
    ReloadOutcome.NOTHING_BEFORE,
)
"""The outcomes that change nothing although something was to change."""


class ConfigurationMetrics:
    """Counts reloads, and says what is in force. `clock` returns seconds since the epoch."""

    def __init__(self, version: str, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.version = version
        self.since = clock()
        self.is_refused = False
        self._reloads = Counter("smart_gateway_configuration_reloads", "Reloads that changed something.", ("outcome",))
        self._failures = Counter("smart_gateway_reload_failures", "Reloads that were refused.", ("reason",))
        for outcome in ReloadOutcome:
            counter = self._failures if outcome in REFUSED else self._reloads
            counter.counts[(outcome.value,)] = 0

    def record(self, outcome: ReloadOutcome, version: str) -> None:
        """Count a reload that ended with this version in force."""
        (self._failures if outcome in REFUSED else self._reloads).add((outcome.value,))
        if outcome in {ReloadOutcome.APPLIED, ReloadOutcome.ROLLED_BACK}:
            self.version, self.since = version, self._clock()

    def collect(self) -> Iterator[Metric]:
        """The metrics; called by the registry."""
        info = GaugeMetricFamily(
            "smart_gateway_configuration_info", "The configuration in force; always 1.", labels=("version",)
        )
        info.add_metric((self.version,), 1)
        yield info
        yield GaugeMetricFamily(
            "smart_gateway_configuration_timestamp_seconds", "Since when it has been in force.", self.since
        )
        yield GaugeMetricFamily(
            "smart_gateway_configuration_refused",
            "1 while the configuration in the files is not in force.",
            float(self.is_refused),
        )
        yield self._reloads.to_family()
        yield self._failures.to_family()
