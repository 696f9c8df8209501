"""Measures what telemetry costs per request: `python -m tests.telemetry.measure`.

CPU time of the whole process counts, the thread that writes audit lines included; of several rounds the best.
"""

import os
import sys
import time
import timeit

from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.fhir.interaction import TypeSearch
from gateway.fhir.reference import Reference
from gateway.policy.access import Access
from gateway.policy.reasons import Reason
from gateway.telemetry.audit import AuditLog
from gateway.telemetry.lines import LineWriter
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.observation import Observation, interaction_name
from gateway.telemetry.tallies import BUCKETS

_ROUNDS, _CALLS = 7, 20_000
_ACCESS = Access(
    issuer="https://login.example.org/realms/clinic",
    client_id="growth-chart",
    subject="9b1c2f",
    scopes=(),
    expires_at=1_700_003_600.0,
    patient="A",
    user=Reference("Practitioner", "17"),
)
_SEARCH = TypeSearch("Observation")


def _observe() -> Observation:
    return Observation(
        at=1_700_000_000.123456,
        decision_id="5f0c1d2e3a4b-1f",
        request_id="5f0c1d2e3a4b-1f",
        method="GET",
        reason=Reason.PERMITTED,
        status=200,
        duration_seconds=0.0031,
        interaction=_SEARCH,
        upstream_seconds=0.0029,
        access=_ACCESS,
        remote_address="192.0.2.7",
        token_cached=True,
        kept=20,
        response_bytes=61_440,
    )


def _with_prometheus_client() -> object:
    """The same steps with that library's own metrics, each child made once and found by its labels."""
    registry = CollectorRegistry()
    children = {
        labels: Counter(f"c{len(labels)}", "c", [*"abc"[: len(labels)]], registry=registry).labels(*labels)
        for labels in (("hit",), ("GET", "search-type"), ("search-type", "GET", "2xx"))
    }
    plain = Counter("bytes", "b", registry=registry)
    spreads = [Histogram(f"h{index}", "h", registry=registry, buckets=BUCKETS) for index in range(2)]
    seen = _observe()

    def record() -> None:
        method, interaction = seen.method, interaction_name(seen.interaction)
        children[interaction, method, "2xx"].inc()
        children[method, interaction].inc()
        children[("hit",)].inc()
        plain.inc(seen.response_bytes)
        for spread in spreads:
            spread.observe(seen.duration_seconds)

    return record


def main() -> None:
    """Print one line per part."""
    seen = _observe()
    metrics = Metrics()
    with open(os.devnull, "wb", buffering=0) as sink:  # noqa: PTH123
        lines = LineWriter(sink.fileno(), close_descriptor=False)
        audit, hashed = AuditLog(lines), AuditLog(lines, hash_key=b"k" * 32)
        for name, call in {
            "an observation made": _observe,
            "metrics": lambda: metrics.record(seen),
            "the same steps by prometheus-client": _with_prometheus_client(),
            "an audit line": lambda: audit.record(seen),
            "an audit line, patient hashed": lambda: hashed.record(seen),
        }.items():
            best = min(timeit.repeat(call, number=_CALLS, repeat=_ROUNDS, timer=time.process_time)) / _CALLS  # type: ignore[arg-type]
            sys.stdout.write(f"{name}: {best * 1e6:.2f} us\n")
        lines.close()


if __name__ == "__main__":
    main()
