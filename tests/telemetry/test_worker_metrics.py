"""The metrics of several workers: sums that never fall, and snapshots that a dying worker cannot spoil."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.worker_metrics import SharedSnapshots, WorkerMetrics


class Counted:
    """A worker's own metrics."""

    def __init__(self, requests: int, in_use: int = 0, since: float = 1.0, durations: tuple[float, ...] = ()) -> None:
        self.requests, self.in_use, self.since = requests, in_use, since
        self.durations = durations
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        requests = CounterMetricFamily("requests", "r", labels=("status",))
        requests.add_metric(("2xx",), self.requests)
        yield requests
        yield GaugeMetricFamily("connections", "c", self.in_use)
        yield GaugeMetricFamily("loaded_timestamp_seconds", "t", self.since)
        build = GaugeMetricFamily("build_info", "b", labels=("version",))
        build.add_metric(("1",), 1)
        yield build
        short = sum(seconds <= 0.5 for seconds in self.durations)
        buckets = [("0.5", short), ("+Inf", len(self.durations))]
        yield HistogramMetricFamily("duration_seconds", "d", buckets, sum(self.durations))


def _values(metrics: WorkerMetrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.exposition_text().decode())
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_counts_add_up_and_points_in_time_do_not() -> None:
    snapshots = SharedSnapshots(2)
    other = WorkerMetrics(Counted(5, in_use=2, since=7.0, durations=(0.001, 1.0)).registry, snapshots, 0)
    asked = WorkerMetrics(Counted(3, in_use=1, since=9.0, durations=(1.0,)).registry, snapshots, 1)
    other.publish()
    values = _values(asked)
    assert values["requests_total[2xx]"] == 8
    assert values["connections"] == 3
    assert values["loaded_timestamp_seconds"] == 7.0
    assert values["build_info[1]"] == 1
    assert (values["duration_seconds_bucket[0.5]"], values["duration_seconds_bucket[+Inf]"]) == (1, 3)
    assert (values["duration_seconds_count"], values["duration_seconds_sum"]) == (3, 2.001)


def test_whoever_takes_the_place_of_another_goes_on_from_its_counters_and_not_from_its_gauges() -> None:
    snapshots = SharedSnapshots(1)
    for number in range(3):
        WorkerMetrics(Counted(5, in_use=4).registry, snapshots, 0, predecessors=number).publish()
    values = _values(WorkerMetrics(Counted(1, in_use=1).registry, snapshots, 0, predecessors=3))
    assert (values["requests_total[2xx]"], values["connections"]) == (16, 1)
    assert values["smart_gateway_worker_replacements_total"] == 3


def test_a_worker_that_dies_while_it_writes_leaves_the_snapshot_before(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = SharedSnapshots(1)
    counted = Counted(5)
    metrics = WorkerMetrics(counted.registry, snapshots, 0)
    metrics.publish()
    counted.requests = 6

    class Killed(BaseException):
        pass

    def die(_: bytes) -> int:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("gateway.telemetry.worker_metrics.zlib.crc32", die)
        metrics.publish()
    assert _values(WorkerMetrics(Counted(0).registry, snapshots, 0))["requests_total[2xx]"] == 5


def test_what_is_too_large_to_be_shared_is_refused_and_the_snapshot_before_stays() -> None:
    snapshots = SharedSnapshots(1)
    WorkerMetrics(Counted(5).registry, snapshots, 0).publish()
    registry = CollectorRegistry()

    class Large:
        def collect(self) -> Iterator[Metric]:
            yield GaugeMetricFamily("g", "x" * 9_000_000, 1)

    registry.register(Large())
    with pytest.raises(ValueError, match="too large"):
        WorkerMetrics(registry, snapshots, 0).publish()
    assert _values(WorkerMetrics(Counted(0).registry, snapshots, 0))["requests_total[2xx]"] == 5
