"""What the metrics read of the parts of a gateway; and, with all of it, the page as Prometheus checks it."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.policy.reasons import Reason
from gateway.telemetry.metric_types import Durations
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.server_event import EventKind, ServerEvent
from gateway.telemetry.watched_parts import WatchedParts
from tests.telemetry.lost_lines import LostLines
from tests.telemetry.metric_samples import samples_of
from tests.telemetry.request_records import request_record


@dataclass
class _Pool:
    in_use: int = 0
    idle: int = 0
    waiting: int = 0
    limit: int = 32
    opened_total: int = 0


@dataclass
class _Links:
    unusable: Mapping[str, int] = field(default_factory=dict)
    refilled_pages: int = 0
    short_pages: int = 0


@dataclass
class _Tokens:
    remembered_tokens: int = 0
    load_times: Mapping[str, float] = field(default_factory=dict)

    def key_load_times(self) -> Mapping[str, float]:
        return self.load_times


@dataclass
class _SmartServer:
    store_round_trips: Mapping[tuple[str, str], int] = field(default_factory=dict)
    store_durations: Durations = field(default_factory=Durations)
    signing_since: float | None = None


@dataclass
class _SiteRule:
    name: str
    failures: Mapping[str, int]


@dataclass
class _Shadow:
    in_force: int = 0

    def count_in_force(self, now: float) -> int:
        """As many as the test says."""
        assert now > 0
        return self.in_force


def _watching(**parts: Any) -> Metrics:
    """Metrics that watch these parts, and else parts without anything to say."""
    metrics = Metrics()
    others: dict[str, Any] = {
        "pool": _Pool(), "links": _Links(), "tokens": _Tokens(), "audit_log": LostLines(), "fetches": [],
        "shadow": _Shadow(),
    }  # fmt: skip
    metrics.watch(WatchedParts(**{**others, **parts}))
    return metrics


def test_the_pool_is_read_whenever_it_is_asked_for() -> None:
    pool = _Pool()
    metrics = _watching(pool=pool)
    pool.in_use, pool.idle, pool.waiting, pool.opened_total = 3, 2, 1, 7
    assert samples_of(metrics, "smart_gateway_pool_connections") == {("in_use",): 3, ("idle",): 2}
    assert samples_of(metrics, "smart_gateway_pool_waiting") == {(): 1}
    assert samples_of(metrics, "smart_gateway_pool_max_connections") == {(): 32}
    assert samples_of(metrics, "smart_gateway_pool_connections_opened_total") == {(): 7}


def test_shadow_mode_is_told_while_it_is_in_force() -> None:
    shadow = _Shadow(2)
    metrics = _watching(shadow=shadow)
    assert samples_of(metrics, "smart_gateway_shadow_entries_in_force") == {(): 2}
    shadow.in_force = 0
    assert "smart_gateway_shadow_entries_in_force 0.0" in metrics.exposition_text().decode()


def test_links_that_cannot_be_followed_are_counted_by_relation() -> None:
    metrics = _watching(links=_Links({"next": 2, "last": 0}, refilled_pages=5, short_pages=1))
    assert samples_of(metrics, "smart_gateway_unusable_links_total") == {("next",): 2}
    assert 'smart_gateway_unusable_links_total{relation="last"} 0.0' in metrics.exposition_text().decode()
    assert samples_of(metrics, "smart_gateway_refilled_pages_total") == {(): 5}
    assert samples_of(metrics, "smart_gateway_short_pages_total") == {(): 1}


def test_remembered_tokens_and_the_age_of_keys() -> None:
    smart_server = _SmartServer(signing_since=1.5e9)
    metrics = _watching(tokens=_Tokens(4, {"https://login.example.org": 1.6e9}), smart_server=smart_server)
    assert samples_of(metrics, "smart_gateway_token_cache_entries") == {(): 4}
    assert samples_of(metrics, "smart_gateway_issuer_keys_timestamp_seconds") == {("https://login.example.org",): 1.6e9}
    assert samples_of(metrics, "smart_gateway_signing_key_timestamp_seconds") == {(): 1.5e9}
    smart_server.signing_since = None
    assert b"signing_key_timestamp" not in metrics.exposition_text()


def test_round_trips_to_the_store_and_fetches_are_counted_by_outcome() -> None:
    durations = Durations()
    durations.add(0.25)
    metrics = _watching(
        smart_server=_SmartServer({("get", "ok"): 3, ("get", "failed"): 1}, durations),
        fetches=[{("issuer_keys", "ok"): 2}, {("issuer_keys", "ok"): 1, ("client_keys", "unreachable"): 4}],
    )
    assert samples_of(metrics, "smart_gateway_store_round_trips_total") == {("get", "ok"): 3, ("get", "failed"): 1}
    assert samples_of(metrics, "smart_gateway_store_duration_seconds_sum") == {(): 0.25}
    assert samples_of(metrics, "smart_gateway_document_fetches_total") == {
        ("issuer_keys", "ok"): 3, ("client_keys", "unreachable"): 4,
    }  # fmt: skip


def test_lost_audit_lines_are_an_alarm() -> None:
    assert samples_of(_watching(audit_log=LostLines(7)), "smart_gateway_audit_lines_lost_total") == {(): 7}


def test_the_page_follows_prometheus_conventions() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on the PATH, so Prometheus' own check of names and format was not run")
    metrics = _watching(
        links=_Links({"next": 1}), tokens=_Tokens(1, {"https://login.example.org": 1.6e9}),
        fetches=[{("issuer_keys", "ok"): 2}], smart_server=_SmartServer({("get", "ok"): 3}, Durations(), 1.5e9),
    )  # fmt: skip
    for kind in EventKind:
        metrics.add_event(ServerEvent(kind=kind, at=0.0))
    for reason in Reason:
        metrics.add_request(request_record(reason=reason, streamed=True))
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=metrics.exposition_text(), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_what_the_rules_of_the_site_deny_because_they_do_not_work_is_counted() -> None:
    metrics = _watching(site_rules=(_SiteRule("a", {"slow": 2, "failed": 0}), _SiteRule("b", {"slow": 0, "failed": 1})))
    assert samples_of(metrics, "smart_gateway_site_rule_failures_total") == {
        ("slow", "a"): 2,
        ("failed", "b"): 1,
    }
