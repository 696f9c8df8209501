"""The metrics: each number says what its name says, and their page follows Prometheus' conventions."""

import shutil
import subprocess
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.fhir import interaction as fhir
from gateway.policy.reasons import Reason
from gateway.telemetry.metrics import Metrics, MetricsApp
from gateway.telemetry.observation import interaction_name, resource_type
from gateway.telemetry.tallies import BUCKETS
from tests.telemetry.observations import observation


def _samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The values of one metric by those of its labels, zeros left out."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    assert samples, f"{name} is not among the metrics"
    return {tuple(sample.labels.values()): sample.value for sample in samples if sample.value}


def test_a_request_is_counted_by_what_it_asks_and_how_it_ended() -> None:
    metrics = Metrics()
    for status in (200, 201, 404):
        metrics.record(observation(status=status))
    metrics.record(observation(interaction=None, method="BREW", status=999))
    assert _samples(metrics, "smart_gateway_requests_total") == {
        ("search-type", "GET", "2xx"): 2,
        ("search-type", "GET", "4xx"): 1,
        ("none", "other", "other"): 1,
    }


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_counted_and_stands_there_before_its_first_time(reason: Reason) -> None:
    metrics = Metrics()
    assert f'smart_gateway_decisions_total{{reason="{reason}"}} 0.0' in metrics.exposition().decode()
    metrics.record(observation(reason=reason))
    assert _samples(metrics, "smart_gateway_decisions_total") == {(reason.value,): 1}


def test_narrowing_misses_and_dropped_entries_are_counted_by_type() -> None:
    metrics = Metrics()
    metrics.record(observation(dropped={"Condition": 2, "Observation": 1}, narrowing_misses={"Condition": 1}))
    metrics.record(observation(dropped={"Condition": 3}, narrowing_misses={}))
    assert _samples(metrics, "smart_gateway_dropped_entries_total") == {("Condition",): 5, ("Observation",): 1}
    assert _samples(metrics, "smart_gateway_narrowing_misses_total") == {("Condition",): 1}


def test_a_hostile_server_cannot_make_up_labels() -> None:
    metrics = Metrics()
    metrics.record(observation(dropped={f"Made-up-{n}": 1 for n in range(100)}, narrowing_misses={'"} 1\nevil 1': 1}))
    assert _samples(metrics, "smart_gateway_dropped_entries_total") == {("other",): 100}
    assert _samples(metrics, "smart_gateway_narrowing_misses_total") == {("other",): 1}


def test_time_spent_waiting_and_our_own_are_told_apart() -> None:
    metrics = Metrics()
    metrics.record(observation(duration_seconds=0.5, upstream_seconds=0.25))
    metrics.record(observation(duration_seconds=0.125, upstream_seconds=None))
    assert _samples(metrics, "smart_gateway_upstream_duration_seconds_sum") == {(): 0.25}
    assert _samples(metrics, "smart_gateway_upstream_duration_seconds_count") == {(): 1}
    assert _samples(metrics, "smart_gateway_overhead_seconds_sum") == {(): 0.375}
    assert _samples(metrics, "smart_gateway_overhead_seconds_count") == {(): 2}


def test_clocks_that_disagree_make_no_negative_time() -> None:
    metrics = Metrics()
    metrics.record(observation(duration_seconds=0.1, upstream_seconds=0.2))
    assert _samples(metrics, "smart_gateway_overhead_seconds_sum") == {}


@pytest.mark.parametrize("bound", BUCKETS)
def test_a_bucket_holds_its_own_bound_and_all_below(bound: float) -> None:
    metrics = Metrics()
    for seconds in (bound, bound * 1.0001):
        metrics.record(observation(duration_seconds=seconds, upstream_seconds=None))
    buckets = _samples(metrics, "smart_gateway_overhead_seconds_bucket")
    assert buckets[(str(bound),)] == 1
    assert buckets[("+Inf",)] == 2
    assert list(buckets.values()) == sorted(buckets.values())


def test_tokens_found_in_the_cache_and_not() -> None:
    metrics = Metrics()
    for cached in (True, True, False, None):
        metrics.record(observation(token_cached=cached))
    assert _samples(metrics, "smart_gateway_token_cache_lookups_total") == {("hit",): 2, ("miss",): 1}


def test_bytes_and_streams() -> None:
    metrics = Metrics()
    metrics.record(observation(response_bytes=1000))
    metrics.record(observation(response_bytes=24, streamed=True))
    assert _samples(metrics, "smart_gateway_response_bytes_total") == {(): 1024}
    assert _samples(metrics, "smart_gateway_streamed_responses_total") == {(): 1}


@dataclass
class _Pool:
    in_use: int = 0
    idle: int = 0
    waiting: int = 0


@dataclass
class _Audit:
    lost: int = 0


def test_the_pool_is_read_whenever_it_is_asked_for() -> None:
    metrics, pool = Metrics(), _Pool()
    metrics.watch_pool(pool)
    pool.in_use, pool.idle, pool.waiting = 3, 2, 1
    assert _samples(metrics, "smart_gateway_pool_connections") == {("in_use",): 3, ("idle",): 2}
    assert _samples(metrics, "smart_gateway_pool_waiting") == {(): 1}


def test_lost_audit_lines_are_an_alarm() -> None:
    metrics = Metrics()
    metrics.watch_audit(_Audit(7))
    assert _samples(metrics, "smart_gateway_audit_lines_lost_total") == {(): 7}


def test_two_gateways_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.record(observation())
    assert _samples(second, "smart_gateway_response_bytes_total") == {}


INTERACTIONS: dict[type[Any], tuple[fhir.Interaction, str, str | None]] = {
    fhir.Read: (fhir.Read("Patient", "A"), "read", "Patient"),
    fhir.VRead: (fhir.VRead("Patient", "A", "1"), "vread", "Patient"),
    fhir.InstanceHistory: (fhir.InstanceHistory("Patient", "A"), "history-instance", "Patient"),
    fhir.TypeHistory: (fhir.TypeHistory("Patient"), "history-type", "Patient"),
    fhir.SystemHistory: (fhir.SystemHistory(), "history-system", None),
    fhir.TypeSearch: (fhir.TypeSearch("Patient"), "search-type", "Patient"),
    fhir.CompartmentSearch: (fhir.CompartmentSearch("Patient", "A", "*"), "search-compartment", "*"),
    fhir.SystemSearch: (fhir.SystemSearch(), "search-system", None),
    fhir.Page: (fhir.Page("sealed"), "page", None),
    fhir.Capabilities: (fhir.Capabilities(), "capabilities", None),
    fhir.Write: (fhir.Write(fhir.WriteKind.PATCH, "Patient", "A"), "patch", "Patient"),
    fhir.BundlePost: (fhir.BundlePost(), "bundle", None),
    fhir.Operation: (fhir.Operation(fhir.OperationLevel.TYPE, "validate", "Patient"), "operation", "Patient"),
}


@pytest.mark.parametrize("kind", get_args(fhir.Interaction))
def test_every_interaction_has_a_name(kind: type[Any]) -> None:
    interaction, name, about = INTERACTIONS[kind]
    assert (interaction_name(interaction), resource_type(interaction)) == (name, about)


async def _ask(path: str, method: str = "GET", metrics: Metrics | None = None) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    app = MetricsApp(metrics or Metrics())
    await app({"type": "http", "path": path, "method": method}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


async def test_the_metrics_are_at_their_path_and_nothing_else_is() -> None:
    metrics = Metrics()
    status, headers, body = await _ask("/metrics", metrics=metrics)
    assert (status, headers[b"content-type"].partition(b";")[0]) == (200, b"text/plain")
    assert b"smart_gateway_requests" in body
    assert int(headers[b"content-length"]) == len(body)
    assert (await _ask("/metrics", "HEAD"))[::2] == (200, b"")
    for path in ("/", "/metrics/", "/Metrics", "/metrics/x", "/fhir/metrics"):
        assert (await _ask(path))[0] == 404
    assert (await _ask("/metrics", "POST"))[0] == 405


def test_the_page_follows_prometheus_conventions() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on the PATH, so Prometheus' own check of names and format was not run")
    metrics = Metrics()
    metrics.watch_pool(_Pool(1, 2, 3))
    metrics.watch_audit(_Audit())
    for reason in Reason:
        metrics.record(observation(reason=reason, streamed=True))
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=metrics.exposition(), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
