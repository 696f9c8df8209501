"""The metrics of the configuration."""

from prometheus_client import CollectorRegistry

from gateway.telemetry.configuration_metrics import REFUSED, ConfigurationMetrics, ReloadOutcome


def test_the_version_in_force_and_every_outcome_are_counted() -> None:
    now = 100.0
    metrics, registry = ConfigurationMetrics("one", clock=lambda: now), CollectorRegistry()
    registry.register(metrics)
    assert registry.get_sample_value("smart_gateway_configuration_info", {"version": "one"}) == 1
    assert registry.get_sample_value("smart_gateway_configuration_timestamp_seconds") == 100
    now = 200.0
    metrics.record(ReloadOutcome.INVALID, "one")
    assert registry.get_sample_value("smart_gateway_configuration_timestamp_seconds") == 100
    metrics.record(ReloadOutcome.APPLIED, "two")
    assert registry.get_sample_value("smart_gateway_configuration_info", {"version": "one"}) is None
    assert registry.get_sample_value("smart_gateway_configuration_info", {"version": "two"}) == 1
    assert registry.get_sample_value("smart_gateway_configuration_timestamp_seconds") == 200
    for outcome in ReloadOutcome:
        name, label = (
            ("smart_gateway_reload_failures_total", "reason")
            if outcome in REFUSED
            else ("smart_gateway_configuration_reloads_total", "outcome")
        )
        expected = 1 if outcome in {ReloadOutcome.INVALID, ReloadOutcome.APPLIED} else 0
        assert registry.get_sample_value(name, {label: outcome.value}) == expected
