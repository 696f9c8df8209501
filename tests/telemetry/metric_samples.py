"""Reads the samples of one metric from the page of all metrics."""

from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.metrics import Metrics


def samples_of(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The values of one metric by label values, without zeros."""
    families = text_string_to_metric_families(metrics.exposition_text().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    assert samples, f"{name} is not among the metrics"
    return {tuple(sample.labels.values()): sample.value for sample in samples if sample.value}
