"""Measures what telemetry costs per request: `python -m tests.telemetry.measure`.

It measures the CPU time of the process, including the thread that writes audit lines, and reports the best round.
"""

import asyncio
import itertools
import os
import sys
import tempfile
import time
import timeit
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.fhir.reference import Reference
from gateway.fhir.request.interaction import TypeSearch
from gateway.fhir.request.interaction_name import interaction_name
from gateway.fhir.request.parse_request import parse_request
from gateway.fhir.search.search_keys import ParameterDefinitions
from gateway.policy.decision.decide import decide
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.scopes.parse_scopes import parse_scopes
from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.line_writer import LineWriter
from gateway.telemetry.metric_types import BUCKETS
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.request_recording.request_recorder import RequestRecorder
from gateway.telemetry.request_recording.rotated_file import RotatedFile

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


def _make_record() -> RequestRecord:
    return RequestRecord(
        arrived_at=1_700_000_000.123456,
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
    """The same steps with the metrics of prometheus-client, whose children are created once."""
    registry = CollectorRegistry()
    children = {
        labels: Counter(f"c{len(labels)}", "c", [*"abc"[: len(labels)]], registry=registry).labels(*labels)
        for labels in (("hit",), ("GET", "search-type"), ("search-type", "GET", "2xx"))
    }
    plain = Counter("bytes", "b", registry=registry)
    spreads = [Histogram(f"h{index}", "h", registry=registry, buckets=BUCKETS) for index in range(2)]
    request_record = _make_record()

    def record() -> None:
        method, interaction = request_record.method, interaction_name(request_record.interaction)
        children[interaction, method, "2xx"].inc()
        children[method, interaction].inc()
        children[("hit",)].inc()
        plain.inc(request_record.response_bytes)
        for spread in spreads:
            spread.observe(request_record.duration_seconds)

    return record


def main() -> None:
    """Print one line per part."""
    request_record = _make_record()
    metrics = Metrics()
    with open(os.devnull, "wb", buffering=0) as sink:  # noqa: PTH123
        lines = LineWriter(sink.fileno(), close_descriptor=False)
        audit, hashed = AuditLog(lines), AuditLog(lines, hash_key=b"k" * 32)
        for name, call in {
            "a request record": _make_record,
            "metrics": lambda: metrics.add_request(request_record),
            "the same steps by prometheus-client": _with_prometheus_client(),
            "an audit line": lambda: audit.add_request(request_record),
            "an audit line, patient hashed": lambda: hashed.add_request(request_record),
        }.items():
            best = min(timeit.repeat(call, number=_CALLS, repeat=_ROUNDS, timer=time.process_time)) / _CALLS  # type: ignore[arg-type]
            sys.stdout.write(f"{name}: {best * 1e6:.2f} us\n")
        lines.close()
    asyncio.run(_measure_recording())


async def _measure_recording() -> None:
    """Print what it costs to record a search, beside parsing and deciding it. Each is of another patient."""
    rules, count = Rules("https://gateway.example/fhir", "http://upstream.example/fhir"), 1000
    with tempfile.TemporaryDirectory() as folder:
        file = RotatedFile(Path(folder) / "requests", 2**24)
        recorder = RequestRecorder(file, ParameterDefinitions())
        records = [_make_recorded_search(number, rules) for number in range(count)]
        searches = iter(itertools.cycle(range(count)))
        for name, call in {
            "parsing and deciding a search": lambda: _parse_and_decide(next(searches), records),
            "recording it": lambda: recorder.add(records[next(searches)], "version"),
            "recording it once more": lambda: recorder.add(records[0], "version"),
        }.items():
            best = min(timeit.repeat(call, number=count, repeat=_ROUNDS, timer=time.process_time)) / count
            sys.stdout.write(f"{name}: {best * 1e6:.2f} us\n")
        recorder.write_out()


def _query_of(number: int) -> bytes:
    return f"patient=p{number}&code=http://loinc.org|{number}&date=ge2024-01-02&_count=50".encode()


def _make_recorded_search(number: int, rules: Rules) -> RequestRecord:
    access = replace(_ACCESS, patient=f"p{number}", scopes=parse_scopes("patient/*.rs").scopes)
    record = _make_record()
    record.access, record.grant, record.decision = access, Grant(access, rules), Reason.PERMITTED
    record.interaction = parse_request("GET", b"/Observation", _query_of(number), {}, b"")
    return record


def _parse_and_decide(number: int, records: list[RequestRecord]) -> None:
    grant = records[number].grant
    assert grant is not None
    decide(parse_request("GET", b"/Observation", _query_of(number), {}, b""), grant)


if __name__ == "__main__":
    main()
