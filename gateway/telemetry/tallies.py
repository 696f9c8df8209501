"""Counters and histograms that are plain numbers, since one event loop alone writes them.

prometheus-client's own take a lock for each step: the steps of one request cost 3.7 us with them and 1.8 us with these
(tests/telemetry/measure.py). They are handed to its registry when it asks, so format and names stay that library's.
"""

from bisect import bisect_left

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

# Seconds. From a cached decision (50 us) up to the longest deadline.
BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip


class Tally:
    """A counter by label values; one without labels has the empty tuple as its only key."""

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...] = ()) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self.counts: dict[tuple[str, ...], int] = {} if labels else {(): 0}

    def add(self, key: tuple[str, ...], count: int = 1) -> None:
        """Count under `key`, the values of the labels in order."""
        self.counts[key] = self.counts.get(key, 0) + count

    def family(self) -> CounterMetricFamily:
        """What Prometheus reads."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for key, count in sorted(self.counts.items()):
            family.add_metric(key, count)
        return family


class Spread:
    """A histogram of seconds."""

    def __init__(self, name: str, documentation: str) -> None:
        self._name = name
        self._documentation = documentation
        self._counts = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration; a bucket's bound belongs to it (`le`)."""
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self._sum += seconds

    def family(self) -> HistogramMetricFamily:
        """What Prometheus reads: counts that include those of every smaller bucket."""
        family = HistogramMetricFamily(self._name, self._documentation)
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric((), buckets, self._sum)
        return family
