"""The metric of spans: what became of them."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from gateway.telemetry.metric_types import Counter
from gateway.telemetry.tracing.span_export import SpanCounts


class SpanMetrics:
    """Read when Prometheus asks."""

    def __init__(self, counts: SpanCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """The metric; called by the registry."""
        spans = Counter("smart_gateway_spans", "Spans of traces that were recorded.", ("outcome",))
        for outcome, count in self._counts.counts.items():
            spans.add((outcome.value,), count)
        yield spans.to_family()
