"""Counters and histograms without locks, because only one event loop writes them.

Those of prometheus-client take a lock at each step: the steps of one request cost 3.7 us with them and 1.8 us with
these (tests/telemetry/measure.py). Its registry reads these as metric families, and formats them.
"""

from bisect import bisect_left

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

# In seconds: from a cached decision (50 us) to the longest timeout.
BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip


class Counter:
    """Counts by label values. Without labels, the empty tuple is the only key."""

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...] = ()) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self.counts: dict[tuple[str, ...], int] = {} if labels else {(): 0}

    def add(self, key: tuple[str, ...], count: int = 1) -> None:
        """Add to the count of `key`, the label values in order."""
        self.counts[key] = self.counts.get(key, 0) + count

    def to_family(self) -> CounterMetricFamily:
        """The counter as a metric family of prometheus-client."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for key, count in sorted(self.counts.items()):
            family.add_metric(key, count)
        return family


def single_counter(name: str, documentation: str, count: int) -> Counter:
    """A counter without labels, with a count that something else keeps."""
    counter = Counter(name, documentation)
    counter.add((), count)
    return counter


class Durations:
    """How many durations, in seconds, fell into which bucket, and their sum. A bucket includes its bound (`le`)."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Add one duration."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def add_all(self, others: "Durations") -> None:
        """Add all of these."""
        self.counts = [count + other for count, other in zip(self.counts, others.counts, strict=True)]
        self.sum += others.sum

    def cumulate(self) -> list[tuple[str, float]]:
        """The buckets as Prometheus has them: the upper bound, and how many durations are not above it."""
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.counts, strict=True):
            total += count
            buckets.append((bound, total))
        return buckets


class RequestTimes:
    """How long requests took in all, waiting for the FHIR server, and in the gateway itself."""

    __slots__ = ("own", "total", "upstream")

    def __init__(self) -> None:
        self.total, self.upstream, self.own = Durations(), Durations(), Durations()

    def add(self, seconds: float, upstream_seconds: float | None) -> None:
        """Add one request: the whole time, and the part spent waiting, or None. One step costs less than three."""
        total, own = self.total, self.own
        total.counts[bisect_left(BUCKETS, seconds)] += 1
        total.sum += seconds
        if upstream_seconds is not None:
            upstream = self.upstream
            upstream.counts[bisect_left(BUCKETS, upstream_seconds)] += 1
            upstream.sum += upstream_seconds
            # Clocks that disagree make no negative time.
            seconds = seconds - upstream_seconds if seconds > upstream_seconds else 0.0
        own.counts[bisect_left(BUCKETS, seconds)] += 1
        own.sum += seconds


def histogram_family(
    name: str, documentation: str, durations: dict[tuple[str, ...], Durations], labels: tuple[str, ...] = ()
) -> HistogramMetricFamily:
    """Durations by label values as one metric family of prometheus-client."""
    family = HistogramMetricFamily(name, documentation, labels=labels)
    for key, values in sorted(durations.items()):
        family.add_metric(key, values.cumulate(), values.sum)
    return family
